//! Structures behind pointers: the fields that a reader of a trace wants, `...` for the rest.

use core::fmt::{self, Write};

use super::super::call::Struct;
use super::super::consts;
use super::super::structs::*;
use super::{Memory, flags, text};

/// Elements of an array that are shown.
const SHOWN: u64 = 16;

/// The value at an address; `None` when it is not readable as a whole.
fn read<T: FromBytes + IntoBytes>(addr: u64, memory: Memory<'_>) -> Option<T> {
    let mut value = T::new_zeroed();
    let bytes = value.as_mut_bytes();
    let whole = bytes.len();
    (addr != 0 && memory(addr, bytes) == whole).then_some(value)
}

/// A 32-bit word.
pub(super) fn word(addr: u64, memory: Memory<'_>) -> Option<u32> {
    read(addr, memory)
}

/// Prints through `show` what is at `addr`, or the address.
fn with<T: FromBytes + IntoBytes>(
    addr: u64,
    memory: Memory<'_>,
    out: &mut dyn Write,
    show: impl FnOnce(T, &mut dyn Write) -> fmt::Result,
) -> fmt::Result {
    match read(addr, memory) {
        Some(value) => show(value, out),
        None => text::address(addr, out),
    }
}

/// Prints the structure at `addr`. `count` is the number of descriptors for an `fd_set`.
pub(super) fn format(kind: Struct, addr: u64, count: u64, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    match kind {
        Struct::Int => with(addr, memory, out, |v: i32, out| write!(out, "[{v}]")),
        Struct::UInt => with(addr, memory, out, |v: u32, out| write!(out, "[{v}]")),
        Struct::Long => with(addr, memory, out, |v: i64, out| write!(out, "[{v}]")),
        Struct::IntPair => with(addr, memory, out, |v: [i32; 2], out| write!(out, "[{}, {}]", v[0], v[1])),
        Struct::Timespec => with(addr, memory, out, timespec),
        Struct::TimespecPair => with(addr, memory, out, |v: [Timespec; 2], out| pair(v, timespec, out)),
        Struct::Timeval => with(addr, memory, out, timeval),
        Struct::TimevalPair => with(addr, memory, out, |v: [Timeval; 2], out| pair(v, timeval, out)),
        Struct::Itimerspec => {
            with(addr, memory, out, |v: Itimerspec, out| interval(v.interval, v.value, timespec, out))
        }
        Struct::Itimerval => with(addr, memory, out, |v: Itimerval, out| interval(v.interval, v.value, timeval, out)),
        Struct::Stat => with(addr, memory, out, |v: Stat, out| stat(v.mode, v.size, v.rdev, out)),
        Struct::Statx => with(addr, memory, out, |v: Statx, out| {
            out.write_str("{stx_mask=")?;
            flags::bits(consts::statx_mask::NAMES, v.mask.into(), out)?;
            out.write_str(", stx_mode=")?;
            flags::mode(v.mode.into(), out)?;
            write!(out, ", stx_size={}, ...}}", v.size)
        }),
        Struct::Rlimit => with(addr, memory, out, |v: Rlimit, out| {
            out.write_str("{rlim_cur=")?;
            limit(v.current, out)?;
            out.write_str(", rlim_max=")?;
            limit(v.maximum, out)?;
            out.write_str("}")
        }),
        Struct::Utsname => with(addr, memory, out, |v: Utsname, out| {
            let end = v.nodename.iter().position(|&byte| byte == 0).unwrap_or(0);
            let name = v.nodename.get(..end).and_then(|name| core::str::from_utf8(name).ok()).unwrap_or("?");
            write!(out, "{{nodename={name:?}, ...}}")
        }),
        Struct::Sysinfo => with(addr, memory, out, |v: Sysinfo, out| {
            write!(
                out,
                "{{uptime={}, totalram={}, freeram={}, procs={}, ...}}",
                v.uptime, v.totalram, v.freeram, v.procs
            )
        }),
        Struct::Rusage => with(addr, memory, out, |v: Rusage, out| {
            out.write_str("{ru_utime=")?;
            timeval(v.utime, out)?;
            out.write_str(", ru_stime=")?;
            timeval(v.stime, out)?;
            out.write_str(", ...}")
        }),
        Struct::Sigset => with(addr, memory, out, |v: u64, out| flags::sigset(v, out)),
        Struct::Sigaction => with(addr, memory, out, sigaction),
        Struct::Sigaltstack => with(addr, memory, out, |v: Sigaltstack, out| {
            write!(out, "{{ss_sp={:#x}, ss_flags=", v.sp)?;
            flags::bits(consts::ss_flags::NAMES, v.flags.into(), out)?;
            write!(out, ", ss_size={}}}", v.size)
        }),
        Struct::Siginfo => with(addr, memory, out, siginfo),
        Struct::WaitStatus => with(addr, memory, out, |v: i32, out| wait_status(v, out)),
        Struct::CloneArgs => with(addr, memory, out, |v: CloneArgs, out| {
            out.write_str("{flags=")?;
            flags::bits(consts::clone::NAMES, v.flags, out)?;
            out.write_str(", exit_signal=")?;
            flags::signal(v.exit_signal, out)?;
            write!(out, ", stack={:#x}, stack_size={:#x}, tls={:#x}, ...}}", v.stack, v.stack_size, v.tls)
        }),
        Struct::OpenHow => with(addr, memory, out, |v: OpenHow, out| {
            out.write_str("{flags=")?;
            flags::flags(super::super::call::FlagSet::Open, v.flags, out)?;
            write!(out, ", mode=0{:03o}, resolve=", v.mode)?;
            flags::bits(consts::resolve::NAMES, v.resolve, out)?;
            out.write_str("}")
        }),
        Struct::PollFd => with(addr, memory, out, |v: PollFd, out| {
            write!(out, "{{fd={}, events=", v.fd)?;
            flags::bits(consts::poll::NAMES, v.events.into(), out)?;
            out.write_str("}")
        }),
        Struct::EpollEvent => with(addr, memory, out, |v: EpollEvent, out| {
            out.write_str("{events=")?;
            flags::bits(consts::epoll::NAMES, { v.events }.into(), out)?;
            write!(out, ", data={:#x}}}", { v.data })
        }),
        Struct::SchedParam => with(addr, memory, out, |v: SchedParam, out| write!(out, "[{}]", v.priority)),
        Struct::FdSet => fd_set(addr, count, memory, out),
        Struct::MsgHdr => with(addr, memory, out, |v: MsgHdr, out| {
            out.write_str("{msg_name=")?;
            sockaddr(v.name, v.namelen.into(), memory, out)?;
            out.write_str(", msg_iov=")?;
            array(Struct::Iovec, v.iov, v.iovlen, None, memory, out)?;
            write!(out, ", msg_iovlen={}, msg_controllen={}, ...}}", v.iovlen, v.controllen)
        }),
        _ => text::address(addr, out),
    }
}

