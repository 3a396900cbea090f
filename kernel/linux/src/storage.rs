//! Sizes and stable storage: `truncate(2)`, `fallocate(2)`, `fsync(2)`, `sync(2)`, `fadvise64(2)`, `readahead(2)`.

use aios_abi::Errno;
use aios_abi::linux::consts::fadvise;
use aios_abi::linux::table::nr;
use kernel_fs::FileType;
use kernel_fs::vfs::WalkFlags;

use crate::call::CallResult;
use crate::io::check_new_size;
use crate::path::PathBuffer;
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::TRUNCATE, truncate),
    (nr::FTRUNCATE, ftruncate),
    (nr::FALLOCATE, fallocate),
    (nr::FSYNC, fsync),
    (nr::FDATASYNC, fdatasync),
    (nr::SYNC, sync),
    (nr::SYNCFS, syncfs),
    (nr::SYNC_FILE_RANGE, sync_file_range),
    (nr::FADVISE64, fadvise64),
    (nr::READAHEAD, readahead),
];

fn length(call: &Call<'_>, index: usize) -> Result<u64, Errno> {
    u64::try_from(call.long(index)).map_err(|_| Errno::EINVAL)
}

fn truncate(call: &mut Call<'_>) -> CallResult {
    let size = length(call, 1)?;
    let mut text = PathBuffer::new();
    let path = text.read(call.ptr(0))?;
    let place = call.in_files(|context| context.walk(None, path, WalkFlags::FOLLOW))?;
    if place.kind() == FileType::Regular {
        check_new_size(call.thread, size)?;
    }
    call.in_files(|context| context.truncate(&place, size))?;
    Ok(0)
}

fn ftruncate(call: &mut Call<'_>) -> CallResult {
    let size = length(call, 1)?;
    let file = call.fd(0)?;
    if file.kind() == FileType::Regular && file.is_writable() {
        check_new_size(call.thread, size)?;
    }
    file.set_size(size)?;
    call.in_files(|context| context.after_write(file.path()))?;
    Ok(0)
}

fn fallocate(call: &mut Call<'_>) -> CallResult {
    let file = call.fd(0)?;
    let (offset, len) = (length(call, 2)?, length(call, 3)?);
    if len == 0 {
        return Err(Errno::EINVAL);
    }
    let end = offset.checked_add(len);
    if file.kind() == FileType::Regular && file.is_writable() {
        let end = end.filter(|end| i64::try_from(*end).is_ok()).ok_or(Errno::EFBIG)?;
        check_new_size(call.thread, end)?;
    }
    file.allocate(call.uint(1), offset, len)?;
    Ok(0)
}

fn fsync(call: &mut Call<'_>) -> CallResult {
    call.fd(0)?.sync(false)?;
    Ok(0)
}

fn fdatasync(call: &mut Call<'_>) -> CallResult {
    call.fd(0)?.sync(true)?;
    Ok(0)
}

/// No file system keeps changes back for long: those of the host are written through, the others are memory.
fn sync(_call: &mut Call<'_>) -> CallResult {
    Ok(0)
}

fn syncfs(call: &mut Call<'_>) -> CallResult {
    call.fd(0)?;
    Ok(0)
}

fn sync_file_range(call: &mut Call<'_>) -> CallResult {
    /// `SYNC_FILE_RANGE_*`: wait before, write, wait after.
    const KNOWN: u32 = 7;
    let file = call.fd(0)?;
    if call.uint(3) & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let (offset, len) = (length(call, 1)?, length(call, 2)?);
    offset.checked_add(len).filter(|end| i64::try_from(*end).is_ok()).ok_or(Errno::EINVAL)?;
    if !matches!(file.kind(), FileType::Regular | FileType::BlockDevice | FileType::Directory | FileType::Symlink) {
        return Err(Errno::ESPIPE);
    }
    file.sync(true)?;
    Ok(0)
}

/// Advice is checked and not needed: what is read once stays cached as long as there is memory.
fn fadvise64(call: &mut Call<'_>) -> CallResult {
    let file = call.fd(0)?;
    if file.kind() == FileType::Fifo {
        return Err(Errno::ESPIPE);
    }
    if call.long(2) < 0 || call.uint(3) > fadvise::POSIX_FADV_NOREUSE {
        return Err(Errno::EINVAL);
    }
    Ok(0)
}

fn readahead(call: &mut Call<'_>) -> CallResult {
    let file = call.fd(0)?;
    if !file.is_readable() {
        return Err(Errno::EBADF);
    }
    if file.kind() == FileType::Regular { Ok(0) } else { Err(Errno::EINVAL) }
}
