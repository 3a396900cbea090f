//! Reading, writing and seeking: `read(2)`, `pread(2)`, `readv(2)`, `preadv2(2)`, their writing twins, `lseek(2)`.
//!
//! Order of errors, as Linux has it: position, descriptor, what the file was opened for, buffers, then the file itself.

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::resource::RLIMIT_FSIZE;
use aios_abi::linux::consts::seek::SEEK_HOLE;
use aios_abi::linux::consts::signal::{SIGPIPE, SIGXFSZ};
use aios_abi::linux::consts::{RLIM_INFINITY, rwf};
use aios_abi::linux::table::nr;
use kernel_fs::types::{SET_GID, SET_UID};
use kernel_fs::{File, FileType};
use kernel_hal::addr::is_user_range;
use kernel_mm::io::{Sink, Source};
use kernel_process::{Thread, signal};

use crate::call::{CallResult, MAX_TRANSFER};
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::READ, read),
    (nr::WRITE, write),
    (nr::PREAD64, pread64),
    (nr::PWRITE64, pwrite64),
    (nr::READV, readv),
    (nr::WRITEV, writev),
    (nr::PREADV, preadv),
    (nr::PWRITEV, pwritev),
    (nr::PREADV2, preadv2),
    (nr::PWRITEV2, pwritev2),
    (nr::LSEEK, lseek),
];

fn readable(file: &File) -> Result<(), Errno> {
    if file.is_readable() { Ok(()) } else { Err(Errno::EBADF) }
}

fn writable(file: &File) -> Result<(), Errno> {
    if file.is_writable() { Ok(()) } else { Err(Errno::EBADF) }
}

/// The length of the buffer in arguments 1 and 2, cut to what one call moves: `EFAULT` outside user space.
#[inline]
fn buffer_length(call: &Call<'_>) -> Result<usize, Errno> {
    let count = call.arg(2) as usize;
    if is_user_range(call.ptr(1), count) { Ok(count.min(MAX_TRANSFER)) } else { Err(Errno::EFAULT) }
}

