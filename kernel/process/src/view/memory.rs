//! What lies in a process's memory: `cmdline`, `environ`, `auxv`, `mem`.

use aios_abi::Errno;
use kernel_fs::procfs::Text;
use kernel_hal::addr::Virt;
use kernel_mm::AddressSpace;
use kernel_mm::io::{Sink, Source, finish};

use crate::Process;

/// Bytes copied at a time.
const PART: usize = 512;

/// Appends the bytes of a range, up to the first that is not there.
fn copy(space: &AddressSpace, range: (u64, u64), text: &mut Text) -> Result<(), Errno> {
    let (mut at, end) = range;
    let mut part = [0; PART];
    while at < end {
        let count = usize::try_from(end - at).unwrap_or(PART).min(PART);
        let Some(bytes) = part.get_mut(..count) else { break };
        let copied = space.read_bytes(Virt(at), bytes);
        let count = copied.map_or_else(|(_, done)| done, |()| count);
        text.bytes(bytes.get(..count).unwrap_or_default())?;
        if copied.is_err() {
            break;
        }
        at += count as u64;
    }
    Ok(())
}

/// The range's bytes; nothing of a process that has ended.
fn range(process: &Process, range: (u64, u64), text: &mut Text) -> Result<(), Errno> {
    match process.space() {
        Some(space) => copy(&space, range, text),
        None => Ok(()),
    }
}

/// The arguments, each ended by a NUL. A program that writes over them and the environment with a title of its own shows
/// the title (`setproctitle(3)`): then the last argument's NUL is gone, and what counts goes on to the next one.
pub(super) fn command_line(process: &Process, text: &mut Text) -> Result<(), Errno> {
    let layout = *process.layout.lock();
    let Some(space) = process.space() else { return Ok(()) };
    let (start, end) = layout.arguments;
    let mut last = [0; 1];
    let is_title = end > start && space.read_bytes(Virt(end - 1), &mut last).is_ok() && last != [0];
    if !is_title {
        return copy(&space, layout.arguments, text);
    }
    let mut whole = Text::new();
    copy(&space, (start, layout.environment.1.max(end)), &mut whole)?;
    let whole = whole.into_bytes();
    let len = whole.iter().position(|byte| *byte == 0).unwrap_or(whole.len());
    text.bytes(whole.get(..len).unwrap_or_default())
}

pub(super) fn environment(process: &Process, text: &mut Text) -> Result<(), Errno> {
    let layout = *process.layout.lock();
    range(process, layout.environment, text)
}

pub(super) fn auxiliary(process: &Process, text: &mut Text) -> Result<(), Errno> {
    let layout = *process.layout.lock();
    range(process, layout.auxiliary, text)
}

/// `mem`: a process that has ended reads as empty.
pub(super) fn read(process: &Process, mut address: u64, sink: &mut Sink) -> Result<(), Errno> {
    let Some(space) = process.space() else { return Ok(()) };
    let mut part = [0; PART];
    while sink.remaining() > 0 {
        let count = sink.remaining().min(PART);
        let Some(bytes) = part.get_mut(..count) else { break };
        let copied = space.read_bytes(Virt(address), bytes);
        let count = copied.map_or_else(|(_, done)| done, |()| count);
        sink.put(bytes.get(..count).unwrap_or_default())?;
        if copied.is_err() {
            return Err(Errno::EIO);
        }
        address = address.saturating_add(count as u64);
    }
    Ok(())
}

/// Writes where the process may write itself, and returns the bytes written.
pub(super) fn write(process: &Process, address: u64, source: &mut Source) -> Result<usize, Errno> {
    let Some(space) = process.space() else { return Ok(0) };
    let mut part = [0; PART];
    let mut written = 0;
    while source.remaining() > 0 {
        let count = source.remaining().min(PART);
        let Some(bytes) = part.get_mut(..count) else { break };
        let taken = source.take(bytes);
        if taken.is_err() {
            return finish(written, taken.map(drop));
        }
        let at = Virt(address.saturating_add(written as u64));
        match space.write_bytes(at, bytes) {
            Ok(()) => written += count,
            Err((_, done)) => return finish(written + done, Err(Errno::EIO)),
        }
    }
    Ok(written)
}
