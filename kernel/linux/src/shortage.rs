//! Calls that are made also when the machine has no memory.

use aios_abi::linux::table::nr;

/// They give memory back, wait, or look: what they take is little and given back when they return. A program can leave
/// with them, and clear up behind itself; all others are refused or wait until there is memory.
pub(crate) const CALLS: &[u32] = &[
    // Ends, and waiting for them.
    nr::EXIT,
    nr::EXIT_GROUP,
    nr::WAIT4,
    nr::WAITID,
    nr::KILL,
    nr::TKILL,
    nr::TGKILL,
    // What is open, and what is in it.
    nr::CLOSE,
    nr::CLOSE_RANGE,
    nr::READ,
    nr::READV,
    nr::PREAD64,
    nr::WRITE,
    nr::WRITEV,
    nr::PWRITE64,
    nr::LSEEK,
    nr::FSTAT,
    nr::FTRUNCATE,
    nr::FSYNC,
    nr::POLL,
    nr::PPOLL,
    nr::EPOLL_WAIT,
    nr::EPOLL_PWAIT,
    // Names that go.
    nr::UNLINK,
    nr::UNLINKAT,
    nr::RMDIR,
    // Memory that goes.
    nr::MUNMAP,
    nr::MADVISE,
    // Signals.
    nr::RT_SIGACTION,
    nr::RT_SIGPROCMASK,
    nr::RT_SIGRETURN,
    nr::RT_SIGSUSPEND,
    nr::RT_SIGTIMEDWAIT,
    nr::SIGALTSTACK,
    nr::PAUSE,
    nr::RESTART_SYSCALL,
    // Threads among themselves.
    nr::FUTEX,
    nr::SCHED_YIELD,
    nr::SET_ROBUST_LIST,
    nr::SET_TID_ADDRESS,
    nr::ARCH_PRCTL,
    nr::RSEQ,
    // Time.
    nr::NANOSLEEP,
    nr::CLOCK_NANOSLEEP,
    nr::CLOCK_GETTIME,
    nr::GETTIMEOFDAY,
    nr::TIME,
    // Who one is.
    nr::GETPID,
    nr::GETPPID,
    nr::GETTID,
    nr::GETPGID,
    nr::GETPGRP,
    nr::GETSID,
    nr::GETUID,
    nr::GETEUID,
    nr::GETGID,
    nr::GETEGID,
    nr::GETRUSAGE,
    nr::SYSINFO,
    nr::UNAME,
];
