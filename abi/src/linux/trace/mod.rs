//! Text for traces, in the manner of `strace(1)`: `openat(AT_FDCWD, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3`.
//!
//! A call is shown in two steps, because what it reads must be looked at before it runs and what it writes after:
//! [`format_enter`] prints the arguments up to the first output, [`format_result`] the rest and the result. Nothing here
//! allocates or panics: user memory is read in small pieces through a [`Memory`], which may refuse any address.

mod args;
mod flags;
mod record;
mod text;

use core::fmt::{self, Write};

use super::call::{ArgType, Call, ReturnType, Struct};
use super::consts::{fcntl, futex, mode, mremap, open};
use super::table::{self, nr};
use crate::Errno;

/// Reads memory of the traced program: fills as much of the buffer as is readable from the address on and returns how
/// many bytes that is, 0 for a bad address.
pub type Memory<'a> = &'a dyn Fn(u64, &mut [u8]) -> usize;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What is in the result register: a value, or minus an error number.
    Returned(i64),
    /// The thread did not come back: `exit`, or killed meanwhile.
    Gone,
}

impl Outcome {
    /// The error, if it is one. Internal restart codes count as errors.
    pub fn error(self) -> Option<Errno> {
        match self {
            Outcome::Returned(value @ -4095..=-1) => {
                u16::try_from(value.unsigned_abs()).ok().and_then(Errno::from_number)
            }
            _ => None,
        }
    }

    /// The value of a call that succeeded.
    pub(crate) fn value(self) -> Option<i64> {
        match self {
            Outcome::Returned(value) if !(-4095..0).contains(&value) => Some(value),
            _ => None,
        }
    }
}

/// Prints name and arguments, up to the first one that only the finished call has.
pub fn format_enter(number: u64, args: [u64; 6], memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    let Some(call) = table::lookup(number) else {
        write!(out, "syscall_{number:#x}(")?;
        for (position, arg) in args.iter().enumerate() {
            write!(out, "{}{arg:#x}", separator(position))?;
        }
        return Ok(());
    };
    write!(out, "{}(", call.name)?;
    let (shown, first_output) = extent(call, &args);
    show(call, &args, 0..first_output.min(shown), None, memory, out)
}

/// Prints what [`format_enter`] left out, and the result.
pub fn format_result(
    number: u64,
    args: [u64; 6],
    outcome: Outcome,
    memory: Memory<'_>,
    out: &mut dyn Write,
) -> fmt::Result {
    let call = table::lookup(number);
    if let Some(call) = call {
        let (shown, first_output) = extent(call, &args);
        show(call, &args, first_output.min(shown)..shown, Some(outcome), memory, out)?;
    }
    out.write_str(") = ")?;
    result(call, &args, outcome, memory, out)
}

/// Prints the whole line at once: for a call that is over, as long as its input is still what it was.
pub fn format_call(
    number: u64,
    args: [u64; 6],
    outcome: Outcome,
    memory: Memory<'_>,
    out: &mut dyn Write,
) -> fmt::Result {
    format_enter(number, args, memory, out)?;
    format_result(number, args, outcome, memory, out)
}

const fn separator(position: usize) -> &'static str {
    if position == 0 { "" } else { ", " }
}

/// How many arguments matter to this call, and which is the first that is written by it.
fn extent(call: &Call, args: &[u64; 6]) -> (usize, usize) {
    let [_, second, third, fourth, ..] = *args;
    let creates = |flags: u64| flags as u32 & (open::O_CREAT | open::O_TMPFILE & !open::O_DIRECTORY) != 0;
    let is_device = |value: u64| matches!(value as u32 & mode::S_IFMT, mode::S_IFCHR | mode::S_IFBLK);
    let shown = match u32::from(call.number) {
        nr::OPEN if !creates(second) => 2,
        nr::OPENAT if !creates(third) => 3,
        nr::MKNOD if !is_device(second) => 2,
        nr::MKNODAT if !is_device(third) => 3,
        nr::MREMAP if fourth as u32 & mremap::MREMAP_FIXED == 0 => 4,
        nr::FCNTL if matches!(second as u32, fcntl::F_GETFD | fcntl::F_GETFL | fcntl::F_GETOWN | fcntl::F_GETSIG) => 2,
        nr::FUTEX => match second as u32 & super::consts::FUTEX_CMD_MASK {
            futex::FUTEX_WAKE | futex::FUTEX_UNLOCK_PI | futex::FUTEX_TRYLOCK_PI => 3,
            futex::FUTEX_WAIT | futex::FUTEX_LOCK_PI => 4,
            futex::FUTEX_REQUEUE => 5,
            _ => 6,
        },
        _ => call.args.len(),
    };
    let first_output = call.args.iter().position(|arg| arg.ty.is_output()).unwrap_or(shown);
    (shown, first_output)
}

fn show(
    call: &Call,
    args: &[u64; 6],
    range: core::ops::Range<usize>,
    outcome: Option<Outcome>,
    memory: Memory<'_>,
    out: &mut dyn Write,
) -> fmt::Result {
    let rows = call.args.iter().zip(args).enumerate();
    for (position, (arg, &value)) in rows.take(range.end).skip(range.start) {
        out.write_str(separator(position))?;
        args::format(call, arg.ty, value, args, outcome, memory, out)?;
    }
    Ok(())
}

fn result(
    call: Option<&'static Call>,
    args: &[u64; 6],
    outcome: Outcome,
    memory: Memory<'_>,
    out: &mut dyn Write,
) -> fmt::Result {
    if let Some(error) = outcome.error() {
        return if error.is_restart() {
            write!(out, "? {} (To be restarted)", error.name())
        } else {
            write!(out, "-1 {} ({})", error.name(), error.message())
        };
    }
    let Outcome::Returned(value) = outcome else {
        return out.write_str("?");
    };
    match call.map(|call| call.ret) {
        Some(ReturnType::Addr | ReturnType::Hex) => write!(out, "{value:#x}")?,
        Some(ReturnType::Mode) => write!(out, "0{value:o}")?,
        Some(ReturnType::SignalNumber) => {
            write!(out, "{value} (")?;
            flags::signal(value as u64, out)?;
            out.write_str(")")?;
        }
        _ => write!(out, "{value}")?,
    }
    // The answer of poll lies in the array that it was asked with.
    if let Some(ArgType::InOutArray(Struct::PollFd, length)) = call.and_then(|call| call.args.first()).map(|arg| arg.ty)
        && value > 0
    {
        let count = args.get(usize::from(length)).copied().unwrap_or(0);
        out.write_str(" (")?;
        record::poll_results(args[0], count, memory, out)?;
        out.write_str(")")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
