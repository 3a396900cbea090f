//! `fd` and `fdinfo`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::open::O_CLOEXEC;
use kernel_fs::File;
use kernel_fs::procfs::Text;

use super::subject::Found;
use crate::Descriptor;

/// Open descriptors, ascending; none of a zombie.
pub(super) fn list(found: &Found) -> Vec<u32> {
    let Some(thread) = &found.thread else { return Vec::new() };
    let files = thread.files();
    let mut numbers = Vec::new();
    let mut from = 0;
    while let Some((number, _)) = files.next_open(from) {
        let Ok(number) = u32::try_from(number) else { break };
        numbers.push(number);
        from = number as usize + 1;
    }
    numbers
}

/// `ENOENT` when it is not open.
fn entry(found: &Found, number: u32) -> Result<Descriptor, Errno> {
    let number = i32::try_from(number).map_err(|_| Errno::ENOENT)?;
    let thread = found.thread.as_ref().ok_or(Errno::ENOENT)?;
    thread.files().descriptor(number).map_err(|_| Errno::ENOENT)
}

pub(super) fn file(found: &Found, number: u32) -> Result<Arc<File>, Errno> {
    entry(found, number).map(|entry| entry.file)
}

/// What it is open for: reading, writing.
pub(super) fn access(found: &Found, number: u32) -> Result<(bool, bool), Errno> {
    file(found, number).map(|file| (file.is_readable(), file.is_writable()))
}

/// `fdinfo/N`
pub(super) fn information(found: &Found, number: u32, text: &mut Text) -> Result<(), Errno> {
    let Descriptor { file, close_on_exec, .. } = entry(found, number)?;
    let flags = file.flags() | if close_on_exec { O_CLOEXEC } else { 0 };
    text.put(format_args!(
        "pos:\t{}\nflags:\t0{flags:o}\nmnt_id:\t{}\nino:\t{}\n",
        file.offset(),
        file.path().mount.id(),
        file.inode().number(),
    ))
}