/// Prints an array. `bytes`, for I/O vectors, is how much of the buffers counts: all of it when `None`.
pub(super) fn array(
    kind: Struct,
    addr: u64,
    count: u64,
    bytes: Option<u64>,
    memory: Memory<'_>,
    out: &mut dyn Write,
) -> fmt::Result {
    let size = match kind {
        Struct::PollFd => 8,
        Struct::EpollEvent => 12,
        Struct::Iovec => 16,
        _ => return text::address(addr, out),
    };
    if addr == 0 || (count != 0 && read::<u32>(addr, memory).is_none()) {
        return text::address(addr, out);
    }
    let mut left = bytes.unwrap_or(u64::MAX);
    out.write_str("[")?;
    for index in 0..count.min(SHOWN) {
        out.write_str(super::separator(index as usize))?;
        let element = addr.wrapping_add(index.wrapping_mul(size));
        if kind == Struct::Iovec {
            with(element, memory, out, |v: Iovec, out| {
                let shown = v.len.min(left);
                left -= shown;
                out.write_str("{iov_base=")?;
                text::buffer(v.base, shown, memory, out)?;
                write!(out, ", iov_len={}}}", v.len)
            })?;
        } else {
            format(kind, element, 0, memory, out)?;
        }
    }
    out.write_str(if count > SHOWN { ", ...]" } else { "]" })
}

