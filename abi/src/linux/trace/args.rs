//! One argument.

use core::fmt::{self, Write};

use super::super::call::{ArgType, Call, FlagSet};
use super::super::consts::{self, fcntl, futex, ioctl};
use super::super::table::nr;
use super::{Memory, Outcome, Struct, flags, record, text};
use crate::Errno;

/// Prints `value` as `ty`. `outcome` is `None` before the call has run.
pub(super) fn format(
    call: &Call,
    ty: ArgType,
    value: u64,
    args: &[u64; 6],
    outcome: Option<Outcome>,
    memory: Memory<'_>,
    out: &mut dyn Write,
) -> fmt::Result {
    let other = |index: u8| args.get(usize::from(index)).copied().unwrap_or(0);
    // Outputs of a call that failed hold nothing: their address is all there is to say.
    let failed = outcome.is_some_and(|outcome| outcome.value().is_none());
    match ty {
        ArgType::Fd | ArgType::Int | ArgType::Pid => write!(out, "{}", value as i32),
        ArgType::DirFd if value as i32 == consts::AT_FDCWD => out.write_str("AT_FDCWD"),
        ArgType::DirFd => write!(out, "{}", value as i32),
        ArgType::Uid | ArgType::Gid if value as u32 == u32::MAX => out.write_str("-1"),
        ArgType::UInt | ArgType::Uid | ArgType::Gid => write!(out, "{}", value as u32),
        ArgType::Long | ArgType::Offset => write!(out, "{}", value as i64),
        ArgType::ULong | ArgType::Size => write!(out, "{value}"),
        ArgType::Hex if value == 0 => out.write_str("0"),
        ArgType::Hex => write!(out, "{value:#x}"),
        ArgType::Addr | ArgType::Ptr => text::address(value, out),
        ArgType::Signal => flags::signal(value, out),
        ArgType::Mode => flags::mode(value as u32, out),
        ArgType::Dev => record::device(value, out),
        ArgType::Path => text::path(value, memory, out),
        ArgType::Str => text::short_string(value, memory, out),
        ArgType::StrArray if is_environment(call, args, value) => text::environment(value, memory, out),
        ArgType::StrArray => text::strings(value, memory, out),
        ArgType::Flags(set) => flags::flags(set, value, out),
        ArgType::One(FlagSet::SockOpt) if other(1) as u32 != consts::sock_level::SOL_SOCKET => {
            write!(out, "{}", value as i32)
        }
        ArgType::One(set) => flags::one(set, value, out),
        ArgType::PathOut if failed => text::address(value, out),
        ArgType::PathOut => text::path(value, memory, out),
        ArgType::BufIn(length) => text::buffer(value, other(length), memory, out),
        ArgType::BufOut(_) => match outcome.and_then(Outcome::value) {
            Some(count) => text::buffer(value, count as u64, memory, out),
            None => text::address(value, out),
        },
        // The time that is left is written only when the sleep was cut short.
        ArgType::Out(Struct::Timespec) if matches!(u32::from(call.number), nr::NANOSLEEP | nr::CLOCK_NANOSLEEP) => {
            match outcome.and_then(Outcome::error) {
                Some(error) if error == Errno::EINTR || error.is_restart() => {
                    record::format(Struct::Timespec, value, 0, memory, out)
                }
                _ => text::address(value, out),
            }
        }
        ArgType::Out(_) | ArgType::OutArray(..) | ArgType::SockaddrOut(_) if failed => text::address(value, out),
        // What wait4 leaves untouched when there is nothing to report.
        ArgType::Out(Struct::WaitStatus | Struct::Rusage)
            if matches!(u32::from(call.number), nr::WAIT4) && outcome == Some(Outcome::Returned(0)) =>
        {
            text::address(value, out)
        }
        ArgType::Out(Struct::Dirents) => text::address(value, out),
        ArgType::In(kind) | ArgType::Out(kind) | ArgType::InOut(kind) => {
            record::format(kind, value, call_count(args), memory, out)
        }
        ArgType::InArray(kind, length) | ArgType::InOutArray(kind, length) => {
            record::array(kind, value, other(length), None, memory, out)
        }
        ArgType::OutArray(kind, length) => {
            let done = outcome.and_then(Outcome::value).and_then(|done| u64::try_from(done).ok());
            // readv returns bytes, spread over all its vectors; epoll_wait returns how many elements there are.
            match (kind, done) {
                (Struct::Iovec, _) => record::array(kind, value, other(length), done, memory, out),
                (_, Some(done)) => record::array(kind, value, done, None, memory, out),
                (_, None) => text::address(value, out),
            }
        }
        ArgType::SockaddrIn(length) => record::sockaddr(value, other(length), memory, out),
        ArgType::SockaddrOut(length) => match record::word(other(length), memory) {
            Some(len) => record::sockaddr(value, len.into(), memory, out),
            None => text::address(value, out),
        },
        ArgType::IoctlArg => ioctl_arg(args[1] as u32, value, failed, memory, out),
        ArgType::FcntlArg => fcntl_arg(args[1] as u32, value, memory, out),
        ArgType::FutexTimeout => match args[1] as u32 & consts::FUTEX_CMD_MASK {
            futex::FUTEX_REQUEUE | futex::FUTEX_CMP_REQUEUE | futex::FUTEX_WAKE_OP | futex::FUTEX_CMP_REQUEUE_PI => {
                write!(out, "{}", value as u32)
            }
            futex::FUTEX_WAKE_BITSET => text::address(value, out),
            _ => record::format(Struct::Timespec, value, 0, memory, out),
        },
    }
}

