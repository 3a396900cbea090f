//! Files without names: `pipe(2)`, `eventfd(2)`, `memfd_create(2)`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::{eventfd, memfd, open};
use aios_abi::linux::table::nr;
use kernel_fs::tmpfs::{self, Options};
use kernel_fs::types::NewInode;
use kernel_fs::vfs::{OpenRequest, anonymous_path};
use kernel_fs::{DeviceNumber, File, FileType, Inode, event, pipe as channel};
use kernel_hal::addr::Virt;
use kernel_hal::usermem::StringError;

use crate::call::{CallResult, string};
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::PIPE, pipe),
    (nr::PIPE2, pipe2),
    (nr::EVENTFD, eventfd),
    (nr::EVENTFD2, eventfd2),
    (nr::MEMFD_CREATE, memfd_create),
];

/// Gives two files descriptors and tells the program their numbers: both or none.
pub(crate) fn hand_out_pair(
    call: &Call<'_>,
    at: Virt,
    files: (Arc<File>, Arc<File>),
    close_on_exec: bool,
) -> CallResult {
    let table = call.thread.files();
    let first = call.thread.add_file(files.0, close_on_exec)?;
    let told = call
        .thread
        .add_file(files.1, close_on_exec)
        .and_then(|second| call.write(at, &[first, second]).inspect_err(|_| drop(table.remove(second))));
    if let Err(error) = told {
        drop(table.remove(first));
        return Err(error);
    }
    Ok(0)
}

fn make_pipe(call: &Call<'_>, flags: u32) -> CallResult {
    if flags & !(open::O_CLOEXEC | open::O_NONBLOCK | open::O_DIRECT) != 0 {
        return Err(Errno::EINVAL);
    }
    let credentials = call.thread.credentials();
    let account = call.process().domain().memory();
    let ends = channel::create(account, credentials.fsuid, credentials.fsgid, flags);
    hand_out_pair(call, call.ptr(0), ends, flags & open::O_CLOEXEC != 0)
}

fn pipe(call: &mut Call<'_>) -> CallResult {
    make_pipe(call, 0)
}

fn pipe2(call: &mut Call<'_>) -> CallResult {
    make_pipe(call, call.uint(1))
}

fn make_counter(call: &Call<'_>, flags: u32) -> CallResult {
    if flags & !(eventfd::EFD_SEMAPHORE | eventfd::EFD_NONBLOCK | eventfd::EFD_CLOEXEC) != 0 {
        return Err(Errno::EINVAL);
    }
    let file = event::counter(call.uint(0), flags & eventfd::EFD_SEMAPHORE != 0, flags);
    call.thread.add_file(file, flags & eventfd::EFD_CLOEXEC != 0).map(|fd| fd as usize)
}

fn eventfd(call: &mut Call<'_>) -> CallResult {
    make_counter(call, 0)
}

fn eventfd2(call: &mut Call<'_>) -> CallResult {
    make_counter(call, call.uint(1))
}

/// Longest name of a memory file: its shown name has a prefix.
const MEMORY_NAME_MAX: usize = 255 - 6;

/// A file in memory that nothing names, charged to the agent. Its size is limited by the agent's memory alone.
fn memfd_create(call: &mut Call<'_>) -> CallResult {
    let flags = call.uint(1);
    let both = memfd::MFD_EXEC | memfd::MFD_NOEXEC_SEAL;
    let known = memfd::MFD_CLOEXEC | memfd::MFD_ALLOW_SEALING | both;
    if flags & !known != 0 || flags & both == both {
        return Err(Errno::EINVAL);
    }
    let name = string(call.ptr(0), MEMORY_NAME_MAX + 1).map_err(|error| match error {
        StringError::Fault => Errno::EFAULT,
        StringError::TooLong => Errno::EINVAL,
    })?;
    let credentials = call.thread.credentials();
    let permissions = if flags & memfd::MFD_NOEXEC_SEAL != 0 { 0o666 } else { 0o777 };
    let root = tmpfs::root(call.process().domain().memory(), Options::default())?;
    let inode = root.create_unnamed(&NewInode {
        kind: FileType::Regular,
        permissions,
        owner: credentials.fsuid,
        group: credentials.fsgid,
        special: DeviceNumber::default(),
    })?;
    let request = OpenRequest { read: true, write: true, nonblocking: false, no_terminal: true, truncate: false };
    let ops = inode.clone().open(&request)?;
    let mut label = Vec::from(*b"/memfd:");
    label.extend_from_slice(&name);
    label.extend_from_slice(b" (deleted)");
    let file = File::new(anonymous_path(inode, &label), ops, open::O_RDWR | open::O_LARGEFILE);
    call.thread.add_file(file, flags & memfd::MFD_CLOEXEC != 0).map(|fd| fd as usize)
}
