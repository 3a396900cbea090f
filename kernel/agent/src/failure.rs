//! Why an agent was not spawned, in words: which path is at fault, and why. The one who asked gets them with the error.

use alloc::format;
use alloc::string::String;

use aios_abi::Errno;
use kernel_fs::vfs::{WalkFlags, mount_flags};
use kernel_fs::{Context, FileType};
use kernel_hal::addr::PAGE_SIZE;
use kernel_process::exec::Refusal;

/// An error, and what a person is told of it.
#[derive(Debug)]
pub struct Failure {
    pub error: Errno,
    pub text: String,
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Failure {
        Failure { error, text: format!("{error}") }
    }
}

/// Bytes that anyone may have written, as a text of one line.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for character in String::from_utf8_lossy(bytes).chars() {
        if character.is_control() {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

impl Failure {
    /// `what`, a directory at `path`, cannot be used.
    pub fn directory(context: &Context<'_>, what: &str, path: &[u8], error: Errno) -> Failure {
        let there = context.walk(None, path, WalkFlags::FOLLOW).is_ok();
        let why = if there && error == Errno::ENOTDIR {
            String::from("is not a directory")
        } else {
            why(context, path, error)
        };
        Failure { error, text: format!("{what} {} {why}", shown(path)) }
    }

    /// No directory of `path`, the variable `PATH`, has a program of that name.
    pub(crate) fn nowhere(name: &[u8], path: &[u8]) -> Failure {
        let text = format!("there is no program {} in PATH ({})", shown(name), shown(path));
        Failure { error: Errno::ENOENT, text }
    }

    /// The program at `path` was refused.
    pub(crate) fn program(context: &Context<'_>, path: &[u8], refusal: Refusal) -> Failure {
        let Refusal { error, interpreter } = refusal;
        let (what, at) = match &interpreter {
            None => (format!("the program {}", shown(path)), path),
            Some(found) => {
                (format!("the interpreter {} of {}", shown(&found.path), shown(&found.of)), found.path.as_slice())
            }
        };
        let why = match error {
            Errno::EACCES => barred(context, at),
            Errno::ENOEXEC => "is neither an ELF program for x86-64 nor a script that begins with #!".into(),
            Errno::ELIBBAD => "is not an ELF program for x86-64".into(),
            Errno::E2BIG => return Failure { error, text: "arguments and environment are too long".into() },
            Errno::ENOMEM | Errno::EAGAIN => return error.into(),
            _ => why(context, at, error),
        };
        Failure { error, text: format!("{what} {why}") }
    }

    /// Says what limit stands behind an error that names none.
    pub(crate) fn within(self, frames: u64) -> Failure {
        match self.error {
            Errno::ENOMEM if frames != u64::MAX => {
                let limit = frames.saturating_mul(PAGE_SIZE as u64) / 1024;
                Failure { text: format!("its memory limit of {limit} KiB is too little to start it"), ..self }
            }
            _ => self,
        }
    }
}

/// Why a path does not lead where it should.
fn why(context: &Context<'_>, path: &[u8], error: Errno) -> String {
    let is_link = || {
        let place = context.walk(None, path, WalkFlags::NO_FOLLOW);
        place.is_ok_and(|place| place.kind() == FileType::Symlink)
    };
    match error {
        Errno::ENOENT if is_link() => "is a symbolic link to something that does not exist".into(),
        Errno::ENOENT => "does not exist".into(),
        Errno::ENOTDIR => "does not exist: a part of its path is not a directory".into(),
        Errno::ELOOP => "leads through too many symbolic links or scripts".into(),
        _ => format!("cannot be used: {error}"),
    }
}

/// Why a file may not be executed.
fn barred(context: &Context<'_>, path: &[u8]) -> String {
    match context.walk(None, path, WalkFlags::FOLLOW) {
        Ok(place) if place.kind() == FileType::Directory => "is a directory".into(),
        Ok(place) if place.kind() != FileType::Regular => "is not a regular file".into(),
        Ok(place) if place.mount.flags() & mount_flags::NO_EXEC != 0 => {
            "lies in a file system that nothing may be executed from".into()
        }
        Ok(_) => "may not be executed: it has no x permission (chmod +x)".into(),
        Err(error) => why(context, path, error),
    }
}

#[cfg(test)]
pub(crate) mod tests;
