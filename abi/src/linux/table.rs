//! Every x86-64 Linux system call, one line each: number, constant, name, support level, arguments, result, note.
//!
//! Dispatch, tracing and `docs/abi/linux.md` are made from these rows. The level says what this kernel does today:
//! whoever adds or narrows a call edits its line, and nothing else. Numbers that Linux leaves free are [`HOLES`].
//!
//! `BufIn(n)`, `BufOut(n)` and the arrays carry the index of the argument that holds their length.

use core::ops::RangeInclusive;

use super::call::ArgType::*;
use super::call::FlagSet as F;
use super::call::Struct as S;
use super::call::Support::*;
use super::call::{Arg, Call, ReturnType};
use crate::Errno;

/// The highest number in the table (Linux 6.12).
pub const LAST: usize = 462;

/// Numbers that Linux itself never assigned on x86-64.
pub const HOLES: RangeInclusive<usize> = 336..=423;

/// The row of a call number; `None` for a hole or a number past the end. Constant time.
pub fn lookup(number: u64) -> Option<&'static Call> {
    let row = *INDEX.get(usize::try_from(number).ok()?)?;
    CALLS.get(usize::from(row))
}

/// The row with that name. Linear: for tools and tests, not for dispatch.
pub fn by_name(name: &str) -> Option<&'static Call> {
    CALLS.iter().find(|call| call.name == name)
}

const NO_ROW: u16 = u16::MAX;

static INDEX: [u16; LAST + 1] = {
    let mut index = [NO_ROW; LAST + 1];
    let mut row = 0;
    while row < CALLS.len() {
        index[CALLS[row].number as usize] = row as u16;
        row += 1;
    }
    index
};

