//! Processes, threads, scheduling, and what is asked of the kernel as a whole.

/// Bits of the `clone` flags that hold the signal sent to the parent at exit.
pub const CSIGNAL: u64 = 0xff;
/// Sizes of `struct clone_args` by version.
pub const CLONE_ARGS_SIZE_VER0: usize = 64;
pub const CLONE_ARGS_SIZE_VER2: usize = 88;
/// First size of `struct sched_attr`.
pub const SCHED_ATTR_SIZE_VER0: usize = 48;
/// "No limit" in `struct rlimit`.
pub const RLIM_INFINITY: u64 = u64::MAX;
/// `reboot(2)`: the words that must come first.
pub const LINUX_REBOOT_MAGIC1: u32 = 0xfee1_dead;
pub const LINUX_REBOOT_MAGIC2: [u32; 4] = [672_274_793, 85_072_278, 369_367_448, 537_993_216];
/// `CLONE_NEWTIME`'s bit lies in [`CSIGNAL`]: valid for `clone3` and `unshare` only.
pub const CLONE_NEWTIME: u64 = 0x80;
/// Longest thread name with its terminator (`PR_SET_NAME`).
pub const TASK_COMM_LEN: usize = 16;
/// Bytes of one field of `struct utsname`.
pub const UTSNAME_LEN: usize = 65;
/// Clock ticks a second in `times(2)` and `/proc/*/stat`.
pub const USER_HZ: u64 = 100;
/// `_LINUX_CAPABILITY_VERSION_3`: the header version of `capget(2)`.
pub const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