/// Descriptors in the sets of `select`: its first argument.
fn call_count(args: &[u64; 6]) -> u64 {
    args[0]
}

/// The second string array of `execve` and `execveat`.
fn is_environment(call: &Call, args: &[u64; 6], value: u64) -> bool {
    let place = if u32::from(call.number) == nr::EXECVEAT { 3 } else { 2 };
    args.get(place) == Some(&value) && args.get(place - 1) != Some(&value)
}

fn ioctl_arg(request: u32, value: u64, failed: bool, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    match request {
        ioctl::TIOCGWINSZ if !failed => record::winsize(value, memory, out),
        ioctl::TIOCSWINSZ => record::winsize(value, memory, out),
        ioctl::FIONREAD | ioctl::TIOCGPGRP | ioctl::TIOCGSID | ioctl::TIOCOUTQ | ioctl::TIOCGPTN if !failed => {
            record::format(Struct::Int, value, 0, memory, out)
        }
        ioctl::TIOCSPGRP | ioctl::FIONBIO | ioctl::FIOASYNC | ioctl::TIOCSPTLCK => {
            record::format(Struct::Int, value, 0, memory, out)
        }
        ioctl::TCGETS if !failed => record::termios(value, memory, out),
        ioctl::TCSETS | ioctl::TCSETSW | ioctl::TCSETSF => record::termios(value, memory, out),
        _ => text::address(value, out),
    }
}

fn fcntl_arg(command: u32, value: u64, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    match command {
        fcntl::F_SETFD => flags::bits(consts::fd_flags::NAMES, value, out),
        fcntl::F_SETFL => flags::flags(FlagSet::Open, value, out),
        fcntl::F_ADD_SEALS => flags::bits(consts::seal::NAMES, value, out),
        fcntl::F_GETLK
        | fcntl::F_SETLK
        | fcntl::F_SETLKW
        | fcntl::F_OFD_GETLK
        | fcntl::F_OFD_SETLK
        | fcntl::F_OFD_SETLKW => record::flock(value, memory, out),
        fcntl::F_DUPFD | fcntl::F_DUPFD_CLOEXEC | fcntl::F_SETOWN | fcntl::F_SETPIPE_SZ => {
            write!(out, "{}", value as i32)
        }
        _ => write!(out, "{value:#x}"),
    }
}
