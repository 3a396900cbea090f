//! Access to the memory of the running program.
//!
//! An access may fault, and resolving the fault may sleep, so none is made while a spinning lock is held. A fault that
//! the handler cannot resolve becomes a [`Fault`]; nothing a program does with its memory meanwhile can do worse.

use crate::addr::{PAGE_SIZE, Virt, is_user_range};
use crate::frame::Frame;
use crate::machine;
use crate::once::Once;

/// What the access that faulted wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Read,
    Write,
    Execute,
}

/// The program's memory could not be accessed in full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Bytes that were transferred before.
    pub copied: usize,
}

/// A string could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StringError {
    Fault,
    /// No terminator within the buffer.
    TooLong,
}

static HANDLER: Once<fn(Virt, Access) -> bool> = Once::new();

/// Installs what resolves faults: it returns whether the access may be tried again. Called once at start-up.
pub fn set_fault_handler(handler: fn(Virt, Access) -> bool) {
    HANDLER.set(handler);
}

/// Asks the handler to make `va` accessible.
pub(crate) fn resolve(va: Virt, access: Access) -> bool {
    va.is_user() && HANDLER.get().is_some_and(|handler| handler(va, access))
}

fn outcome(len: usize, left: usize) -> Result<(), Fault> {
    if left == 0 { Ok(()) } else { Err(Fault { copied: len - left.min(len) }) }
}

/// Copies from the program.
pub fn copy_in(into: &mut [u8], from: Virt) -> Result<(), Fault> {
    if !is_user_range(from, into.len()) {
        return Err(Fault { copied: 0 });
    }
    outcome(into.len(), machine::copy_from_user(into, from))
}

/// Copies to the program.
pub fn copy_out(to: Virt, from: &[u8]) -> Result<(), Fault> {
    if !is_user_range(to, from.len()) {
        return Err(Fault { copied: 0 });
    }
    outcome(from.len(), machine::copy_to_user(to, from))
}

/// Zeros `len` bytes of the program's memory.
pub fn zero_out(to: Virt, len: usize) -> Result<(), Fault> {
    const ZEROS: [u8; 512] = [0; 512];
    if !is_user_range(to, len) {
        return Err(Fault { copied: 0 });
    }
    let mut done = 0;
    while done < len {
        let count = (len - done).min(ZEROS.len());
        copy_out(Virt(to.0 + done as u64), &ZEROS[..count]).map_err(|fault| Fault { copied: done + fault.copied })?;
        done += count;
    }
    Ok(())
}

/// Copies from a frame to the program; `offset` and `len` must lie in the frame.
pub fn frame_out(to: Virt, frame: &Frame, offset: usize, len: usize) -> Result<(), Fault> {
    assert!(offset <= PAGE_SIZE && len <= PAGE_SIZE - offset, "{len} bytes at {offset} are not in a frame");
    if !is_user_range(to, len) {
        return Err(Fault { copied: 0 });
    }
    outcome(len, machine::copy_frame_to_user(to, frame.pfn(), offset, len))
}

/// Copies from the program into a frame; `offset` and `len` must lie in the frame.
pub fn frame_in(frame: &Frame, offset: usize, from: Virt, len: usize) -> Result<(), Fault> {
    assert!(offset <= PAGE_SIZE && len <= PAGE_SIZE - offset, "{len} bytes at {offset} are not in a frame");
    if !is_user_range(from, len) {
        return Err(Fault { copied: 0 });
    }
    outcome(len, machine::copy_frame_from_user(frame.pfn(), offset, from, len))
}

/// Copies a string of bytes up to its NUL, which is not counted. Bytes after it in `into` are unspecified.
pub fn copy_string(into: &mut [u8], from: Virt) -> Result<usize, StringError> {
    let mut done = 0;
    while done < into.len() {
        let at = from.checked_add(done as u64).filter(|at| at.is_user()).ok_or(StringError::Fault)?;
        // Not past the page: the next one need not exist when the string ends before it.
        let count = (PAGE_SIZE - at.page_offset()).min(into.len() - done).min(256);
        let chunk = &mut into[done..done + count];
        let copied = match copy_in(chunk, at) {
            Ok(()) => count,
            Err(fault) => fault.copied,
        };
        if let Some(end) = chunk[..copied].iter().position(|byte| *byte == 0) {
            return Ok(done + end);
        }
        if copied < count {
            return Err(StringError::Fault);
        }
        done += count;
    }
    Err(StringError::TooLong)
}

/// Reads an aligned word in one access.
pub fn load_u32(at: Virt) -> Result<u32, Fault> {
    aligned(at, 4)?;
    machine::load_user_u32(at).ok_or(Fault { copied: 0 })
}

/// Writes an aligned word in one access.
pub fn store_u32(at: Virt, value: u32) -> Result<(), Fault> {
    aligned(at, 4)?;
    copy_out(at, &value.to_ne_bytes())
}

/// Replaces `old` by `new` in one atomic step; the inner error is the value found instead of `old`.
pub fn compare_exchange_u32(at: Virt, old: u32, new: u32) -> Result<Result<u32, u32>, Fault> {
    aligned(at, 4)?;
    let found = machine::compare_exchange_user_u32(at, old, new).ok_or(Fault { copied: 0 })?;
    Ok(if found == old { Ok(old) } else { Err(found) })
}

pub fn load_u64(at: Virt) -> Result<u64, Fault> {
    let mut bytes = [0; 8];
    copy_in(&mut bytes, at)?;
    Ok(u64::from_ne_bytes(bytes))
}

pub fn store_u64(at: Virt, value: u64) -> Result<(), Fault> {
    copy_out(at, &value.to_ne_bytes())
}

fn aligned(at: Virt, size: u64) -> Result<(), Fault> {
    if at.0.is_multiple_of(size) && is_user_range(at, size as usize) { Ok(()) } else { Err(Fault { copied: 0 }) }
}