families! {
    /// `clone(2)`, `unshare(2)`, `setns(2)`.
    clone: u64 {
        CLONE_VM = 0x100,
        CLONE_FS = 0x200,
        CLONE_FILES = 0x400,
        CLONE_SIGHAND = 0x800,
        CLONE_PIDFD = 0x1000,
        CLONE_PTRACE = 0x2000,
        CLONE_VFORK = 0x4000,
        CLONE_PARENT = 0x8000,
        CLONE_THREAD = 0x1_0000,
        CLONE_NEWNS = 0x2_0000,
        CLONE_SYSVSEM = 0x4_0000,
        CLONE_SETTLS = 0x8_0000,
        CLONE_PARENT_SETTID = 0x10_0000,
        CLONE_CHILD_CLEARTID = 0x20_0000,
        CLONE_DETACHED = 0x40_0000,
        CLONE_UNTRACED = 0x80_0000,
        CLONE_CHILD_SETTID = 0x100_0000,
        CLONE_NEWCGROUP = 0x200_0000,
        CLONE_NEWUTS = 0x400_0000,
        CLONE_NEWIPC = 0x800_0000,
        CLONE_NEWUSER = 0x1000_0000,
        CLONE_NEWPID = 0x2000_0000,
        CLONE_NEWNET = 0x4000_0000,
        CLONE_IO = 0x8000_0000,
        CLONE_CLEAR_SIGHAND = 0x1_0000_0000,
        CLONE_INTO_CGROUP = 0x2_0000_0000,
    }
    /// `wait4(2)`, `waitid(2)`.
    wait: u32 {
        WNOHANG = 0x1,
        WUNTRACED = 0x2,
        WEXITED = 0x4,
        WCONTINUED = 0x8,
        WNOWAIT = 0x0100_0000,
        __WNOTHREAD = 0x2000_0000,
        __WALL = 0x4000_0000,
        __WCLONE = 0x8000_0000,
    }
    /// `waitid(2)`: what the number names.
    id_type: u32 {
        P_ALL = 0,
        P_PID = 1,
        P_PGID = 2,
        P_PIDFD = 3,
    }
    /// `sched_setscheduler(2)`.
    sched_policy: u32 {
        SCHED_NORMAL = 0,
        SCHED_FIFO = 1,
        SCHED_RR = 2,
        SCHED_BATCH = 3,
        SCHED_IDLE = 5,
        SCHED_DEADLINE = 6,
        SCHED_EXT = 7,
        SCHED_RESET_ON_FORK = 0x4000_0000,
    }
    /// `sched_flags` of `struct sched_attr`.
    sched_flags: u64 {
        SCHED_FLAG_RESET_ON_FORK = 0x1,
        SCHED_FLAG_RECLAIM = 0x2,
        SCHED_FLAG_DL_OVERRUN = 0x4,
        SCHED_FLAG_KEEP_POLICY = 0x8,
        SCHED_FLAG_KEEP_PARAMS = 0x10,
        SCHED_FLAG_UTIL_CLAMP_MIN = 0x20,
        SCHED_FLAG_UTIL_CLAMP_MAX = 0x40,
    }
    /// `getpriority(2)`.
    priority: u32 {
        PRIO_PROCESS = 0,
        PRIO_PGRP = 1,
        PRIO_USER = 2,
    }
    /// `getrlimit(2)`.
    resource: u32 {
        RLIMIT_CPU = 0,
        RLIMIT_FSIZE = 1,
        RLIMIT_DATA = 2,
        RLIMIT_STACK = 3,
        RLIMIT_CORE = 4,
        RLIMIT_RSS = 5,
        RLIMIT_NPROC = 6,
        RLIMIT_NOFILE = 7,
        RLIMIT_MEMLOCK = 8,
        RLIMIT_AS = 9,
        RLIMIT_LOCKS = 10,
        RLIMIT_SIGPENDING = 11,
        RLIMIT_MSGQUEUE = 12,
        RLIMIT_NICE = 13,
        RLIMIT_RTPRIO = 14,
        RLIMIT_RTTIME = 15,
    }
    /// `getrusage(2)`.
    rusage_who: i32 {
        RUSAGE_SELF = 0,
        RUSAGE_CHILDREN = -1,
        RUSAGE_THREAD = 1,
    }
    /// `prctl(2)`.
    prctl: u32 {
        PR_SET_PDEATHSIG = 1,
        PR_GET_PDEATHSIG = 2,
        PR_GET_DUMPABLE = 3,
        PR_SET_DUMPABLE = 4,
        PR_GET_KEEPCAPS = 7,
        PR_SET_KEEPCAPS = 8,
        PR_GET_TIMING = 13,
        PR_SET_TIMING = 14,
        PR_SET_NAME = 15,
        PR_GET_NAME = 16,
        PR_GET_SECCOMP = 21,
        PR_SET_SECCOMP = 22,
        PR_CAPBSET_READ = 23,
        PR_CAPBSET_DROP = 24,
        PR_GET_TSC = 25,
        PR_SET_TSC = 26,
        PR_GET_SECUREBITS = 27,
        PR_SET_SECUREBITS = 28,
        PR_SET_TIMERSLACK = 29,
        PR_GET_TIMERSLACK = 30,
        PR_SET_MM = 35,
        PR_SET_CHILD_SUBREAPER = 36,
        PR_GET_CHILD_SUBREAPER = 37,
        PR_SET_NO_NEW_PRIVS = 38,
        PR_GET_NO_NEW_PRIVS = 39,
        PR_GET_TID_ADDRESS = 40,
        PR_SET_THP_DISABLE = 41,
        PR_GET_THP_DISABLE = 42,
        PR_CAP_AMBIENT = 47,
        PR_GET_SPECULATION_CTRL = 52,
        PR_SET_SPECULATION_CTRL = 53,
        PR_SET_IO_FLUSHER = 57,
        PR_SET_SYSCALL_USER_DISPATCH = 59,
        PR_SCHED_CORE = 62,
        PR_SET_MDWE = 65,
        PR_SET_VMA = 0x5356_4d41,
        PR_SET_PTRACER = 0x5961_6d61,
    }
    /// `arch_prctl(2)`.
    arch_prctl: u32 {
        ARCH_SET_GS = 0x1001,
        ARCH_SET_FS = 0x1002,
        ARCH_GET_FS = 0x1003,
        ARCH_GET_GS = 0x1004,
        ARCH_GET_CPUID = 0x1011,
        ARCH_SET_CPUID = 0x1012,
        ARCH_GET_XCOMP_SUPP = 0x1021,
        ARCH_GET_XCOMP_PERM = 0x1022,
        ARCH_REQ_XCOMP_PERM = 0x1023,
        ARCH_CET_STATUS = 0x3001,
        ARCH_SHSTK_ENABLE = 0x5001,
        ARCH_SHSTK_DISABLE = 0x5002,
        ARCH_SHSTK_STATUS = 0x5005,
    }
    /// `personality(2)`.
    persona: u32 {
        PER_LINUX = 0,
        UNAME26 = 0x002_0000,
        ADDR_NO_RANDOMIZE = 0x004_0000,
        MMAP_PAGE_ZERO = 0x010_0000,
        ADDR_COMPAT_LAYOUT = 0x020_0000,
        READ_IMPLIES_EXEC = 0x040_0000,
        ADDR_LIMIT_32BIT = 0x080_0000,
        STICKY_TIMEOUTS = 0x400_0000,
        ADDR_LIMIT_3GB = 0x800_0000,
    }
    /// Keys of the auxiliary vector.
    auxv: u64 {
        AT_NULL = 0,
        AT_IGNORE = 1,
        AT_EXECFD = 2,
        AT_PHDR = 3,
        AT_PHENT = 4,
        AT_PHNUM = 5,
        AT_PAGESZ = 6,
        AT_BASE = 7,
        AT_FLAGS = 8,
        AT_ENTRY = 9,
        AT_UID = 11,
        AT_EUID = 12,
        AT_GID = 13,
        AT_EGID = 14,
        AT_PLATFORM = 15,
        AT_HWCAP = 16,
        AT_CLKTCK = 17,
        AT_SECURE = 23,
        AT_RANDOM = 25,
        AT_HWCAP2 = 26,
        AT_RSEQ_FEATURE_SIZE = 27,
        AT_RSEQ_ALIGN = 28,
        AT_EXECFN = 31,
        AT_SYSINFO_EHDR = 33,
        AT_MINSIGSTKSZ = 51,
    }
    /// `reboot(2)`: commands.
    reboot: u32 {
        LINUX_REBOOT_CMD_CAD_OFF = 0,
        LINUX_REBOOT_CMD_CAD_ON = 0x89ab_cdef,
        LINUX_REBOOT_CMD_HALT = 0xcdef_0123,
        LINUX_REBOOT_CMD_KEXEC = 0x4558_4543,
        LINUX_REBOOT_CMD_POWER_OFF = 0x4321_fedc,
        LINUX_REBOOT_CMD_RESTART = 0x0123_4567,
        LINUX_REBOOT_CMD_RESTART2 = 0xa1b2_c3d4,
        LINUX_REBOOT_CMD_SW_SUSPEND = 0xd000_fce2,
    }
    /// `membarrier(2)`.
    membarrier: u32 {
        MEMBARRIER_CMD_QUERY = 0,
        MEMBARRIER_CMD_GLOBAL = 0x1,
        MEMBARRIER_CMD_GLOBAL_EXPEDITED = 0x2,
        MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED = 0x4,
        MEMBARRIER_CMD_PRIVATE_EXPEDITED = 0x8,
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 0x10,
        MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE = 0x20,
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 0x40,
        MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ = 0x80,
        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ = 0x100,
        MEMBARRIER_CMD_GET_REGISTRATIONS = 0x200,
    }
    /// `rseq(2)`: flags.
    rseq_flags: u32 {
        RSEQ_FLAG_UNREGISTER = 1,
    }
    /// `rseq.cpu_id` while no processor is known.
    rseq_cpu: u32 {
        RSEQ_CPU_ID_UNINITIALIZED = 0xffff_ffff,
        RSEQ_CPU_ID_REGISTRATION_FAILED = 0xffff_fffe,
    }
    /// `getrandom(2)`.
    getrandom: u32 {
        GRND_NONBLOCK = 1,
        GRND_RANDOM = 2,
        GRND_INSECURE = 4,
    }
}