macro_rules! calls {
    ($($number:literal $constant:ident $name:ident, $level:expr, ($($arg:ident: $ty:expr),*) -> $ret:ident $(, $note:literal)?;)*) => {
        /// Call numbers by name: `nr::READ`.
        pub mod nr {
            $(#[doc = concat!("`", stringify!($name), "`")] pub const $constant: u32 = $number;)*
        }

        /// All rows, by number.
        pub static CALLS: &[Call] = &[$(Call {
            number: $number,
            name: stringify!($name),
            args: &[$(Arg { name: stringify!($arg), ty: $ty },)*],
            ret: ReturnType::$ret,
            support: $level,
            note: concat!("" $(, $note)?),
        },)*];
    };
}

calls! {
    0 READ read, Full, (fd: Fd, buf: BufOut(2), count: Size) -> Count;
    1 WRITE write, Full, (fd: Fd, buf: BufIn(2), count: Size) -> Count;
    2 OPEN open, Full, (path: Path, flags: Flags(F::Open), mode: Mode) -> Fd;
    3 CLOSE close, Full, (fd: Fd) -> Zero;
    4 STAT stat, Full, (path: Path, statbuf: Out(S::Stat)) -> Zero;
    5 FSTAT fstat, Full, (fd: Fd, statbuf: Out(S::Stat)) -> Zero;
    6 LSTAT lstat, Full, (path: Path, statbuf: Out(S::Stat)) -> Zero;
    7 POLL poll, Full, (fds: InOutArray(S::PollFd, 1), nfds: UInt, timeout: Int) -> Count;
    8 LSEEK lseek, Full, (fd: Fd, offset: Offset, whence: One(F::Seek)) -> Offset;
    9 MMAP mmap, Partial, (addr: Addr, length: Size, prot: Flags(F::Prot), flags: Flags(F::Map), fd: Fd, offset: Hex) -> Addr, "no huge pages, no MAP_SYNC; MAP_32BIT is not heeded";
    10 MPROTECT mprotect, Full, (addr: Addr, length: Size, prot: Flags(F::Prot)) -> Zero;
    11 MUNMAP munmap, Full, (addr: Addr, length: Size) -> Zero;
    12 BRK brk, Full, (addr: Addr) -> Addr;
    13 RT_SIGACTION rt_sigaction, Full, (signum: Signal, act: In(S::Sigaction), oldact: Out(S::Sigaction), sigsetsize: Size) -> Zero;
    14 RT_SIGPROCMASK rt_sigprocmask, Full, (how: One(F::SigHow), set: In(S::Sigset), oldset: Out(S::Sigset), sigsetsize: Size) -> Zero;
    15 RT_SIGRETURN rt_sigreturn, Full, () -> Int;
    16 IOCTL ioctl, Partial, (fd: Fd, request: One(F::Ioctl), arg: IoctlArg) -> Int, "requests of terminals, pipes and directories on the host; others fail with ENOTTY";
    17 PREAD64 pread64, Full, (fd: Fd, buf: BufOut(2), count: Size, offset: Offset) -> Count;
    18 PWRITE64 pwrite64, Full, (fd: Fd, buf: BufIn(2), count: Size, offset: Offset) -> Count;
    19 READV readv, Full, (fd: Fd, iov: OutArray(S::Iovec, 2), iovcnt: Int) -> Count;
    20 WRITEV writev, Full, (fd: Fd, iov: InArray(S::Iovec, 2), iovcnt: Int) -> Count;
    21 ACCESS access, Full, (path: Path, mode: Flags(F::Access)) -> Zero;
    22 PIPE pipe, Full, (pipefd: Out(S::IntPair)) -> Zero;
    23 SELECT select, Full, (nfds: Int, readfds: InOut(S::FdSet), writefds: InOut(S::FdSet), exceptfds: InOut(S::FdSet), timeout: InOut(S::Timeval)) -> Count;
    24 SCHED_YIELD sched_yield, Full, () -> Zero;
    25 MREMAP mremap, Full, (old_addr: Addr, old_size: Size, new_size: Size, flags: Flags(F::Mremap), new_addr: Addr) -> Addr;
    26 MSYNC msync, Full, (addr: Addr, length: Size, flags: Flags(F::Msync)) -> Zero;
    27 MINCORE mincore, Full, (addr: Addr, length: Size, vec: Ptr) -> Zero;
    28 MADVISE madvise, Full, (addr: Addr, length: Size, advice: One(F::Madvise)) -> Zero;
    29 SHMGET shmget, Missing, (key: Int, size: Size, shmflg: Int) -> Int;
    30 SHMAT shmat, Missing, (shmid: Int, shmaddr: Addr, shmflg: Int) -> Addr;
    31 SHMCTL shmctl, Missing, (shmid: Int, cmd: Int, buf: InOut(S::Other("shmid_ds"))) -> Int;
    32 DUP dup, Full, (oldfd: Fd) -> Fd;
    33 DUP2 dup2, Full, (oldfd: Fd, newfd: Fd) -> Fd;
    34 PAUSE pause, Full, () -> Zero;
    35 NANOSLEEP nanosleep, Full, (duration: In(S::Timespec), remaining: Out(S::Timespec)) -> Zero;
    36 GETITIMER getitimer, Partial, (which: One(F::Itimer), value: Out(S::Itimerval)) -> Zero, "ITIMER_VIRTUAL counts the kernel's time too";
    37 ALARM alarm, Full, (seconds: UInt) -> Int;
    38 SETITIMER setitimer, Partial, (which: One(F::Itimer), new_value: In(S::Itimerval), old_value: Out(S::Itimerval)) -> Zero, "ITIMER_VIRTUAL counts the kernel's time too";
    39 GETPID getpid, Full, () -> Pid;
    40 SENDFILE sendfile, Full, (out_fd: Fd, in_fd: Fd, offset: InOut(S::Long), count: Size) -> Count;
    41 SOCKET socket, Refused(Errno::EAFNOSUPPORT), (domain: One(F::AddressFamily), kind: Flags(F::SocketType), protocol: Int) -> Fd, "no network yet; socketpair makes connected local sockets";
    42 CONNECT connect, Missing, (sockfd: Fd, addr: SockaddrIn(2), addrlen: UInt) -> Zero;
    43 ACCEPT accept, Missing, (sockfd: Fd, addr: SockaddrOut(2), addrlen: InOut(S::Int)) -> Fd;
    44 SENDTO sendto, Partial, (sockfd: Fd, buf: BufIn(2), len: Size, flags: Flags(F::Msg), dest_addr: SockaddrIn(5), addrlen: UInt) -> Count, "only on sockets made by socketpair";
    45 RECVFROM recvfrom, Partial, (sockfd: Fd, buf: BufOut(2), len: Size, flags: Flags(F::Msg), src_addr: SockaddrOut(5), addrlen: InOut(S::Int)) -> Count, "only on sockets made by socketpair";
    46 SENDMSG sendmsg, Partial, (sockfd: Fd, msg: In(S::MsgHdr), flags: Flags(F::Msg)) -> Count, "only on sockets made by socketpair; control messages fail with EOPNOTSUPP";
    47 RECVMSG recvmsg, Partial, (sockfd: Fd, msg: InOut(S::MsgHdr), flags: Flags(F::Msg)) -> Count, "only on sockets made by socketpair; no control messages come";
    48 SHUTDOWN shutdown, Partial, (sockfd: Fd, how: One(F::Shutdown)) -> Zero, "only on sockets made by socketpair";
    49 BIND bind, Missing, (sockfd: Fd, addr: SockaddrIn(2), addrlen: UInt) -> Zero;
    50 LISTEN listen, Missing, (sockfd: Fd, backlog: Int) -> Zero;
    51 GETSOCKNAME getsockname, Partial, (sockfd: Fd, addr: SockaddrOut(2), addrlen: InOut(S::Int)) -> Zero, "only on sockets made by socketpair";
    52 GETPEERNAME getpeername, Partial, (sockfd: Fd, addr: SockaddrOut(2), addrlen: InOut(S::Int)) -> Zero, "only on sockets made by socketpair";
    53 SOCKETPAIR socketpair, Partial, (domain: One(F::AddressFamily), kind: Flags(F::SocketType), protocol: Int, sv: Out(S::IntPair)) -> Zero, "local sockets only";
    54 SETSOCKOPT setsockopt, Partial, (sockfd: Fd, level: One(F::SockLevel), optname: One(F::SockOpt), optval: BufIn(4), optlen: UInt) -> Zero, "only on sockets made by socketpair; options are checked and ignored";
    55 GETSOCKOPT getsockopt, Partial, (sockfd: Fd, level: One(F::SockLevel), optname: One(F::SockOpt), optval: Ptr, optlen: InOut(S::Int)) -> Zero, "only on sockets made by socketpair";
    56 CLONE clone, Partial, (flags: Flags(F::Clone), stack: Addr, parent_tid: Out(S::Int), child_tid: Ptr, tls: Hex) -> Pid, "no namespaces, no CLONE_PIDFD";
    57 FORK fork, Full, () -> Pid;
    58 VFORK vfork, Full, () -> Pid;
    59 EXECVE execve, Partial, (path: Path, argv: StrArray, envp: StrArray) -> Zero, "set-user-id and set-group-id bits of programs are ignored";
    60 EXIT exit, Full, (status: Int) -> Never;
    61 WAIT4 wait4, Full, (pid: Pid, wstatus: Out(S::WaitStatus), options: Flags(F::Wait), rusage: Out(S::Rusage)) -> Pid;
    62 KILL kill, Full, (pid: Pid, sig: Signal) -> Zero;
    63 UNAME uname, Full, (buf: Out(S::Utsname)) -> Zero;
    64 SEMGET semget, Missing, (key: Int, nsems: Int, semflg: Int) -> Int;
    65 SEMOP semop, Missing, (semid: Int, sops: In(S::Other("sembuf")), nsops: Size) -> Zero;
    66 SEMCTL semctl, Missing, (semid: Int, semnum: Int, cmd: Int, arg: Hex) -> Int;
    67 SHMDT shmdt, Missing, (shmaddr: Addr) -> Zero;
    68 MSGGET msgget, Missing, (key: Int, msgflg: Int) -> Int;
    69 MSGSND msgsnd, Missing, (msqid: Int, msgp: Ptr, msgsz: Size, msgflg: Int) -> Zero;
    70 MSGRCV msgrcv, Missing, (msqid: Int, msgp: Ptr, msgsz: Size, msgtyp: Long, msgflg: Int) -> Count;
    71 MSGCTL msgctl, Missing, (msqid: Int, cmd: Int, buf: InOut(S::Other("msqid_ds"))) -> Int;
    72 FCNTL fcntl, Partial, (fd: Fd, cmd: One(F::Fcntl), arg: FcntlArg) -> Int, "not leases, directory notices, F_SETSIG and seals; F_SETOWN is kept but no SIGIO is sent";
    73 FLOCK flock, Full, (fd: Fd, operation: Flags(F::FlockOp)) -> Zero;
    74 FSYNC fsync, Full, (fd: Fd) -> Zero;
    75 FDATASYNC fdatasync, Full, (fd: Fd) -> Zero;
    76 TRUNCATE truncate, Full, (path: Path, length: Offset) -> Zero;
    77 FTRUNCATE ftruncate, Full, (fd: Fd, length: Offset) -> Zero;
    78 GETDENTS getdents, Full, (fd: Fd, dirp: Ptr, count: UInt) -> Count;
    79 GETCWD getcwd, Full, (buf: PathOut, size: Size) -> Count;
    80 CHDIR chdir, Full, (path: Path) -> Zero;
    81 FCHDIR fchdir, Full, (fd: Fd) -> Zero;
    82 RENAME rename, Full, (oldpath: Path, newpath: Path) -> Zero;
    83 MKDIR mkdir, Full, (path: Path, mode: Mode) -> Zero;
    84 RMDIR rmdir, Full, (path: Path) -> Zero;
    85 CREAT creat, Full, (path: Path, mode: Mode) -> Fd;
    86 LINK link, Full, (oldpath: Path, newpath: Path) -> Zero;
    87 UNLINK unlink, Full, (path: Path) -> Zero;
    88 SYMLINK symlink, Full, (target: Path, linkpath: Path) -> Zero;
    89 READLINK readlink, Full, (path: Path, buf: BufOut(2), bufsiz: Size) -> Count;
    90 CHMOD chmod, Full, (path: Path, mode: Mode) -> Zero;
    91 FCHMOD fchmod, Full, (fd: Fd, mode: Mode) -> Zero;
    92 CHOWN chown, Full, (path: Path, owner: Uid, group: Gid) -> Zero;
    93 FCHOWN fchown, Full, (fd: Fd, owner: Uid, group: Gid) -> Zero;
    94 LCHOWN lchown, Full, (path: Path, owner: Uid, group: Gid) -> Zero;
    95 UMASK umask, Full, (mask: Mode) -> Mode;
    96 GETTIMEOFDAY gettimeofday, Full, (tv: Out(S::Timeval), tz: Out(S::Timezone)) -> Zero;
    97 GETRLIMIT getrlimit, Full, (resource: One(F::Rlimit), rlim: Out(S::Rlimit)) -> Zero;
    98 GETRUSAGE getrusage, Partial, (who: One(F::Rusage), usage: Out(S::Rusage)) -> Zero, "all processor time counts as user time; no I/O and switch counts";
    99 SYSINFO sysinfo, Full, (info: Out(S::Sysinfo)) -> Zero;
    100 TIMES times, Partial, (buf: Out(S::Tms)) -> Int, "all processor time counts as user time";
    101 PTRACE ptrace, Missing, (request: Long, pid: Pid, addr: Addr, data: Addr) -> Int;
    102 GETUID getuid, Full, () -> Uid;
    103 SYSLOG syslog, Partial, (kind: Int, buf: Ptr, len: Int) -> Int, "the log is not kept: sizes are 0";
    104 GETGID getgid, Full, () -> Uid;
    105 SETUID setuid, Full, (uid: Uid) -> Zero;
    106 SETGID setgid, Full, (gid: Gid) -> Zero;
    107 GETEUID geteuid, Full, () -> Uid;
    108 GETEGID getegid, Full, () -> Uid;
    109 SETPGID setpgid, Full, (pid: Pid, pgid: Pid) -> Zero;
    110 GETPPID getppid, Full, () -> Pid;
    111 GETPGRP getpgrp, Full, () -> Pid;
    112 SETSID setsid, Full, () -> Pid;
    113 SETREUID setreuid, Full, (ruid: Uid, euid: Uid) -> Zero;
    114 SETREGID setregid, Full, (rgid: Gid, egid: Gid) -> Zero;
    115 GETGROUPS getgroups, Full, (size: Int, list: Ptr) -> Count;
    116 SETGROUPS setgroups, Full, (size: Size, list: Ptr) -> Zero;
    117 SETRESUID setresuid, Full, (ruid: Uid, euid: Uid, suid: Uid) -> Zero;
    118 GETRESUID getresuid, Full, (ruid: Out(S::UInt), euid: Out(S::UInt), suid: Out(S::UInt)) -> Zero;
    119 SETRESGID setresgid, Full, (rgid: Gid, egid: Gid, sgid: Gid) -> Zero;
    120 GETRESGID getresgid, Full, (rgid: Out(S::UInt), egid: Out(S::UInt), sgid: Out(S::UInt)) -> Zero;
    121 GETPGID getpgid, Full, (pid: Pid) -> Pid;
    122 SETFSUID setfsuid, Full, (fsuid: Uid) -> Uid;
    123 SETFSGID setfsgid, Full, (fsgid: Gid) -> Uid;
    124 GETSID getsid, Full, (pid: Pid) -> Pid;
    125 CAPGET capget, Partial, (header: InOut(S::Other("cap_user_header")), data: Out(S::Other("cap_user_data"))) -> Zero, "permitted is what is effective, nothing is inheritable";
    126 CAPSET capset, Partial, (header: InOut(S::Other("cap_user_header")), data: In(S::Other("cap_user_data"))) -> Zero, "capabilities can be given up, not gained";
    127 RT_SIGPENDING rt_sigpending, Full, (set: Out(S::Sigset), sigsetsize: Size) -> Zero;
    128 RT_SIGTIMEDWAIT rt_sigtimedwait, Full, (set: In(S::Sigset), info: Out(S::Siginfo), timeout: In(S::Timespec), sigsetsize: Size) -> SignalNumber;
    129 RT_SIGQUEUEINFO rt_sigqueueinfo, Full, (tgid: Pid, sig: Signal, info: In(S::Siginfo)) -> Zero;
    130 RT_SIGSUSPEND rt_sigsuspend, Full, (mask: In(S::Sigset), sigsetsize: Size) -> Zero;
    131 SIGALTSTACK sigaltstack, Full, (new: In(S::Sigaltstack), old: Out(S::Sigaltstack)) -> Zero;
    132 UTIME utime, Full, (path: Path, times: In(S::Other("utimbuf"))) -> Zero;
    133 MKNOD mknod, Full, (path: Path, mode: Mode, dev: Dev) -> Zero;
    134 USELIB uselib, Refused(Errno::ENOSYS), (library: Path) -> Zero, "only for a.out shared libraries";
    135 PERSONALITY personality, Partial, (persona: Hex) -> Hex, "only Linux itself, with or without ADDR_NO_RANDOMIZE";
    136 USTAT ustat, Refused(Errno::ENOSYS), (dev: Dev, ubuf: Out(S::Other("ustat"))) -> Zero, "deprecated in favour of statfs";
    137 STATFS statfs, Full, (path: Path, buf: Out(S::Statfs)) -> Zero;
    138 FSTATFS fstatfs, Full, (fd: Fd, buf: Out(S::Statfs)) -> Zero;
    139 SYSFS sysfs, Refused(Errno::ENOSYS), (option: Int, arg1: Hex, arg2: Hex) -> Int, "obsolete; read /proc/filesystems";
    140 GETPRIORITY getpriority, Full, (which: Int, who: Int) -> Int;
    141 SETPRIORITY setpriority, Partial, (which: Int, who: Int, prio: Int) -> Zero, "niceness is kept, and does not change what a thread gets";
    142 SCHED_SETPARAM sched_setparam, Full, (pid: Pid, param: In(S::SchedParam)) -> Zero;
    143 SCHED_GETPARAM sched_getparam, Full, (pid: Pid, param: Out(S::SchedParam)) -> Zero;
    144 SCHED_SETSCHEDULER sched_setscheduler, Full, (pid: Pid, policy: One(F::SchedPolicy), param: In(S::SchedParam)) -> Zero;
    145 SCHED_GETSCHEDULER sched_getscheduler, Full, (pid: Pid) -> Int;
    146 SCHED_GET_PRIORITY_MAX sched_get_priority_max, Full, (policy: One(F::SchedPolicy)) -> Int;
    147 SCHED_GET_PRIORITY_MIN sched_get_priority_min, Full, (policy: One(F::SchedPolicy)) -> Int;
    148 SCHED_RR_GET_INTERVAL sched_rr_get_interval, Full, (pid: Pid, interval: Out(S::Timespec)) -> Zero;
    149 MLOCK mlock, Full, (addr: Addr, length: Size) -> Zero;
    150 MUNLOCK munlock, Full, (addr: Addr, length: Size) -> Zero;
    151 MLOCKALL mlockall, Partial, (flags: Flags(F::Mlockall)) -> Zero, "nothing is ever swapped out, so all memory is locked";
    152 MUNLOCKALL munlockall, Full, () -> Zero;
    153 VHANGUP vhangup, Missing, () -> Zero;
    154 MODIFY_LDT modify_ldt, Missing, (func: Int, ptr: Ptr, bytecount: ULong) -> Int;
    155 PIVOT_ROOT pivot_root, Missing, (new_root: Path, put_old: Path) -> Zero;
    156 SYSCTL _sysctl, Refused(Errno::ENOSYS), (args: Ptr) -> Zero, "removed from Linux 5.5; use /proc/sys";
    157 PRCTL prctl, Partial, (option: One(F::Prctl), arg2: Hex, arg3: Hex, arg4: Hex, arg5: Hex) -> Int, "names, death signal, dumpable, subreaper, no_new_privs, timer slack and what only asks; the rest is EINVAL";
    158 ARCH_PRCTL arch_prctl, Partial, (code: One(F::ArchPrctl), addr: Hex) -> Zero, "FS and GS bases; no CPUID faulting, no shadow stacks";
    159 ADJTIMEX adjtimex, Partial, (buf: InOut(S::Timex)) -> Int, "reading only";
    160 SETRLIMIT setrlimit, Full, (resource: One(F::Rlimit), rlim: In(S::Rlimit)) -> Zero;
    161 CHROOT chroot, Full, (path: Path) -> Zero;
    162 SYNC sync, Partial, () -> Zero, "does nothing: host files are written through, the rest is memory";
    163 ACCT acct, Missing, (path: Path) -> Zero;
    164 SETTIMEOFDAY settimeofday, Full, (tv: In(S::Timeval), tz: In(S::Timezone)) -> Zero;
    165 MOUNT mount, Partial, (source: Path, target: Path, fstype: Str, flags: Flags(F::Mount), data: Ptr) -> Zero, "propagation between namespaces is accepted and does nothing: each agent has its own; MS_REC binds one mount";
    166 UMOUNT2 umount2, Partial, (target: Path, flags: Flags(F::Umount)) -> Zero, "MNT_EXPIRE fails with EINVAL; MNT_FORCE changes nothing";
    167 SWAPON swapon, Missing, (path: Path, flags: Int) -> Zero;
    168 SWAPOFF swapoff, Missing, (path: Path) -> Zero;
    169 REBOOT reboot, Partial, (magic: Hex, magic2: Hex, cmd: One(F::Reboot), arg: Ptr) -> Zero, "power off, restart and halt";
    170 SETHOSTNAME sethostname, Full, (name: BufIn(1), len: Size) -> Zero;
    171 SETDOMAINNAME setdomainname, Full, (name: BufIn(1), len: Size) -> Zero;
    172 IOPL iopl, Missing, (level: Int) -> Zero;
    173 IOPERM ioperm, Missing, (from: ULong, num: ULong, turn_on: Int) -> Zero;
    174 CREATE_MODULE create_module, Refused(Errno::ENOSYS), (name: Str, size: Size) -> Addr, "removed from Linux 2.6";
    175 INIT_MODULE init_module, Missing, (image: Ptr, len: ULong, params: Str) -> Zero;
    176 DELETE_MODULE delete_module, Missing, (name: Str, flags: UInt) -> Zero;
    177 GET_KERNEL_SYMS get_kernel_syms, Refused(Errno::ENOSYS), (table: Ptr) -> Int, "removed from Linux 2.6";
    178 QUERY_MODULE query_module, Refused(Errno::ENOSYS), (name: Str, which: Int, buf: Ptr, bufsize: Size, ret: Ptr) -> Zero, "removed from Linux 2.6";
    179 QUOTACTL quotactl, Missing, (cmd: Hex, special: Path, id: Uid, addr: Ptr) -> Zero;
    180 NFSSERVCTL nfsservctl, Refused(Errno::ENOSYS), (cmd: Int, arg: Ptr, res: Ptr) -> Int, "removed from Linux 3.1";
    181 GETPMSG getpmsg, Refused(Errno::ENOSYS), () -> Int, "reserved; no Linux implements it";
    182 PUTPMSG putpmsg, Refused(Errno::ENOSYS), () -> Int, "reserved; no Linux implements it";
    183 AFS_SYSCALL afs_syscall, Refused(Errno::ENOSYS), () -> Int, "reserved; no Linux implements it";
    184 TUXCALL tuxcall, Refused(Errno::ENOSYS), () -> Int, "reserved; no Linux implements it";
    185 SECURITY security, Refused(Errno::ENOSYS), () -> Int, "reserved; no Linux implements it";
    186 GETTID gettid, Full, () -> Pid;
    187 READAHEAD readahead, Partial, (fd: Fd, offset: Offset, count: Size) -> Zero, "checked and ignored";
    188 SETXATTR setxattr, Full, (path: Path, name: Str, value: BufIn(3), size: Size, flags: Int) -> Zero;
    189 LSETXATTR lsetxattr, Full, (path: Path, name: Str, value: BufIn(3), size: Size, flags: Int) -> Zero;
    190 FSETXATTR fsetxattr, Full, (fd: Fd, name: Str, value: BufIn(3), size: Size, flags: Int) -> Zero;
    191 GETXATTR getxattr, Full, (path: Path, name: Str, value: BufOut(3), size: Size) -> Count;
    192 LGETXATTR lgetxattr, Full, (path: Path, name: Str, value: BufOut(3), size: Size) -> Count;
    193 FGETXATTR fgetxattr, Full, (fd: Fd, name: Str, value: BufOut(3), size: Size) -> Count;
    194 LISTXATTR listxattr, Full, (path: Path, list: BufOut(2), size: Size) -> Count;
    195 LLISTXATTR llistxattr, Full, (path: Path, list: BufOut(2), size: Size) -> Count;
    196 FLISTXATTR flistxattr, Full, (fd: Fd, list: BufOut(2), size: Size) -> Count;
    197 REMOVEXATTR removexattr, Full, (path: Path, name: Str) -> Zero;
    198 LREMOVEXATTR lremovexattr, Full, (path: Path, name: Str) -> Zero;
    199 FREMOVEXATTR fremovexattr, Full, (fd: Fd, name: Str) -> Zero;
    200 TKILL tkill, Full, (tid: Pid, sig: Signal) -> Zero;
    201 TIME time, Full, (tloc: Out(S::Long)) -> Int;
    202 FUTEX futex, Partial, (uaddr: Ptr, op: One(F::Futex), val: UInt, timeout: FutexTimeout, uaddr2: Ptr, val3: Hex) -> Int, "not the priority-inheriting operations";
    203 SCHED_SETAFFINITY sched_setaffinity, Full, (pid: Pid, len: UInt, mask: BufIn(1)) -> Zero;
    204 SCHED_GETAFFINITY sched_getaffinity, Full, (pid: Pid, len: UInt, mask: BufOut(1)) -> Count;
    205 SET_THREAD_AREA set_thread_area, Refused(Errno::ENOSYS), (u_info: InOut(S::UserDesc)) -> Zero, "32-bit only; Linux refuses it on x86-64 too";
    206 IO_SETUP io_setup, Missing, (nr_events: UInt, ctx: InOut(S::Long)) -> Zero;
    207 IO_DESTROY io_destroy, Missing, (ctx: Hex) -> Zero;
    208 IO_GETEVENTS io_getevents, Missing, (ctx: Hex, min_nr: Long, nr: Long, events: Out(S::Other("io_event")), timeout: In(S::Timespec)) -> Count;
    209 IO_SUBMIT io_submit, Missing, (ctx: Hex, nr: Long, iocbs: In(S::Other("iocb"))) -> Count;
    210 IO_CANCEL io_cancel, Missing, (ctx: Hex, iocb: In(S::Other("iocb")), result: Out(S::Other("io_event"))) -> Zero;
    211 GET_THREAD_AREA get_thread_area, Refused(Errno::ENOSYS), (u_info: InOut(S::UserDesc)) -> Zero, "32-bit only; Linux refuses it on x86-64 too";
    212 LOOKUP_DCOOKIE lookup_dcookie, Refused(Errno::ENOSYS), (cookie: ULong, buf: Ptr, len: Size) -> Count, "removed from Linux 6.7";
    213 EPOLL_CREATE epoll_create, Full, (size: Int) -> Fd;
    214 EPOLL_CTL_OLD epoll_ctl_old, Refused(Errno::ENOSYS), () -> Int, "reserved; no Linux implements it";
    215 EPOLL_WAIT_OLD epoll_wait_old, Refused(Errno::ENOSYS), () -> Int, "reserved; no Linux implements it";
    216 REMAP_FILE_PAGES remap_file_pages, Missing, (addr: Addr, size: Size, prot: Flags(F::Prot), pgoff: Size, flags: Flags(F::Map)) -> Zero;
    217 GETDENTS64 getdents64, Full, (fd: Fd, dirp: Out(S::Dirents), count: UInt) -> Count;
    218 SET_TID_ADDRESS set_tid_address, Full, (tidptr: Ptr) -> Pid;
    219 RESTART_SYSCALL restart_syscall, Full, () -> Int;
    220 SEMTIMEDOP semtimedop, Missing, (semid: Int, sops: In(S::Other("sembuf")), nsops: UInt, timeout: In(S::Timespec)) -> Zero;
    221 FADVISE64 fadvise64, Partial, (fd: Fd, offset: Offset, len: Size, advice: One(F::Fadvise)) -> Zero, "advice is checked and ignored";
    222 TIMER_CREATE timer_create, Partial, (clockid: One(F::Clock), sevp: In(S::Sigevent), timerid: Out(S::Int)) -> Zero, "not on alarm clocks, nor on the clock of another process";
    223 TIMER_SETTIME timer_settime, Full, (timerid: Int, flags: Flags(F::TimerFlags), new_value: In(S::Itimerspec), old_value: Out(S::Itimerspec)) -> Zero;
    224 TIMER_GETTIME timer_gettime, Full, (timerid: Int, value: Out(S::Itimerspec)) -> Zero;
    225 TIMER_GETOVERRUN timer_getoverrun, Full, (timerid: Int) -> Int;
    226 TIMER_DELETE timer_delete, Full, (timerid: Int) -> Zero;
    227 CLOCK_SETTIME clock_settime, Full, (clockid: One(F::Clock), tp: In(S::Timespec)) -> Zero;
    228 CLOCK_GETTIME clock_gettime, Full, (clockid: One(F::Clock), tp: Out(S::Timespec)) -> Zero;
    229 CLOCK_GETRES clock_getres, Full, (clockid: One(F::Clock), res: Out(S::Timespec)) -> Zero;
    230 CLOCK_NANOSLEEP clock_nanosleep, Partial, (clockid: One(F::Clock), flags: Flags(F::TimerFlags), request: In(S::Timespec), remain: Out(S::Timespec)) -> Zero, "no clock of processor time";
    231 EXIT_GROUP exit_group, Full, (status: Int) -> Never;
    232 EPOLL_WAIT epoll_wait, Full, (epfd: Fd, events: OutArray(S::EpollEvent, 2), maxevents: Int, timeout: Int) -> Count;
    233 EPOLL_CTL epoll_ctl, Partial, (epfd: Fd, op: One(F::EpollOp), fd: Fd, event: In(S::EpollEvent)) -> Zero, "EPOLLEXCLUSIVE wakes every set; EPOLLWAKEUP is ignored";
    234 TGKILL tgkill, Full, (tgid: Pid, tid: Pid, sig: Signal) -> Zero;
    235 UTIMES utimes, Full, (path: Path, times: In(S::TimevalPair)) -> Zero;
    236 VSERVER vserver, Refused(Errno::ENOSYS), () -> Int, "reserved; no Linux implements it";
    237 MBIND mbind, Missing, (addr: Addr, len: Size, mode: Int, nodemask: Ptr, maxnode: ULong, flags: UInt) -> Zero;
    238 SET_MEMPOLICY set_mempolicy, Missing, (mode: Int, nodemask: Ptr, maxnode: ULong) -> Zero;
    239 GET_MEMPOLICY get_mempolicy, Missing, (mode: Out(S::Int), nodemask: Ptr, maxnode: ULong, addr: Addr, flags: Hex) -> Zero;
    240 MQ_OPEN mq_open, Missing, (name: Str, flags: Flags(F::Open), mode: Mode, attr: In(S::Other("mq_attr"))) -> Fd;
    241 MQ_UNLINK mq_unlink, Missing, (name: Str) -> Zero;
    242 MQ_TIMEDSEND mq_timedsend, Missing, (mqdes: Fd, msg: BufIn(2), len: Size, prio: UInt, timeout: In(S::Timespec)) -> Zero;
    243 MQ_TIMEDRECEIVE mq_timedreceive, Missing, (mqdes: Fd, msg: BufOut(2), len: Size, prio: Out(S::UInt), timeout: In(S::Timespec)) -> Count;
    244 MQ_NOTIFY mq_notify, Missing, (mqdes: Fd, sevp: In(S::Sigevent)) -> Zero;
    245 MQ_GETSETATTR mq_getsetattr, Missing, (mqdes: Fd, newattr: In(S::Other("mq_attr")), oldattr: Out(S::Other("mq_attr"))) -> Zero;
    246 KEXEC_LOAD kexec_load, Missing, (entry: Addr, nr_segments: ULong, segments: Ptr, flags: Hex) -> Zero;
    247 WAITID waitid, Partial, (idtype: One(F::IdType), id: Pid, infop: Out(S::Siginfo), options: Flags(F::Wait), rusage: Out(S::Rusage)) -> Zero, "no P_PIDFD";
    248 ADD_KEY add_key, Missing, (kind: Str, description: Str, payload: BufIn(3), plen: Size, keyring: Int) -> Int;
    249 REQUEST_KEY request_key, Missing, (kind: Str, description: Str, callout_info: Str, keyring: Int) -> Int;
    250 KEYCTL keyctl, Missing, (operation: Int, arg2: Hex, arg3: Hex, arg4: Hex, arg5: Hex) -> Int;
    251 IOPRIO_SET ioprio_set, Missing, (which: Int, who: Int, ioprio: Int) -> Zero;
    252 IOPRIO_GET ioprio_get, Missing, (which: Int, who: Int) -> Int;
    253 INOTIFY_INIT inotify_init, Missing, () -> Fd;
    254 INOTIFY_ADD_WATCH inotify_add_watch, Missing, (fd: Fd, path: Path, mask: Hex) -> Int;
    255 INOTIFY_RM_WATCH inotify_rm_watch, Missing, (fd: Fd, wd: Int) -> Zero;
    256 MIGRATE_PAGES migrate_pages, Missing, (pid: Pid, maxnode: ULong, old_nodes: Ptr, new_nodes: Ptr) -> Int;
    257 OPENAT openat, Full, (dirfd: DirFd, path: Path, flags: Flags(F::Open), mode: Mode) -> Fd;
    258 MKDIRAT mkdirat, Full, (dirfd: DirFd, path: Path, mode: Mode) -> Zero;
    259 MKNODAT mknodat, Full, (dirfd: DirFd, path: Path, mode: Mode, dev: Dev) -> Zero;
    260 FCHOWNAT fchownat, Full, (dirfd: DirFd, path: Path, owner: Uid, group: Gid, flags: Flags(F::At)) -> Zero;
    261 FUTIMESAT futimesat, Full, (dirfd: DirFd, path: Path, times: In(S::TimevalPair)) -> Zero;
    262 NEWFSTATAT newfstatat, Full, (dirfd: DirFd, path: Path, statbuf: Out(S::Stat), flags: Flags(F::At)) -> Zero;
    263 UNLINKAT unlinkat, Full, (dirfd: DirFd, path: Path, flags: Flags(F::AtRemove)) -> Zero;
    264 RENAMEAT renameat, Full, (olddirfd: DirFd, oldpath: Path, newdirfd: DirFd, newpath: Path) -> Zero;
    265 LINKAT linkat, Full, (olddirfd: DirFd, oldpath: Path, newdirfd: DirFd, newpath: Path, flags: Flags(F::At)) -> Zero;
    266 SYMLINKAT symlinkat, Full, (target: Path, newdirfd: DirFd, linkpath: Path) -> Zero;
    267 READLINKAT readlinkat, Full, (dirfd: DirFd, path: Path, buf: BufOut(3), bufsiz: Size) -> Count;
    268 FCHMODAT fchmodat, Full, (dirfd: DirFd, path: Path, mode: Mode) -> Zero;
    269 FACCESSAT faccessat, Full, (dirfd: DirFd, path: Path, mode: Flags(F::Access)) -> Zero;
    270 PSELECT6 pselect6, Full, (nfds: Int, readfds: InOut(S::FdSet), writefds: InOut(S::FdSet), exceptfds: InOut(S::FdSet), timeout: InOut(S::Timespec), sigmask: Ptr) -> Count;
    271 PPOLL ppoll, Full, (fds: InOutArray(S::PollFd, 1), nfds: UInt, timeout: InOut(S::Timespec), sigmask: In(S::Sigset), sigsetsize: Size) -> Count;
    272 UNSHARE unshare, Missing, (flags: Flags(F::Clone)) -> Zero;
    273 SET_ROBUST_LIST set_robust_list, Full, (head: Ptr, len: Size) -> Zero;
    274 GET_ROBUST_LIST get_robust_list, Full, (pid: Pid, head: Out(S::Long), len: Out(S::Long)) -> Zero;
    275 SPLICE splice, Partial, (fd_in: Fd, off_in: InOut(S::Long), fd_out: Fd, off_out: InOut(S::Long), len: Size, flags: Hex) -> Count, "copies; what a failing write leaves of a pipe's bytes is lost";
    276 TEE tee, Refused(Errno::EINVAL), (fd_in: Fd, fd_out: Fd, len: Size, flags: Hex) -> Count, "pipes hold bytes, not pages that could be shared";
    277 SYNC_FILE_RANGE sync_file_range, Partial, (fd: Fd, offset: Offset, nbytes: Offset, flags: Hex) -> Zero, "writes the whole file back";
    278 VMSPLICE vmsplice, Partial, (fd: Fd, iov: InArray(S::Iovec, 2), nr_segs: Size, flags: Hex) -> Count, "copies";
    279 MOVE_PAGES move_pages, Missing, (pid: Pid, count: ULong, pages: Ptr, nodes: Ptr, status: Ptr, flags: Hex) -> Int;
    280 UTIMENSAT utimensat, Full, (dirfd: DirFd, path: Path, times: In(S::TimespecPair), flags: Flags(F::At)) -> Zero;
    281 EPOLL_PWAIT epoll_pwait, Full, (epfd: Fd, events: OutArray(S::EpollEvent, 2), maxevents: Int, timeout: Int, sigmask: In(S::Sigset), sigsetsize: Size) -> Count;
    282 SIGNALFD signalfd, Missing, (fd: Fd, mask: In(S::Sigset), sizemask: Size) -> Fd;
    283 TIMERFD_CREATE timerfd_create, Full, (clockid: One(F::Clock), flags: Flags(F::Timerfd)) -> Fd;
    284 EVENTFD eventfd, Full, (initval: UInt) -> Fd;
    285 FALLOCATE fallocate, Partial, (fd: Fd, mode: Flags(F::Fallocate), offset: Offset, len: Offset) -> Zero, "what the file system can: files in memory reserve and punch holes";
    286 TIMERFD_SETTIME timerfd_settime, Full, (fd: Fd, flags: Flags(F::TimerFlags), new_value: In(S::Itimerspec), old_value: Out(S::Itimerspec)) -> Zero;
    287 TIMERFD_GETTIME timerfd_gettime, Full, (fd: Fd, value: Out(S::Itimerspec)) -> Zero;
    288 ACCEPT4 accept4, Missing, (sockfd: Fd, addr: SockaddrOut(2), addrlen: InOut(S::Int), flags: Flags(F::SocketType)) -> Fd;
    289 SIGNALFD4 signalfd4, Missing, (fd: Fd, mask: In(S::Sigset), sizemask: Size, flags: Flags(F::Signalfd)) -> Fd;
    290 EVENTFD2 eventfd2, Full, (initval: UInt, flags: Flags(F::Eventfd)) -> Fd;
    291 EPOLL_CREATE1 epoll_create1, Full, (flags: Flags(F::EpollCreate)) -> Fd;
    292 DUP3 dup3, Full, (oldfd: Fd, newfd: Fd, flags: Flags(F::OpenBits)) -> Fd;
    293 PIPE2 pipe2, Full, (pipefd: Out(S::IntPair), flags: Flags(F::OpenBits)) -> Zero;
    294 INOTIFY_INIT1 inotify_init1, Missing, (flags: Flags(F::OpenBits)) -> Fd;
    295 PREADV preadv, Full, (fd: Fd, iov: OutArray(S::Iovec, 2), iovcnt: Int, pos_l: Hex, pos_h: Hex) -> Count;
    296 PWRITEV pwritev, Full, (fd: Fd, iov: InArray(S::Iovec, 2), iovcnt: Int, pos_l: Hex, pos_h: Hex) -> Count;
    297 RT_TGSIGQUEUEINFO rt_tgsigqueueinfo, Full, (tgid: Pid, tid: Pid, sig: Signal, info: In(S::Siginfo)) -> Zero;
    298 PERF_EVENT_OPEN perf_event_open, Missing, (attr: In(S::Other("perf_event_attr")), pid: Pid, cpu: Int, group_fd: Fd, flags: Hex) -> Fd;
    299 RECVMMSG recvmmsg, Missing, (sockfd: Fd, msgvec: Ptr, vlen: UInt, flags: Flags(F::Msg), timeout: InOut(S::Timespec)) -> Count;
    300 FANOTIFY_INIT fanotify_init, Missing, (flags: Hex, event_f_flags: Flags(F::Open)) -> Fd;
    301 FANOTIFY_MARK fanotify_mark, Missing, (fd: Fd, flags: Hex, mask: Hex, dirfd: DirFd, path: Path) -> Zero;
    302 PRLIMIT64 prlimit64, Full, (pid: Pid, resource: One(F::Rlimit), new_limit: In(S::Rlimit), old_limit: Out(S::Rlimit)) -> Zero;
    303 NAME_TO_HANDLE_AT name_to_handle_at, Missing, (dirfd: DirFd, path: Path, handle: InOut(S::Other("file_handle")), mount_id: Out(S::Int), flags: Flags(F::At)) -> Zero;
    304 OPEN_BY_HANDLE_AT open_by_handle_at, Missing, (mount_fd: DirFd, handle: In(S::Other("file_handle")), flags: Flags(F::Open)) -> Fd;
    305 CLOCK_ADJTIME clock_adjtime, Partial, (clockid: One(F::Clock), buf: InOut(S::Timex)) -> Int, "reading only, CLOCK_REALTIME";
    306 SYNCFS syncfs, Partial, (fd: Fd) -> Zero, "does nothing: host files are written through, the rest is memory";
    307 SENDMMSG sendmmsg, Missing, (sockfd: Fd, msgvec: Ptr, vlen: UInt, flags: Flags(F::Msg)) -> Count;
    308 SETNS setns, Missing, (fd: Fd, nstype: Flags(F::Clone)) -> Zero;
    309 GETCPU getcpu, Full, (cpu: Out(S::UInt), node: Out(S::UInt), tcache: Ptr) -> Zero;
    310 PROCESS_VM_READV process_vm_readv, Full, (pid: Pid, local_iov: InArray(S::Iovec, 2), liovcnt: ULong, remote_iov: InArray(S::Iovec, 4), riovcnt: ULong, flags: Hex) -> Count;
    311 PROCESS_VM_WRITEV process_vm_writev, Full, (pid: Pid, local_iov: InArray(S::Iovec, 2), liovcnt: ULong, remote_iov: InArray(S::Iovec, 4), riovcnt: ULong, flags: Hex) -> Count;
    312 KCMP kcmp, Missing, (pid1: Pid, pid2: Pid, kind: Int, idx1: Hex, idx2: Hex) -> Int;
    313 FINIT_MODULE finit_module, Missing, (fd: Fd, params: Str, flags: Int) -> Zero;
    314 SCHED_SETATTR sched_setattr, Partial, (pid: Pid, attr: In(S::SchedAttr), flags: UInt) -> Zero, "reclaiming and overrun signals of deadline threads are accepted and not done; no utilisation clamps";
    315 SCHED_GETATTR sched_getattr, Full, (pid: Pid, attr: Out(S::SchedAttr), size: UInt, flags: UInt) -> Zero;
    316 RENAMEAT2 renameat2, Partial, (olddirfd: DirFd, oldpath: Path, newdirfd: DirFd, newpath: Path, flags: Flags(F::Rename)) -> Zero, "RENAME_WHITEOUT fails with EINVAL";
    317 SECCOMP seccomp, Missing, (operation: UInt, flags: Hex, args: Ptr) -> Int;
    318 GETRANDOM getrandom, Full, (buf: BufOut(1), buflen: Size, flags: Flags(F::Getrandom)) -> Count;
    319 MEMFD_CREATE memfd_create, Partial, (name: Str, flags: Flags(F::Memfd)) -> Fd, "no seals, no huge pages";
    320 KEXEC_FILE_LOAD kexec_file_load, Missing, (kernel_fd: Fd, initrd_fd: Fd, cmdline_len: ULong, cmdline: Str, flags: Hex) -> Zero;
    321 BPF bpf, Missing, (cmd: Int, attr: InOut(S::Other("bpf_attr")), size: UInt) -> Int;
    322 EXECVEAT execveat, Partial, (dirfd: DirFd, path: Path, argv: StrArray, envp: StrArray, flags: Flags(F::At)) -> Zero, "set-user-id and set-group-id bits of programs are ignored";
    323 USERFAULTFD userfaultfd, Missing, (flags: Flags(F::OpenBits)) -> Fd;
    324 MEMBARRIER membarrier, Partial, (cmd: One(F::Membarrier), flags: UInt, cpu_id: Int) -> Hex, "no core synchronisation, no restartable sequences";
    325 MLOCK2 mlock2, Full, (addr: Addr, length: Size, flags: UInt) -> Zero;
    326 COPY_FILE_RANGE copy_file_range, Full, (fd_in: Fd, off_in: InOut(S::Long), fd_out: Fd, off_out: InOut(S::Long), len: Size, flags: UInt) -> Count;
    327 PREADV2 preadv2, Partial, (fd: Fd, iov: OutArray(S::Iovec, 2), iovcnt: Int, pos_l: Hex, pos_h: Hex, flags: Flags(F::Rwf)) -> Count, "RWF_NOWAIT and flags newer than RWF_SYNC fail with EOPNOTSUPP";
    328 PWRITEV2 pwritev2, Partial, (fd: Fd, iov: InArray(S::Iovec, 2), iovcnt: Int, pos_l: Hex, pos_h: Hex, flags: Flags(F::Rwf)) -> Count, "RWF_APPEND, RWF_NOWAIT and flags newer than RWF_SYNC fail with EOPNOTSUPP";
    329 PKEY_MPROTECT pkey_mprotect, Missing, (addr: Addr, length: Size, prot: Flags(F::Prot), pkey: Int) -> Zero;
    330 PKEY_ALLOC pkey_alloc, Missing, (flags: UInt, access_rights: UInt) -> Int;
    331 PKEY_FREE pkey_free, Missing, (pkey: Int) -> Zero;
    332 STATX statx, Partial, (dirfd: DirFd, path: Path, flags: Flags(F::At), mask: Flags(F::StatxMask), statxbuf: Out(S::Statx)) -> Zero, "no direct-I/O alignment, subvolume or atomic-write fields";
    333 IO_PGETEVENTS io_pgetevents, Missing, (ctx: Hex, min_nr: Long, nr: Long, events: Out(S::Other("io_event")), timeout: In(S::Timespec), sig: Ptr) -> Count;
    334 RSEQ rseq, Full, (rseq: InOut(S::Rseq), rseq_len: UInt, flags: Int, sig: Hex) -> Zero;
    335 URETPROBE uretprobe, Refused(Errno::ENOSYS), () -> Int, "only for the trampoline of kernel return probes";
    424 PIDFD_SEND_SIGNAL pidfd_send_signal, Missing, (pidfd: Fd, sig: Signal, info: In(S::Siginfo), flags: UInt) -> Zero;
    425 IO_URING_SETUP io_uring_setup, Missing, (entries: UInt, params: InOut(S::Other("io_uring_params"))) -> Fd;
    426 IO_URING_ENTER io_uring_enter, Missing, (fd: Fd, to_submit: UInt, min_complete: UInt, flags: Hex, sig: Ptr, sigsz: Size) -> Count;
    427 IO_URING_REGISTER io_uring_register, Missing, (fd: Fd, opcode: UInt, arg: Ptr, nr_args: UInt) -> Int;
    428 OPEN_TREE open_tree, Missing, (dirfd: DirFd, path: Path, flags: Hex) -> Fd;
    429 MOVE_MOUNT move_mount, Missing, (from_dirfd: DirFd, from_path: Path, to_dirfd: DirFd, to_path: Path, flags: Hex) -> Zero;
    430 FSOPEN fsopen, Missing, (fsname: Str, flags: Hex) -> Fd;
    431 FSCONFIG fsconfig, Missing, (fd: Fd, cmd: UInt, key: Str, value: Ptr, aux: Int) -> Zero;
    432 FSMOUNT fsmount, Missing, (fd: Fd, flags: Hex, attr_flags: Hex) -> Fd;
    433 FSPICK fspick, Missing, (dirfd: DirFd, path: Path, flags: Hex) -> Fd;
    434 PIDFD_OPEN pidfd_open, Missing, (pid: Pid, flags: UInt) -> Fd;
    435 CLONE3 clone3, Partial, (cl_args: In(S::CloneArgs), size: Size) -> Pid, "no namespaces, no CLONE_PIDFD, no set_tid, no CLONE_INTO_CGROUP";
    436 CLOSE_RANGE close_range, Full, (first: UInt, last: UInt, flags: Flags(F::CloseRange)) -> Zero;
    437 OPENAT2 openat2, Partial, (dirfd: DirFd, path: Path, how: In(S::OpenHow), size: Size) -> Fd, "RESOLVE_CACHED always fails with EAGAIN";
    438 PIDFD_GETFD pidfd_getfd, Missing, (pidfd: Fd, targetfd: Fd, flags: UInt) -> Fd;
    439 FACCESSAT2 faccessat2, Full, (dirfd: DirFd, path: Path, mode: Flags(F::Access), flags: Flags(F::AtAccess)) -> Zero;
    440 PROCESS_MADVISE process_madvise, Missing, (pidfd: Fd, iov: InArray(S::Iovec, 2), vlen: Size, advice: One(F::Madvise), flags: UInt) -> Count;
    441 EPOLL_PWAIT2 epoll_pwait2, Full, (epfd: Fd, events: OutArray(S::EpollEvent, 2), maxevents: Int, timeout: In(S::Timespec), sigmask: In(S::Sigset), sigsetsize: Size) -> Count;
    442 MOUNT_SETATTR mount_setattr, Missing, (dirfd: DirFd, path: Path, flags: Flags(F::At), attr: In(S::Other("mount_attr")), size: Size) -> Zero;
    443 QUOTACTL_FD quotactl_fd, Missing, (fd: Fd, cmd: Hex, id: Uid, addr: Ptr) -> Zero;
    444 LANDLOCK_CREATE_RULESET landlock_create_ruleset, Missing, (attr: In(S::Other("landlock_ruleset_attr")), size: Size, flags: Hex) -> Fd;
    445 LANDLOCK_ADD_RULE landlock_add_rule, Missing, (ruleset_fd: Fd, rule_type: Int, rule_attr: Ptr, flags: Hex) -> Zero;
    446 LANDLOCK_RESTRICT_SELF landlock_restrict_self, Missing, (ruleset_fd: Fd, flags: Hex) -> Zero;
    447 MEMFD_SECRET memfd_secret, Missing, (flags: Flags(F::OpenBits)) -> Fd;
    448 PROCESS_MRELEASE process_mrelease, Missing, (pidfd: Fd, flags: UInt) -> Zero;
    449 FUTEX_WAITV futex_waitv, Missing, (waiters: In(S::Other("futex_waitv")), nr_futexes: UInt, flags: UInt, timeout: In(S::Timespec), clockid: One(F::Clock)) -> Int;
    450 SET_MEMPOLICY_HOME_NODE set_mempolicy_home_node, Missing, (start: Addr, len: Size, home_node: ULong, flags: Hex) -> Zero;
    451 CACHESTAT cachestat, Missing, (fd: Fd, range: In(S::Other("cachestat_range")), cstat: Out(S::Other("cachestat")), flags: UInt) -> Zero;
    452 FCHMODAT2 fchmodat2, Full, (dirfd: DirFd, path: Path, mode: Mode, flags: Flags(F::At)) -> Zero;
    453 MAP_SHADOW_STACK map_shadow_stack, Missing, (addr: Addr, size: Size, flags: Hex) -> Addr;
    454 FUTEX_WAKE futex_wake, Missing, (uaddr: Ptr, mask: Hex, count: Int, flags: Hex) -> Count;
    455 FUTEX_WAIT futex_wait, Missing, (uaddr: Ptr, val: ULong, mask: Hex, flags: Hex, timeout: In(S::Timespec), clockid: One(F::Clock)) -> Zero;
    456 FUTEX_REQUEUE futex_requeue, Missing, (waiters: In(S::Other("futex_waitv")), flags: Hex, nr_wake: Int, nr_requeue: Int) -> Count;
    457 STATMOUNT statmount, Missing, (req: In(S::Other("mnt_id_req")), buf: Out(S::Other("statmount")), bufsize: Size, flags: Hex) -> Zero;
    458 LISTMOUNT listmount, Missing, (req: In(S::Other("mnt_id_req")), mnt_ids: Ptr, nr_mnt_ids: Size, flags: Hex) -> Count;
    459 LSM_GET_SELF_ATTR lsm_get_self_attr, Missing, (attr: UInt, ctx: Out(S::Other("lsm_ctx")), size: InOut(S::Int), flags: Hex) -> Count;
    460 LSM_SET_SELF_ATTR lsm_set_self_attr, Missing, (attr: UInt, ctx: In(S::Other("lsm_ctx")), size: UInt, flags: Hex) -> Zero;
    461 LSM_LIST_MODULES lsm_list_modules, Missing, (ids: Ptr, size: InOut(S::Int), flags: Hex) -> Count;
    462 MSEAL mseal, Missing, (addr: Addr, length: Size, flags: Hex) -> Zero;
}

#[cfg(test)]
mod tests {
    use super::*;
    extern crate std;
    use std::collections::BTreeSet;

    #[test]
    fn rows_are_sorted_and_only_the_holes_are_missing() {
        assert!(CALLS.windows(2).all(|pair| pair[0].number < pair[1].number));
        for number in 0..=LAST {
            assert_eq!(lookup(number as u64).is_none(), HOLES.contains(&number), "number {number}");
        }
        assert_eq!(lookup(LAST as u64 + 1), None);
        assert_eq!(lookup(u64::MAX), None);
    }

    #[test]
    fn names_are_unique_and_found() {
        let names: BTreeSet<_> = CALLS.iter().map(|call| call.name).collect();
        assert_eq!(names.len(), CALLS.len());
        assert_eq!(by_name("openat").map(|call| call.number), Some(nr::OPENAT as u16));
        assert_eq!(by_name("no_such_call"), None);
    }

    #[test]
    fn lengths_point_at_other_arguments() {
        for call in CALLS {
            assert!(call.args.len() <= 6, "{}", call.name);
            for (position, arg) in call.args.iter().enumerate() {
                if let Some(length) = arg.ty.length_argument() {
                    assert!(length < call.args.len() && length != position, "{}({})", call.name, arg.name);
                }
            }
        }
    }

    #[test]
    fn what_falls_short_says_why() {
        for call in CALLS {
            if matches!(call.support, Partial | Refused(_)) {
                assert!(!call.note.is_empty(), "{} needs a note", call.name);
            }
        }
    }
}