fn sink(call: &Call<'_>) -> Result<Sink<'static>, Errno> {
    Ok(Sink::user(call.ptr(1), buffer_length(call)?))
}

fn source(call: &Call<'_>) -> Result<Source<'static>, Errno> {
    Ok(Source::user(call.ptr(1), buffer_length(call)?))
}

fn sink_vector(call: &Call<'_>) -> Result<Sink<'static>, Errno> {
    let parts = call.iovecs(call.ptr(1), call.arg(2))?;
    Ok(match parts.as_slice() {
        [(start, len)] => Sink::user(*start, *len),
        _ => Sink::user_iovecs(parts),
    })
}

fn source_vector(call: &Call<'_>) -> Result<Source<'static>, Errno> {
    let parts = call.iovecs(call.ptr(1), call.arg(2))?;
    Ok(match parts.as_slice() {
        [(start, len)] => Source::user(*start, *len),
        _ => Source::user_iovecs(parts),
    })
}

/// Writes as `thread`, with what a write does beside moving bytes: `SIGPIPE`, the limit on file sizes with `SIGXFSZ`,
/// the loss of set-user-id bits. Without an offset it goes on from the file's position.
pub(crate) fn write_as(thread: &Arc<Thread>, file: &File, offset: Option<u64>, source: &mut Source<'_>) -> CallResult {
    let regular = file.kind() == FileType::Regular;
    if regular {
        limit_size(thread, file, offset, source)?;
    }
    let outcome = match offset {
        None => file.write(source),
        Some(offset) => file.write_at(offset, source),
    };
    match outcome {
        Err(Errno::EPIPE) => signal::send_to_self(thread, SIGPIPE),
        Ok(count) if regular && count > 0 => drop_set_id(thread, file)?,
        _ => {}
    }
    outcome
}

/// Cuts a write at `RLIMIT_FSIZE`; one that would start there fails with `EFBIG` and `SIGXFSZ`.
fn limit_size(thread: &Arc<Thread>, file: &File, offset: Option<u64>, source: &mut Source<'_>) -> Result<(), Errno> {
    let limit = thread.process().limits.current(RLIMIT_FSIZE);
    if limit == RLIM_INFINITY || source.remaining() == 0 {
        return Ok(());
    }
    let start = match offset {
        _ if file.is_appending() => file.ops().size(file)?,
        None => file.offset(),
        Some(offset) => offset,
    };
    if start >= limit {
        return Err(too_large(thread));
    }
    source.limit(usize::try_from(limit - start).unwrap_or(usize::MAX));
    Ok(())
}

/// What a file that would pass `RLIMIT_FSIZE` brings.
fn too_large(thread: &Arc<Thread>) -> Errno {
    signal::send_to_self(thread, SIGXFSZ);
    Errno::EFBIG
}

/// Checks a size that `truncate` or `fallocate` gives a file.
pub(crate) fn check_new_size(thread: &Arc<Thread>, size: u64) -> Result<(), Errno> {
    if size > thread.process().limits.current(RLIMIT_FSIZE) { Err(too_large(thread)) } else { Ok(()) }
}

fn drop_set_id(thread: &Thread, file: &File) -> Result<(), Errno> {
    if file.inode().ownership().permissions & (SET_UID | SET_GID) == 0 {
        return Ok(());
    }
    thread.in_files(|context| context.after_write(file.path()))
}

fn read(call: &mut Call<'_>) -> CallResult {
    let file = call.fd(0)?;
    readable(&file)?;
    file.read(&mut sink(call)?)
}

fn write(call: &mut Call<'_>) -> CallResult {
    let file = call.fd(0)?;
    writable(&file)?;
    write_as(call.thread, &file, None, &mut source(call)?)
}

/// A position argument: `EINVAL` when negative.
fn position(call: &Call<'_>, index: usize) -> Result<u64, Errno> {
    u64::try_from(call.long(index)).map_err(|_| Errno::EINVAL)
}

fn seekable(file: &File) -> Result<(), Errno> {
    if file.is_seekable() { Ok(()) } else { Err(Errno::ESPIPE) }
}

fn pread64(call: &mut Call<'_>) -> CallResult {
    let offset = position(call, 3)?;
    let file = call.fd(0)?;
    seekable(&file)?;
    readable(&file)?;
    file.read_at(offset, &mut sink(call)?)
}

fn pwrite64(call: &mut Call<'_>) -> CallResult {
    let offset = position(call, 3)?;
    let file = call.fd(0)?;
    seekable(&file)?;
    writable(&file)?;
    write_as(call.thread, &file, Some(offset), &mut source(call)?)
}

fn read_vector(call: &Call<'_>, file: &File, offset: Option<u64>) -> CallResult {
    if offset.is_some() {
        seekable(file)?;
    }
    let mut sink = sink_vector(call)?;
    readable(file)?;
    match offset {
        _ if sink.remaining() == 0 => Ok(0),
        None => file.read(&mut sink),
        Some(offset) => file.read_at(offset, &mut sink),
    }
}

fn write_vector(call: &Call<'_>, file: &File, offset: Option<u64>) -> CallResult {
    if offset.is_some() {
        seekable(file)?;
    }
    let mut source = source_vector(call)?;
    writable(file)?;
    if source.remaining() == 0 {
        return Ok(0);
    }
    write_as(call.thread, file, offset, &mut source)
}

fn readv(call: &mut Call<'_>) -> CallResult {
    let file = call.fd(0)?;
    read_vector(call, &file, None)
}

fn writev(call: &mut Call<'_>) -> CallResult {
    let file = call.fd(0)?;
    write_vector(call, &file, None)
}

fn preadv(call: &mut Call<'_>) -> CallResult {
    let offset = position(call, 3)?;
    let file = call.fd(0)?;
    read_vector(call, &file, Some(offset))
}

fn pwritev(call: &mut Call<'_>) -> CallResult {
    let offset = position(call, 3)?;
    let file = call.fd(0)?;
    write_vector(call, &file, Some(offset))
}

/// The offset of `preadv2` and `pwritev2`: -1 stands for the file's position.
fn optional_position(call: &Call<'_>) -> Result<Option<u64>, Errno> {
    if call.long(3) == -1 { Ok(None) } else { position(call, 3).map(Some) }
}

/// Flags of `preadv2` and `pwritev2`: true when what is written must be on stable storage. Those that change how the file
/// waits or appends are `EOPNOTSUPP`, which tells programs to do without.
fn durable(call: &Call<'_>) -> Result<bool, Errno> {
    let flags = call.uint(5);
    if flags & !(rwf::RWF_HIPRI | rwf::RWF_DSYNC | rwf::RWF_SYNC) != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    Ok(flags & (rwf::RWF_DSYNC | rwf::RWF_SYNC) != 0)
}

fn preadv2(call: &mut Call<'_>) -> CallResult {
    let offset = optional_position(call)?;
    let file = call.fd(0)?;
    durable(call)?;
    read_vector(call, &file, offset)
}

fn pwritev2(call: &mut Call<'_>) -> CallResult {
    let offset = optional_position(call)?;
    let file = call.fd(0)?;
    let durable = durable(call)?;
    let count = write_vector(call, &file, offset)?;
    if durable {
        file.sync(true)?;
    }
    Ok(count)
}

fn lseek(call: &mut Call<'_>) -> CallResult {
    let file = call.fd(0)?;
    let whence = call.uint(2);
    if whence > SEEK_HOLE {
        return Err(Errno::EINVAL);
    }
    file.seek(call.long(1), whence).map(|offset| offset as usize)
}