/// The entries of a poll array that are ready.
pub(super) fn poll_results(addr: u64, count: u64, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    out.write_str("[")?;
    let mut first = true;
    for index in 0..count.min(SHOWN) {
        let Some(entry) = read::<PollFd>(addr.wrapping_add(index.wrapping_mul(8)), memory) else { break };
        if entry.revents != 0 {
            write!(out, "{}{{fd={}, revents=", if first { "" } else { ", " }, entry.fd)?;
            flags::bits(consts::poll::NAMES, entry.revents.into(), out)?;
            out.write_str("}")?;
            first = false;
        }
    }
    out.write_str("]")
}

/// A socket address of that length.
pub(super) fn sockaddr(addr: u64, len: u64, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    let mut bytes = [0; size_of::<SockaddrUn>()];
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len());
    let got = bytes.get_mut(..len).map_or(0, |place| memory(addr, place));
    let Some(&[low, high]) = bytes.first_chunk::<2>().filter(|_| addr != 0 && got == len && len >= 2) else {
        return text::address(addr, out);
    };
    out.write_str("{sa_family=")?;
    let family = u16::from_le_bytes([low, high]);
    flags::one(super::super::call::FlagSet::AddressFamily, family.into(), out)?;
    match u32::from(family) {
        consts::family::AF_UNIX if bytes.get(2) == Some(&0) && len > 2 => {
            out.write_str(", sun_path=@")?;
            text::buffer(addr.wrapping_add(3), len.saturating_sub(3) as u64, memory, out)?;
        }
        consts::family::AF_UNIX if len > 2 => {
            let name = bytes.get(2..len).unwrap_or(&[]);
            let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
            out.write_str(", sun_path=")?;
            text::buffer(addr.wrapping_add(2), end as u64, memory, out)?;
        }
        consts::family::AF_INET => {
            if let Ok((v, _)) = SockaddrIn::read_from_prefix(&bytes) {
                let [a, b, c, d] = v.addr;
                write!(out, ", sin_port={}, sin_addr={a}.{b}.{c}.{d}", u16::from_be_bytes(v.port))?;
            }
        }
        _ => {}
    }
    out.write_str("}")
}

/// A device number.
pub(super) fn device(dev: u64, out: &mut dyn Write) -> fmt::Result {
    write!(out, "makedev({:#x}, {:#x})", major(dev), minor(dev))
}

pub(super) fn winsize(addr: u64, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    with(addr, memory, out, |v: Winsize, out| {
        write!(out, "{{ws_row={}, ws_col={}, ws_xpixel={}, ws_ypixel={}}}", v.rows, v.columns, v.xpixel, v.ypixel)
    })
}

pub(super) fn termios(addr: u64, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    with(addr, memory, out, |v: Termios, out| {
        out.write_str("{c_iflag=")?;
        flags::bits(consts::iflag::NAMES, v.iflag.into(), out)?;
        out.write_str(", c_lflag=")?;
        flags::bits(consts::lflag::NAMES, v.lflag.into(), out)?;
        out.write_str(", ...}")
    })
}

pub(super) fn flock(addr: u64, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    with(addr, memory, out, |v: Flock, out| {
        let kind = consts::lock_type::NAMES.iter().find(|row| row.0 == u64::from(v.kind as u16));
        let whence = consts::seek::NAMES.iter().find(|row| row.0 == u64::from(v.whence as u16));
        let (kind, whence) = (kind.map_or("?", |row| row.1), whence.map_or("?", |row| row.1));
        write!(out, "{{l_type={kind}, l_whence={whence}, l_start={}, l_len={}}}", v.start, v.len)
    })
}

fn timespec(v: Timespec, out: &mut dyn Write) -> fmt::Result {
    match v.nsec {
        consts::UTIME_NOW => out.write_str("UTIME_NOW"),
        consts::UTIME_OMIT => out.write_str("UTIME_OMIT"),
        nsec => write!(out, "{{tv_sec={}, tv_nsec={nsec}}}", v.sec),
    }
}

fn timeval(v: Timeval, out: &mut dyn Write) -> fmt::Result {
    write!(out, "{{tv_sec={}, tv_usec={}}}", v.sec, v.usec)
}

