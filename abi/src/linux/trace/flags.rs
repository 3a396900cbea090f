//! Numbers by name.

use core::fmt::{self, Write};

use super::super::call::FlagSet;
use super::super::consts::{self, Named};

/// Words as long as a register; all other sets are C `int`s, whose upper half may hold anything.
const fn is_wide(set: FlagSet) -> bool {
    matches!(set, FlagSet::Clone | FlagSet::Mount)
}

pub(crate) const fn names(set: FlagSet) -> &'static [Named] {
    match set {
        FlagSet::Access => consts::access::NAMES,
        FlagSet::AddressFamily => consts::family::NAMES,
        FlagSet::ArchPrctl => consts::arch_prctl::NAMES,
        FlagSet::At => consts::at::NAMES,
        FlagSet::AtAccess => consts::at_access::NAMES,
        FlagSet::AtRemove => consts::at_remove::NAMES,
        FlagSet::Clock => consts::clock::NAMES,
        FlagSet::Clone => consts::clone::NAMES,
        FlagSet::CloseRange => consts::close_range::NAMES,
        FlagSet::EpollCreate => consts::epoll_create::NAMES,
        FlagSet::EpollOp => consts::epoll_op::NAMES,
        FlagSet::Eventfd => consts::eventfd::NAMES,
        FlagSet::Fadvise => consts::fadvise::NAMES,
        FlagSet::Fallocate => consts::fallocate::NAMES,
        FlagSet::Fcntl => consts::fcntl::NAMES,
        FlagSet::FlockOp => consts::flock_op::NAMES,
        FlagSet::Futex => consts::futex::NAMES,
        FlagSet::Getrandom => consts::getrandom::NAMES,
        FlagSet::IdType => consts::id_type::NAMES,
        FlagSet::Ioctl => consts::ioctl::NAMES,
        FlagSet::Itimer => consts::itimer::NAMES,
        FlagSet::Madvise => consts::madvise::NAMES,
        FlagSet::Map => consts::map::NAMES,
        FlagSet::Membarrier => consts::membarrier::NAMES,
        FlagSet::Memfd => consts::memfd::NAMES,
        FlagSet::Mlockall => consts::mlockall::NAMES,
        FlagSet::Mount => consts::mount::NAMES,
        FlagSet::Mremap => consts::mremap::NAMES,
        FlagSet::Msg => consts::msg::NAMES,
        FlagSet::Msync => consts::msync::NAMES,
        FlagSet::Open | FlagSet::OpenBits => consts::open::NAMES,
        FlagSet::Prctl => consts::prctl::NAMES,
        FlagSet::Prot => consts::prot::NAMES,
        FlagSet::Reboot => consts::reboot::NAMES,
        FlagSet::Rename => consts::rename::NAMES,
        FlagSet::Rlimit => consts::resource::NAMES,
        FlagSet::Rusage => consts::rusage_who::NAMES,
        FlagSet::Rwf => consts::rwf::NAMES,
        FlagSet::SchedPolicy => consts::sched_policy::NAMES,
        FlagSet::Seek => consts::seek::NAMES,
        FlagSet::Shutdown => consts::shutdown::NAMES,
        FlagSet::SigHow => consts::sig_how::NAMES,
        FlagSet::Signalfd => consts::signalfd::NAMES,
        FlagSet::SockLevel => consts::sock_level::NAMES,
        FlagSet::SockOpt => consts::sock_opt::NAMES,
        FlagSet::SocketType => consts::socket_type::NAMES,
        FlagSet::StatxMask => consts::statx_mask::NAMES,
        FlagSet::TimerFlags => consts::timer_flags::NAMES,
        FlagSet::Timerfd => consts::timerfd::NAMES,
        FlagSet::Umount => consts::umount::NAMES,
        FlagSet::Wait => consts::wait::NAMES,
    }
}

fn name_of(names: &[Named], value: u64) -> Option<&'static str> {
    names.iter().find(|row| row.0 as u32 == value as u32).map(|row| row.1)
}

/// One value.
pub(super) fn one(set: FlagSet, value: u64, out: &mut dyn Write) -> fmt::Result {
    if set == FlagSet::Futex {
        return futex(value as u32, out);
    }
    match name_of(names(set), value) {
        Some(name) => out.write_str(name),
        None => write!(out, "{:#x}", value as u32),
    }
}

