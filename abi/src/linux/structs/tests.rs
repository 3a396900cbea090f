//! The layout must be the one that C programs were compiled against: the `libc` crate is the oracle.

use super::*;
use core::mem::{offset_of, size_of};
use proptest::prelude::*;

macro_rules! same_layout {
    ($ours:ident = $theirs:ident { $($field:ident = $their_field:ident),* $(,)? }) => {
        assert_eq!(size_of::<$ours>(), size_of::<libc::$theirs>(), stringify!($ours));
        $(assert_eq!(
            offset_of!($ours, $field),
            offset_of!(libc::$theirs, $their_field),
            concat!(stringify!($ours), ".", stringify!($field)),
        );)*
    };
}

#[test]
fn layouts_are_those_of_c() {
    same_layout!(Stat = stat { nlink = st_nlink, mode = st_mode, rdev = st_rdev, size = st_size, blocks = st_blocks, atime = st_atime, ctime = st_ctime });
    same_layout!(Statx = statx { nlink = stx_nlink, mode = stx_mode, ino = stx_ino, attributes_mask = stx_attributes_mask, mtime = stx_mtime, rdev_major = stx_rdev_major, mnt_id = stx_mnt_id });
    same_layout!(Statfs = statfs { fsid = f_fsid, namelen = f_namelen, frsize = f_frsize });
    same_layout!(Flock = flock { start = l_start, pid = l_pid });
    same_layout!(Rusage = rusage { maxrss = ru_maxrss, nivcsw = ru_nivcsw });
    same_layout!(Utsname = utsname { machine = machine });
    same_layout!(Sysinfo = sysinfo { procs = procs, totalhigh = totalhigh, mem_unit = mem_unit });
    same_layout!(Timex = timex { status = status, time = time, shift = shift, tai = tai });
    same_layout!(Sigaltstack = stack_t { size = ss_size });
    same_layout!(Siginfo = siginfo_t { code = si_code });
    same_layout!(Sigevent = sigevent { notify = sigev_notify, tid = sigev_notify_thread_id });
    same_layout!(SignalfdSiginfo = signalfd_siginfo { ptr = ssi_ptr, addr = ssi_addr });
    same_layout!(CloneArgs = clone_args { stack = stack, cgroup = cgroup });
    same_layout!(PollFd = pollfd { revents = revents });
    same_layout!(EpollEvent = epoll_event { data = u64 });
    same_layout!(MsgHdr = msghdr { iov = msg_iov, controllen = msg_controllen, flags = msg_flags });
    same_layout!(MmsgHdr = mmsghdr { len = msg_len });
    same_layout!(Cmsghdr = cmsghdr { kind = cmsg_type });
    same_layout!(Ucred = ucred { gid = gid });
    same_layout!(SockaddrUn = sockaddr_un { path = sun_path });
    same_layout!(SockaddrIn6 = sockaddr_in6 { addr = sin6_addr, scope_id = sin6_scope_id });
    same_layout!(Termios2 = termios2 { cc = c_cc, ospeed = c_ospeed });
    same_layout!(Winsize = winsize { columns = ws_col });
    same_layout!(Tms = tms { cstime = tms_cstime });
    same_layout!(Itimerspec = itimerspec { value = it_value });
    same_layout!(OpenHow = open_how { resolve = resolve });
    assert_eq!(offset_of!(Ucontext, mcontext), offset_of!(libc::ucontext_t, uc_mcontext));
    assert_eq!(offset_of!(Ucontext, sigmask), offset_of!(libc::ucontext_t, uc_sigmask));
    assert_eq!(offset_of!(Dirent64, kind), offset_of!(libc::dirent64, d_type));
}

#[test]
fn a_siginfo_reads_as_c_reads_it() {
    let info = Siginfo::child(1, 77, 1000, 3, 5, 6);
    let at = |offset: usize| info.as_bytes()[offset];
    assert_eq!((at(0), at(8), at(16), at(24), at(32), at(40)), (17, 1, 77, 3, 5, 6));
    assert_eq!((info.pid(), info.uid(), info.status()), (77, 1000, 3));
    assert_eq!(Siginfo::fault(11, 1, 0xdead_beef).addr(), 0xdead_beef);
    assert_eq!(Siginfo::queue(34, -1, 1, 2, 42).value(), 42);
}

#[test]
fn directory_records_are_padded_and_checked() {
    let mut out = [0xff_u8; 64];
    assert_eq!(Dirent64::write(&mut out, 9, 1, 4, b"etc"), Some(24));
    let (head, _) = Dirent64::read_from_prefix(&out).expect("64 bytes hold a header");
    assert_eq!(head, Dirent64 { ino: 9, off: 1, reclen: 24, kind: 4 });
    assert_eq!(&out[19..24], b"etc\0\0");
    assert_eq!(out[24], 0xff);
    assert_eq!(Dirent64::write(&mut out[..23], 9, 1, 4, b"etc"), None);
}

proptest! {
    #[test]
    fn device_numbers_survive(major_number in 0u32.., minor_number in 0u32..) {
        let dev = makedev(major_number, minor_number);
        prop_assert_eq!((major(dev), minor(dev)), (major_number, minor_number));
        prop_assert_eq!(dev, libc::makedev(major_number, minor_number));
    }

    #[test]
    fn nanoseconds_survive(nanos in 0u64..) {
        prop_assert_eq!(Timespec::from_nanos(nanos).to_nanos(), Some(nanos));
        prop_assert_eq!(Timeval::from_nanos(nanos).to_nanos(), Some(nanos / 1000 * 1000));
    }

    #[test]
    fn times_that_are_not_normalised_are_refused(sec in any::<i64>(), nsec in any::<i64>()) {
        let valid = sec >= 0 && (0..1_000_000_000).contains(&nsec);
        prop_assert_eq!(Timespec { sec, nsec }.to_nanos().is_some(), valid);
    }
}