fn pair<T>(values: [T; 2], show: fn(T, &mut dyn Write) -> fmt::Result, out: &mut dyn Write) -> fmt::Result {
    let [first, second] = values;
    out.write_str("[")?;
    show(first, out)?;
    out.write_str(", ")?;
    show(second, out)?;
    out.write_str("]")
}

fn interval<T>(interval: T, value: T, show: fn(T, &mut dyn Write) -> fmt::Result, out: &mut dyn Write) -> fmt::Result {
    out.write_str("{it_interval=")?;
    show(interval, out)?;
    out.write_str(", it_value=")?;
    show(value, out)?;
    out.write_str("}")
}

fn stat(mode: u32, size: i64, rdev: u64, out: &mut dyn Write) -> fmt::Result {
    out.write_str("{st_mode=")?;
    flags::mode(mode, out)?;
    if matches!(mode & consts::mode::S_IFMT, consts::mode::S_IFCHR | consts::mode::S_IFBLK) {
        out.write_str(", st_rdev=")?;
        device(rdev, out)?;
    } else {
        write!(out, ", st_size={size}")?;
    }
    out.write_str(", ...}")
}

fn limit(value: u64, out: &mut dyn Write) -> fmt::Result {
    match value {
        consts::RLIM_INFINITY => out.write_str("RLIM64_INFINITY"),
        value if value >= 1024 && value % 1024 == 0 => write!(out, "{}*1024", value / 1024),
        value => write!(out, "{value}"),
    }
}

fn sigaction(v: Sigaction, out: &mut dyn Write) -> fmt::Result {
    out.write_str("{sa_handler=")?;
    match v.handler {
        consts::SIG_DFL => out.write_str("SIG_DFL")?,
        consts::SIG_IGN => out.write_str("SIG_IGN")?,
        handler => write!(out, "{handler:#x}")?,
    }
    out.write_str(", sa_mask=")?;
    flags::sigset(v.mask, out)?;
    out.write_str(", sa_flags=")?;
    flags::bits(consts::sa_flags::NAMES, v.flags, out)?;
    if v.flags & consts::sa_flags::SA_RESTORER != 0 {
        write!(out, ", sa_restorer={:#x}", v.restorer)?;
    }
    out.write_str("}")
}

fn siginfo(v: Siginfo, out: &mut dyn Write) -> fmt::Result {
    out.write_str("{si_signo=")?;
    flags::signal(v.signo as u32 as u64, out)?;
    write!(out, ", si_code={}, si_pid={}, si_uid={}", v.code, v.pid(), v.uid())?;
    if v.signo as u32 == consts::signal::SIGCHLD {
        write!(out, ", si_status={}", v.status())?;
    }
    out.write_str(", ...}")
}

fn wait_status(status: i32, out: &mut dyn Write) -> fmt::Result {
    let signal = (status & 0x7f) as u64;
    let high = status >> 8 & 0xff;
    match (status, signal) {
        (wait_status::CONTINUED, _) => out.write_str("[{WIFCONTINUED(s)}]"),
        (_, 0) => write!(out, "[{{WIFEXITED(s) && WEXITSTATUS(s) == {high}}}]"),
        (_, 0x7f) => {
            out.write_str("[{WIFSTOPPED(s) && WSTOPSIG(s) == ")?;
            flags::signal(high as u64, out)?;
            out.write_str("}]")
        }
        _ => {
            out.write_str("[{WIFSIGNALED(s) && WTERMSIG(s) == ")?;
            flags::signal(signal, out)?;
            out.write_str(if status & 0x80 != 0 { " && WCOREDUMP(s)}]" } else { "}]" })
        }
    }
}

fn fd_set(addr: u64, count: u64, memory: Memory<'_>, out: &mut dyn Write) -> fmt::Result {
    if addr == 0 || read::<u8>(addr, memory).is_none() {
        return text::address(addr, out);
    }
    out.write_str("[")?;
    let mut first = true;
    for fd in 0..count.min(consts::FD_SETSIZE as u64) {
        let byte: u8 = read(addr.wrapping_add(fd / 8), memory).unwrap_or(0);
        if byte >> (fd % 8) & 1 != 0 {
            write!(out, "{}{fd}", if first { "" } else { " " })?;
            first = false;
        }
    }
    out.write_str("]")
}