/// Bits of a set; a part of some sets is not bits but a value under a mask.
pub(super) fn flags(set: FlagSet, value: u64, out: &mut dyn Write) -> fmt::Result {
    let value = if is_wide(set) { value } else { value & 0xffff_ffff };
    match set {
        FlagSet::Open => masked(set, value, consts::open::O_ACCMODE.into(), out),
        FlagSet::OpenBits if value == 0 => out.write_str("0"),
        FlagSet::Map => masked(set, value, consts::MAP_TYPE.into(), out),
        FlagSet::SocketType => masked(set, value, consts::SOCK_TYPE_MASK.into(), out),
        FlagSet::Clone => {
            let signo = value & consts::CSIGNAL;
            if value != signo || signo == 0 {
                bits(names(set), value & !consts::CSIGNAL, out)?;
            }
            if signo != 0 {
                out.write_str(if value == signo { "" } else { "|" })?;
                signal(signo, out)?;
            }
            Ok(())
        }
        _ => bits(names(set), value, out),
    }
}

fn masked(set: FlagSet, value: u64, mask: u64, out: &mut dyn Write) -> fmt::Result {
    one(set, value & mask, out)?;
    if value & !mask != 0 {
        out.write_str("|")?;
        bits(names(set), value & !mask, out)?;
    }
    Ok(())
}

/// Names of the bits in a word, and what is left as a number.
pub(super) fn bits(names: &[Named], value: u64, out: &mut dyn Write) -> fmt::Result {
    if value == 0 {
        let zero = names.iter().find(|row| row.0 == 0);
        return out.write_str(zero.map_or("0", |row| row.1));
    }
    let mut left = value;
    for &(bit, name) in names {
        if bit != 0 && left & bit == bit {
            out.write_str(if left == value { "" } else { "|" })?;
            out.write_str(name)?;
            left &= !bit;
        }
    }
    match left {
        0 => Ok(()),
        _ if left == value => write!(out, "{left:#x}"),
        _ => write!(out, "|{left:#x}"),
    }
}

fn futex(op: u32, out: &mut dyn Write) -> fmt::Result {
    match name_of(consts::futex::NAMES, u64::from(op & consts::FUTEX_CMD_MASK)) {
        Some(name) => out.write_str(name)?,
        None => return write!(out, "{op:#x}"),
    }
    if op & consts::FUTEX_PRIVATE_FLAG != 0 {
        out.write_str("_PRIVATE")?;
    }
    if op & consts::FUTEX_CLOCK_REALTIME != 0 {
        out.write_str("|FUTEX_CLOCK_REALTIME")?;
    }
    Ok(())
}

/// A signal number.
pub(super) fn signal(value: u64, out: &mut dyn Write) -> fmt::Result {
    match value as u32 {
        consts::SIGRTMIN => out.write_str("SIGRTMIN"),
        number @ consts::SIGRTMIN..=consts::NSIG => write!(out, "SIGRT_{}", number - consts::SIGRTMIN),
        number => match name_of(consts::signal::NAMES, number.into()) {
            Some(name) => out.write_str(name),
            None => write!(out, "{}", number as i32),
        },
    }
}

/// A signal set: the names in it, or the names missing from it when these are fewer.
pub(super) fn sigset(set: u64, out: &mut dyn Write) -> fmt::Result {
    let (shown, mark) = if set.count_ones() > 32 { (!set, "~[") } else { (set, "[") };
    out.write_str(mark)?;
    let mut first = true;
    for number in (1..=u64::from(consts::NSIG)).filter(|number| shown >> (number - 1) & 1 != 0) {
        out.write_str(if first { "" } else { " " })?;
        first = false;
        match name_of(consts::signal::NAMES, number) {
            Some(name) => out.write_str(name.trim_start_matches("SIG"))?,
            None if number == u64::from(consts::SIGRTMIN) => out.write_str("RTMIN")?,
            None => write!(out, "RT_{}", number.saturating_sub(consts::SIGRTMIN.into()))?,
        }
    }
    out.write_str("]")
}

/// File type and permissions.
pub(super) fn mode(value: u32, out: &mut dyn Write) -> fmt::Result {
    let kind = value & consts::mode::S_IFMT;
    if kind != 0 {
        match name_of(consts::mode::NAMES, kind.into()) {
            Some(name) => write!(out, "{name}|")?,
            None => write!(out, "0{kind:o}|")?,
        }
    }
    write!(out, "0{:03o}", value & !consts::mode::S_IFMT)
}
