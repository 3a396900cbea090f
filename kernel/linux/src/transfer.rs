//! Moving bytes from file to file inside the kernel: `sendfile(2)`, `copy_file_range(2)`, `splice(2)`, `vmsplice(2)`.
//!
//! Bytes are copied through a buffer; nothing is promised about pages being moved. What was read and could not be
//! written is not taken from a file that has a position; from a pipe it is lost when the write fails.

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::seek::SEEK_SET;
use aios_abi::linux::table::nr;
use kernel_fs::file::Position;
use kernel_fs::{DeviceNumber, File, FileType};
use kernel_hal::addr::Virt;
use kernel_mm::io::{Sink, Source};
use kernel_process::Thread;

use crate::call::{CallResult, MAX_TRANSFER};
use crate::io::write_as;
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] =
    &[(nr::SENDFILE, sendfile), (nr::COPY_FILE_RANGE, copy_file_range), (nr::SPLICE, splice), (nr::VMSPLICE, vmsplice)];

/// Bytes moved at a time.
const CHUNK: usize = 32 * 1024;

const SPLICE_F_NONBLOCK: u32 = 2;
/// MOVE, NONBLOCK, MORE and GIFT.
const SPLICE_FLAGS: u32 = 0xf;

/// A file and where in it: `None` for its own position, or for a stream.
struct End<'a> {
    file: &'a File,
    offset: Option<u64>,
}

impl End<'_> {
    fn advance(&mut self, count: usize) {
        if let Some(offset) = &mut self.offset {
            *offset = offset.saturating_add(count as u64);
        }
    }
}

