//! What the caller may do with a file, and where a link leads: `access(2)`, `faccessat2(2)`, `readlink(2)`.

use aios_abi::Errno;
use aios_abi::linux::consts::{access as right, at_access as flag};
use aios_abi::linux::table::nr;
use kernel_fs::credentials::ALL_CAPABILITIES;
use kernel_fs::vfs::{WalkFlags, mount_flags};
use kernel_fs::{Context, Credentials, FileType, Path};
use kernel_hal::addr::Virt;
use kernel_hal::usermem;

use crate::call::CallResult;
use crate::path::{PathBuffer, start};
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::ACCESS, access),
    (nr::FACCESSAT, faccessat),
    (nr::FACCESSAT2, faccessat2),
    (nr::READLINK, readlink),
    (nr::READLINKAT, readlinkat),
];

/// The caller with its real identity, which set-user-id programs ask about; `None` when it acts under that anyway.
fn real(credentials: &Credentials) -> Option<Credentials> {
    let effective = if credentials.uid == 0 { ALL_CAPABILITIES } else { 0 };
    if credentials.fsuid == credentials.uid && credentials.fsgid == credentials.gid {
        // Root that gave capabilities up does not get them back here.
        let powers = credentials.effective & effective;
        return (powers != credentials.effective).then(|| Credentials { effective: powers, ..credentials.clone() });
    }
    Some(Credentials { fsuid: credentials.uid, fsgid: credentials.gid, effective, ..credentials.clone() })
}

fn check(call: &Call<'_>, start: Option<&Path>, path: &[u8], mode: u32, flags: u32) -> CallResult {
    let follow = flags & flag::AT_SYMLINK_NOFOLLOW == 0;
    let walk = WalkFlags { follow, empty: flags & flag::AT_EMPTY_PATH != 0, ..WalkFlags::NO_FOLLOW };
    let look = |context: &Context<'_>| {
        let place = context.walk(start, path, walk)?;
        let no_exec = place.mount.flags() & mount_flags::NO_EXEC != 0;
        if mode & right::X_OK != 0 && place.kind() == FileType::Regular && no_exec {
            return Err(Errno::EACCES);
        }
        if mode == right::F_OK { Ok(()) } else { context.permission(&place, mode as u8) }
    };
    let own = if flags & flag::AT_EACCESS == 0 { real(&call.thread.credentials()) } else { None };
    call.in_files(|context| match &own {
        None => look(context),
        Some(credentials) => look(&Context { credentials, ..*context }),
    })?;
    Ok(0)
}

const ALL_RIGHTS: u32 = right::R_OK | right::W_OK | right::X_OK;

fn access(call: &mut Call<'_>) -> CallResult {
    let mode = call.uint(1);
    if mode & !ALL_RIGHTS != 0 {
        return Err(Errno::EINVAL);
    }
    let mut text = PathBuffer::new();
    check(call, None, text.read(call.ptr(0))?, mode, 0)
}

fn check_at(call: &Call<'_>, flags: u32) -> CallResult {
    let mode = call.uint(2);
    let known = flag::AT_EACCESS | flag::AT_SYMLINK_NOFOLLOW | flag::AT_EMPTY_PATH;
    if mode & !ALL_RIGHTS != 0 || flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let mut text = PathBuffer::new();
    let path = text.read(call.ptr(1))?;
    let start = start(call, 0, path, flags & flag::AT_EMPTY_PATH != 0)?;
    check(call, start.as_ref(), path, mode, flags)
}

fn faccessat(call: &mut Call<'_>) -> CallResult {
    check_at(call, 0)
}

fn faccessat2(call: &mut Call<'_>) -> CallResult {
    check_at(call, call.uint(3))
}

/// Writes as much of a link's text as fits, without a terminator.
fn read_link(call: &Call<'_>, start: Option<&Path>, path: &[u8], buffer: Virt, size: usize) -> CallResult {
    let target = call.in_files(|context| context.read_link(start, path))?;
    let shown = target.get(..size).unwrap_or(&target);
    usermem::copy_out(buffer, shown).map_err(|_| Errno::EFAULT)?;
    Ok(shown.len())
}

/// A buffer size: C's `int`, and not empty.
fn size(call: &Call<'_>, index: usize) -> Result<usize, Errno> {
    usize::try_from(call.int(index)).ok().filter(|size| *size > 0).ok_or(Errno::EINVAL)
}

fn readlink(call: &mut Call<'_>) -> CallResult {
    let size = size(call, 2)?;
    let mut text = PathBuffer::new();
    let path = text.read(call.ptr(0))?;
    read_link(call, None, path, call.ptr(1), size)
}

fn readlinkat(call: &mut Call<'_>) -> CallResult {
    let size = size(call, 3)?;
    let mut text = PathBuffer::new();
    let path = text.read(call.ptr(1))?;
    let start = start(call, 0, path, true)?;
    read_link(call, start.as_ref(), path, call.ptr(2), size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_asks_for_the_real_user() {
        assert!(real(&Credentials::root()).is_none());
        assert!(real(&Credentials::user(5, 5)).is_none());
        let set_id = Credentials { euid: 0, fsuid: 0, effective: ALL_CAPABILITIES, ..Credentials::user(5, 5) };
        let asked = real(&set_id).unwrap();
        assert_eq!((asked.fsuid, asked.effective), (5, 0));
        let lowered = Credentials { euid: 7, fsuid: 7, effective: 0, ..Credentials::root() };
        assert_eq!(real(&lowered).unwrap().effective, ALL_CAPABILITIES);
        let weak_root = Credentials { effective: 1, ..Credentials::root() };
        assert!(real(&weak_root).is_none());
    }
}