/// Moves up to `count` bytes; stops early where the source ends or the target takes less than it was given.
fn copy(thread: &Arc<Thread>, from: &mut End<'_>, to: &mut End<'_>, count: usize) -> CallResult {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(count.min(CHUNK)).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(count.min(CHUNK), 0);
    let streams = !from.file.is_seekable();
    let mut done = 0;
    while done < count {
        let step = move_once(thread, from, to, buffer.get_mut(..CHUNK.min(count - done)).unwrap_or_default());
        match step {
            Ok((0, _)) => break,
            Ok((moved, given)) => {
                done += moved;
                // A stream gives what it has; asking again could wait for ever.
                if moved < given || streams {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// One buffer full: bytes written, and bytes that were read for it.
fn move_once(
    thread: &Arc<Thread>,
    from: &mut End<'_>,
    to: &mut End<'_>,
    buffer: &mut [u8],
) -> Result<(usize, usize), Errno> {
    let mut sink = Sink::kernel(buffer);
    let given = match from.offset {
        Some(offset) => from.file.read_at(offset, &mut sink)?,
        None => from.file.read(&mut sink)?,
    };
    let bytes = buffer.get(..given).unwrap_or_default();
    if bytes.is_empty() {
        return Ok((0, 0));
    }
    let moved = write_as(thread, to.file, to.offset, &mut Source::kernel(bytes))?;
    from.advance(moved);
    to.advance(moved);
    Ok((moved, given))
}

/// Where a file that keeps its position is read from, so that only what was written is taken.
fn held_position(file: &File) -> Option<u64> {
    (file.ops().position() == Position::Kept).then(|| file.offset())
}

/// Reads an offset behind a pointer; a null pointer stands for the file's position.
fn offset_argument(call: &Call<'_>, at: Virt) -> Result<Option<i64>, Errno> {
    if at.0 == 0 { Ok(None) } else { call.read::<i64>(at).map(Some) }
}

fn non_negative(offset: i64) -> Result<u64, Errno> {
    u64::try_from(offset).map_err(|_| Errno::EINVAL)
}

/// Tells the program, or the file, how far a transfer got.
fn store_offset(call: &Call<'_>, at: Virt, file: &File, offset: Option<u64>) -> Result<(), Errno> {
    let Some(offset) = offset else { return Ok(()) };
    let value = i64::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
    if at.0 == 0 { file.seek(value, SEEK_SET).map(drop) } else { call.write(at, &value) }
}

/// The null device.
const NULL: DeviceNumber = DeviceNumber::new(1, 3);

/// True for what Linux does not send from, though it can be read.
fn gives_nothing(source: &File) -> Result<bool, Errno> {
    Ok(match source.kind() {
        FileType::Directory => true,
        FileType::CharDevice => source.metadata()?.special == NULL,
        _ => false,
    })
}

fn sendfile(call: &mut Call<'_>) -> CallResult {
    let given = offset_argument(call, call.ptr(2))?;
    let source = call.fd(1)?;
    if !source.is_readable() {
        return Err(Errno::EBADF);
    }
    let streams = !source.is_seekable();
    if given.is_some() && streams {
        return Err(Errno::ESPIPE);
    }
    let offset = given.map(non_negative).transpose()?;
    let target = call.fd(0)?;
    if !target.is_writable() {
        return Err(Errno::EBADF);
    }
    if streams || gives_nothing(&source)? || target.is_appending() {
        return Err(Errno::EINVAL);
    }
    let count = usize::try_from(call.arg(3)).unwrap_or(usize::MAX).min(MAX_TRANSFER);
    let mut from = End { file: &source, offset: offset.or_else(|| held_position(&source)) };
    let moved = copy(call.thread, &mut from, &mut End { file: &target, offset: None }, count)?;
    store_offset(call, call.ptr(2), &source, from.offset)?;
    Ok(moved)
}

fn copy_file_range(call: &mut Call<'_>) -> CallResult {
    let (source, target) = (call.fd(0)?, call.fd(2)?);
    let (given_in, given_out) = (offset_argument(call, call.ptr(1))?, offset_argument(call, call.ptr(3))?);
    if call.uint(5) != 0 {
        return Err(Errno::EINVAL);
    }
    let kinds = [source.kind(), target.kind()];
    if kinds.contains(&FileType::Directory) {
        return Err(Errno::EISDIR);
    }
    if kinds != [FileType::Regular; 2] {
        return Err(Errno::EINVAL);
    }
    if !source.is_readable() || !target.is_writable() || target.is_appending() {
        return Err(Errno::EBADF);
    }
    if !Arc::ptr_eq(source.path().mount.file_system(), target.path().mount.file_system()) {
        return Err(Errno::EXDEV);
    }
    let start_in = given_in.map_or_else(|| Ok(source.offset()), non_negative)?;
    let start_out = given_out.map_or_else(|| Ok(target.offset()), non_negative)?;
    let wanted = call.arg(4);
    let fits = |start: u64| start.checked_add(wanted).is_some_and(|end| i64::try_from(end).is_ok());
    if !fits(start_in) || !fits(start_out) {
        return Err(Errno::EOVERFLOW);
    }
    let available = source.ops().size(&source)?.saturating_sub(start_in);
    let count = usize::try_from(wanted.min(available)).unwrap_or(usize::MAX).min(MAX_TRANSFER);
    let overlaps = start_in < start_out + count as u64 && start_out < start_in + count as u64;
    if overlaps && Arc::ptr_eq(source.inode(), target.inode()) {
        return Err(Errno::EINVAL);
    }
    let mut from = End { file: &source, offset: Some(start_in) };
    let mut to = End { file: &target, offset: Some(start_out) };
    let moved = copy(call.thread, &mut from, &mut to, count)?;
    store_offset(call, call.ptr(1), &source, from.offset)?;
    store_offset(call, call.ptr(3), &target, to.offset)?;
    Ok(moved)
}

/// Between a pipe and anything.
fn splice(call: &mut Call<'_>) -> CallResult {
    let (count, flags) = (usize::try_from(call.arg(4)).unwrap_or(usize::MAX).min(MAX_TRANSFER), call.uint(5));
    if count == 0 {
        return Ok(0);
    }
    if flags & !SPLICE_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let (source, target) = (call.fd(0)?, call.fd(2)?);
    if !source.is_readable() || !target.is_writable() {
        return Err(Errno::EBADF);
    }
    let (pipe_in, pipe_out) = (source.ops().pipe(), target.ops().pipe());
    if pipe_in.is_some() && call.ptr(1).0 != 0 || pipe_out.is_some() && call.ptr(3).0 != 0 {
        return Err(Errno::ESPIPE);
    }
    let same = matches!((pipe_in, pipe_out), (Some(one), Some(other)) if Arc::ptr_eq(one, other));
    if pipe_in.is_none() && pipe_out.is_none() || same || target.is_appending() {
        return Err(Errno::EINVAL);
    }
    let waits = flags & SPLICE_F_NONBLOCK == 0 && !source.is_nonblocking();
    if !waits && pipe_in.is_some_and(|pipe| pipe.is_empty()) {
        return Err(Errno::EAGAIN);
    }
    let given_in = offset_argument(call, call.ptr(1))?.map(non_negative).transpose()?;
    let given_out = offset_argument(call, call.ptr(3))?.map(non_negative).transpose()?;
    let mut from = End { file: &source, offset: given_in.or_else(|| held_position(&source)) };
    let mut to = End { file: &target, offset: given_out };
    // No more than the pipe takes at once, so that the call does not wait once something was moved.
    let count = pipe_out.or(pipe_in).map_or(count, |pipe| count.min(pipe.capacity()));
    let moved = copy(call.thread, &mut from, &mut to, count)?;
    store_offset(call, call.ptr(1), &source, from.offset)?;
    store_offset(call, call.ptr(3), &target, to.offset)?;
    Ok(moved)
}

/// Between the caller's memory and a pipe, by copying.
fn vmsplice(call: &mut Call<'_>) -> CallResult {
    if call.uint(3) & !SPLICE_FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let file = call.fd(0)?;
    if file.ops().pipe().is_none() {
        return Err(Errno::EBADF);
    }
    let parts = call.iovecs(call.ptr(1), call.arg(2))?;
    if parts.iter().all(|part| part.1 == 0) {
        return Ok(0);
    }
    if file.is_writable() {
        write_as(call.thread, &file, None, &mut Source::user_iovecs(parts))
    } else {
        file.read(&mut Sink::user_iovecs(parts))
    }
}
