/*
 * What the random calls are: numbers, arguments, and the few that are left out. Call number i of a seed depends on the seed
 * and i alone; the arena, which pointers point into, is therefore at a fixed place.
 */
#define PAGE 4096ul
#define ARENA_PAGES 16
#define ARENA_SIZE (ARENA_PAGES * PAGE)
#define ARENA ((unsigned char *)0x300000000000)

/* Larger than any number of a process (Linux: PID_MAX_LIMIT). */
#define NOBODY 4194304

/* The process that makes the calls, and one that makes others beside it, or itself. */
static pid_t self, partner;

/* ---- random numbers: splitmix64 ---- */

static uint64_t state;

static uint64_t any(void)
{
    uint64_t value = state += 0x9e3779b97f4a7c15ul;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ul;
    value = (value ^ value >> 27) * 0x94d049bb133111ebul;
    return value ^ value >> 31;
}

static uint64_t below(uint64_t limit)
{
    return any() % limit;
}

/* ---- arguments ---- */

static const char *const paths[] = {
    "file", "other", "directory", "directory/inner", "link", "loop", "fifo", "missing", "missing/inner", "file/inner", "", ".", "..",
    "/", "/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/tty", "/proc/self/status", "/proc/self/maps", "/proc/self/fd",
    "/proc/self/exe", "/proc/self", "/proc", "/tmp", "script",
};

static uint64_t wild(void)
{
    static const uint64_t values[] = {
        0, 1, 8, 0xfff, 0x1000, 0x400000, 0x7ffffffff000, 0x7fffffffffff, 0x800000000000, 0x8000000000000000, 0xffff800000000000,
        0xffff888000000000, 0xffffffff80000000, 0xffffffff81000000, 0xffffffffff600000, -8ul, -1ul, -4095ul, 0x100000000, 0x61690001,
    };
    uint64_t kind = below(10);
    if (kind < 7)
        return values[below(sizeof values / sizeof *values)] + (below(4) ? 0 : below(64));
    return kind < 9 ? any() >> below(64) : -(any() >> below(64));
}

/* Somewhere in the arena: at a page, near an end, anywhere; fresh contents now and then. */
static uint64_t memory(void)
{
    uint64_t at = below(ARENA_SIZE);
    switch (below(4)) {
    case 0: at &= -PAGE; break;
    case 1: at = (at | (PAGE - 1)) - below(32); break;
    case 2: at &= -8ul; break;
    }
    if (below(3) == 0 && at + 128 < ARENA_SIZE)
        for (int i = 0; i < 16; i++) {
            uint64_t word = below(3) ? below(300) : wild();
            memcpy(ARENA + at + i * 8, &word, 8);
        }
    return (uint64_t)(uintptr_t)ARENA + at;
}

static uint64_t path(void)
{
    return (uint64_t)(uintptr_t)paths[below(sizeof paths / sizeof *paths)];
}

/* A valid vector of short pieces of the arena. */
static uint64_t vector(void)
{
    struct iovec *list = (struct iovec *)(ARENA + below(8) * 256);
    for (int i = 0; i < 8; i++)
        list[i] = (struct iovec){(void *)(uintptr_t)(below(8) ? memory() : wild()), below(8) ? below(5000) : wild()};
    return (uint64_t)(uintptr_t)list;
}

/* A time of up to two milliseconds, or one that is not valid. */
static uint64_t brief(void)
{
    struct timespec *time = (struct timespec *)(ARENA + PAGE + below(16) * 32);
    *time = (struct timespec){below(12) ? 0 : (time_t)wild(), below(12) ? (long)below(2000000) : (long)wild()};
    time[1] = *time;
    return (uint64_t)(uintptr_t)time;
}

static uint64_t length(void)
{
    static const uint64_t values[] = {0, 1, 4, 7, 8, 16, 24, 88, 128, 144, 512, 4095, 4096, 4097, 8192, 65536, 1 << 20, 1ul << 31, 1ul << 47, -1ul};
    return below(3) ? below(600) : values[below(sizeof values / sizeof *values)];
}

static uint64_t flags(void)
{
    uint64_t value = 0;
    for (uint64_t count = below(4); count; count--)
        value |= 1ul << below(below(8) ? 20 : 64);
    return value;
}

/* Only ourselves, our partner, and processes that are not there. */
static uint64_t process(void)
{
    return below(3) ? (uint64_t)(below(8) ? self : partner) : below(2) ? NOBODY + below(1000) : -(uint64_t)NOBODY - below(1000);
}

/* One argument of a kind; the kinds are the letters of the table below. */
static uint64_t argument(char kind)
{
    switch (kind) {
    case 'f': return below(10) ? below(24) : wild();
    case 'd': return below(3) ? (uint64_t)AT_FDCWD : below(24);
    case 'p': return below(8) ? memory() : wild();
    case 's': return below(12) ? path() : below(2) ? memory() : wild();
    case 'v': return below(10) ? vector() : wild();
    case 't': return below(10) ? brief() : wild();
    case 'l': return length();
    case 'o': return below(4) ? below(10000) : wild();
    case 'F': return flags();
    case 'i': return below(6) ? below(16) : wild();
    case 'm': return below(01000);
    case 'S': return below(10) ? below(66) : wild();
    case 'P': return process();
    case 'a': return below(6) ? (uint64_t)(uintptr_t)ARENA + below(ARENA_PAGES) * PAGE : wild() & -PAGE;
    case '0': return 0;
    case '1': return 1;
    }
    static const char kinds[] = "fdpsvtloFimSa";
    return argument(kinds[below(sizeof kinds - 1)]);
}

/* Calls with what their arguments are, so that most get past their first check. Those not listed get anything. */
static const struct {
    int number;
    const char *kinds;
} known[] = {
    {SYS_read, "fpl"}, {SYS_write, "fpl"}, {SYS_open, "sFm"}, {SYS_close, "f"}, {SYS_stat, "sp"}, {SYS_fstat, "fp"}, {SYS_lstat, "sp"},
    {SYS_poll, "pi0"}, {SYS_lseek, "foi"}, {SYS_mmap, "alFFfo"}, {SYS_mprotect, "alF"}, {SYS_munmap, "al"}, {SYS_brk, "p"},
    {SYS_rt_sigaction, "Spp8"}, {SYS_rt_sigprocmask, "ipp8"}, {SYS_ioctl, "fFp"}, {SYS_pread64, "fplo"}, {SYS_pwrite64, "fplo"},
    {SYS_readv, "fvi"}, {SYS_writev, "fvi"}, {SYS_access, "si"}, {SYS_pipe, "p"}, {SYS_select, "ipppt"}, {SYS_sched_yield, ""},
    {SYS_mremap, "allFa"}, {SYS_msync, "alF"}, {SYS_mincore, "alp"}, {SYS_madvise, "ali"}, {SYS_dup, "f"}, {SYS_dup2, "ff"},
    {SYS_nanosleep, "tp"}, {SYS_getitimer, "ip"}, {SYS_alarm, "i"}, {SYS_setitimer, "itp"}, {SYS_getpid, ""}, {SYS_sendfile, "ffpl"},
    {SYS_clone, "Fpppp"}, {SYS_fork, ""}, {SYS_vfork, ""}, {SYS_execve, "spp"}, {SYS_exit, "i"}, {SYS_wait4, "Ppip"}, {SYS_kill, "PS"},
    {SYS_uname, "p"}, {SYS_fcntl, "fip"}, {SYS_flock, "fi"}, {SYS_fsync, "f"}, {SYS_fdatasync, "f"}, {SYS_truncate, "so"},
    {SYS_ftruncate, "fo"}, {SYS_getdents64, "fpl"}, {SYS_getcwd, "pl"}, {SYS_chdir, "s"}, {SYS_fchdir, "f"}, {SYS_rename, "ss"},
    {SYS_mkdir, "sm"}, {SYS_rmdir, "s"}, {SYS_creat, "sm"}, {SYS_link, "ss"}, {SYS_unlink, "s"}, {SYS_symlink, "ss"},
    {SYS_readlink, "spl"}, {SYS_chmod, "sm"}, {SYS_fchmod, "fm"}, {SYS_chown, "sii"}, {SYS_umask, "m"}, {SYS_gettimeofday, "pp"},
    {SYS_getrlimit, "ip"}, {SYS_getrusage, "ip"}, {SYS_sysinfo, "p"}, {SYS_times, "p"}, {SYS_setpgid, "PP"}, {SYS_setsid, ""},
    {SYS_getgroups, "ip"}, {SYS_setgroups, "ip"}, {SYS_rt_sigpending, "p8"}, {SYS_rt_sigtimedwait, "ppt8"}, {SYS_rt_sigqueueinfo, "PSp"},
    {SYS_rt_sigreturn, ""}, {SYS_pause, ""}, {SYS_rt_sigsuspend, "p8"}, {SYS_sigaltstack, "pp"}, {SYS_utimensat, "dstF"}, {SYS_mknod, "sFi"}, {SYS_statfs, "sp"}, {SYS_fstatfs, "fp"},
    {SYS_prctl, "ippii"}, {SYS_arch_prctl, "Fp"}, {SYS_setrlimit, "ip"}, {SYS_chroot, "s"}, {SYS_sync, ""}, {SYS_mount, "sss0p"},
    {SYS_gettid, ""}, {SYS_futex, "piitpi"}, {SYS_sched_setaffinity, "Plp"}, {SYS_sched_getaffinity, "Plp"},
    {SYS_set_tid_address, "p"}, {SYS_fadvise64, "foli"}, {SYS_clock_gettime, "ip"}, {SYS_clock_getres, "ip"},
    {SYS_clock_nanosleep, "i0tp"}, {SYS_exit_group, "i"}, {SYS_tgkill, "PPS"}, {SYS_waitid, "iPpFp"}, {SYS_openat, "dsFm"},
    {SYS_mkdirat, "dsm"}, {SYS_mknodat, "dsFi"}, {SYS_fchownat, "dsiiF"}, {SYS_newfstatat, "dspF"}, {SYS_unlinkat, "dsF"},
    {SYS_renameat, "dsds"}, {SYS_linkat, "dsdsF"}, {SYS_symlinkat, "sds"}, {SYS_readlinkat, "dspl"}, {SYS_fchmodat, "dsm"},
    {SYS_faccessat, "dsi"}, {SYS_pselect6, "ippptp"}, {SYS_ppoll, "pitp8"}, {SYS_set_robust_list, "pl"}, {SYS_get_robust_list, "Ppp"},
    {SYS_splice, "fpfplF"}, {SYS_tee, "fflF"}, {SYS_vmsplice, "fviF"}, {SYS_fallocate, "fioo"}, {SYS_eventfd2, "iF"},
    {SYS_epoll_create1, "F"}, {SYS_epoll_ctl, "fifp"}, {SYS_epoll_pwait, "fpi1p8"}, {SYS_dup3, "ffF"}, {SYS_pipe2, "pF"},
    {SYS_preadv, "fvio"}, {SYS_pwritev, "fvio"}, {SYS_prlimit64, "Pipp"}, {SYS_syncfs, "f"}, {SYS_getcpu, "ppp"},
    {SYS_sched_setscheduler, "Pip"}, {SYS_renameat2, "dsdsF"}, {SYS_getrandom, "plF"}, {SYS_memfd_create, "sF"}, {SYS_execveat, "dsppF"},
    {SYS_membarrier, "iF"}, {SYS_copy_file_range, "fpfplF"}, {SYS_preadv2, "fvioiF"}, {SYS_pwritev2, "fvioiF"}, {SYS_statx, "dsFFp"},
    {SYS_rseq, "plFi"}, {SYS_clone3, "pl"}, {SYS_close_range, "ffF"}, {SYS_openat2, "dspl"}, {SYS_faccessat2, "dsiF"},
    {SYS_socket, "iii"}, {SYS_socketpair, "iiip"}, {SYS_sendmsg, "fpF"}, {SYS_recvmsg, "fpF"}, {SYS_bind, "fpl"}, {SYS_connect, "fpl"},
    {SYS_timerfd_create, "iF"}, {SYS_timerfd_settime, "fitp"}, {SYS_timerfd_gettime, "fp"}, {SYS_timer_create, "ipp"},
    {SYS_timer_settime, "iitp"}, {SYS_timer_gettime, "ip"}, {SYS_timer_getoverrun, "i"}, {SYS_timer_delete, "i"},
    {SYS_signalfd4, "fp8F"}, {SYS_inotify_init1, "F"}, {SYS_setxattr, "sspli"}, {SYS_getxattr, "sspl"},
};

/* Whether a process number, of which the kernel reads the low half, names us or nobody. */
static int harmless(uint64_t number)
{
    int32_t pid = (int32_t)number;
    return pid == self || pid == partner || pid >= NOBODY || pid <= -NOBODY;
}

/* Whether a name is outside the directory of the run. */
static int elsewhere(uint64_t name)
{
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (name == (uint64_t)(uintptr_t)paths[i])
            return paths[i][0] == '/';
    return 0;
}

/* Whether a call would end the run by doing what it is for, or change what later runs stand on. */
static int left_out(uint32_t number, const uint64_t *a)
{
    switch (number) {
    case SYS_reboot: case SYS_kexec_load: case SYS_kexec_file_load: case SYS_ptrace: case SYS_process_vm_writev: case SYS_pidfd_send_signal:
    case SYS_setpriority: case SYS_ioprio_set: case SYS_vhangup: case SYS_swapoff: case SYS_settimeofday: case SYS_clock_settime:
    case SYS_umount2: case SYS_pivot_root: case SYS_move_mount: case SYS_mount_setattr:
        return 1;
    case SYS_mount: /* one that works would change what the calls after it stand on */
        return a[3] != 0;
    case SYS_kill: case SYS_tkill: case SYS_rt_sigqueueinfo: case SYS_sched_setaffinity: case SYS_sched_setscheduler: case SYS_sched_setparam:
        return !harmless(a[0]);
    case SYS_tgkill: case SYS_rt_tgsigqueueinfo:
        return !harmless(a[0]) || !harmless(a[1]);
    case SYS_setrlimit:
        return (uint32_t)a[0] == RLIMIT_AS || (uint32_t)a[0] == RLIMIT_FSIZE;
    case SYS_prlimit64:
        return !harmless(a[0]) || (uint32_t)a[1] == RLIMIT_AS || (uint32_t)a[1] == RLIMIT_FSIZE;
    case SYS_unlink: case SYS_unlinkat: case SYS_rmdir: case SYS_rename: case SYS_renameat: case SYS_renameat2:
        return elsewhere(a[0]) || elsewhere(a[1]) || elsewhere(a[3]);
    case 0x61690004: /* AgentKill */
        return 1;
    }
    return 0;
}

/* Takes the clock's signal out of a set of signals in the arena. Returns whether the set is such, or not there at all. */
static int leave_clock(uint64_t set)
{
    uint64_t at = set - (uint64_t)(uintptr_t)ARENA, mask;
    if (at > ARENA_SIZE - 8)
        return set == 0 || set >> 47;
    memcpy(&mask, ARENA + at, 8);
    mask &= ~(1ul << (SIGALRM - 1));
    memcpy(ARENA + at, &mask, 8);
    return 1;
}

/*
 * Whether a call might wait for ever, by right, because it blocks the signal that is to end its waiting. Where the set of
 * signals is in the arena, the clock's is taken out of it instead.
 */
static int deaf(uint32_t number, uint64_t *a)
{
    switch (number) {
    case SYS_rt_sigsuspend:
        return !leave_clock(a[0]);
    case SYS_ppoll:
        return !leave_clock(a[3]);
    case SYS_epoll_pwait: case 441: /* epoll_pwait2 */
        return !leave_clock(a[4]);
    case SYS_pselect6: {
        /* A pointer to a pointer: a pair of our own at the arena's end. */
        uint64_t pair[2] = {(uint64_t)(uintptr_t)ARENA + ARENA_SIZE - 8, 8};
        if (a[5] == 0 || a[5] >> 47)
            return 0;
        a[5] = (uint64_t)(uintptr_t)ARENA + ARENA_SIZE - 24;
        memcpy(ARENA + ARENA_SIZE - 24, pair, sizeof pair);
        return !leave_clock(pair[0]);
    }
    }
    return 0;
}

/* A call, drawn. */
struct call {
    int64_t index;
    uint64_t number, a[6];
};

/* Draws call number `index` of a seed. Returns whether it is to be made. */
static int draw(uint64_t seed, int64_t index, struct call *call)
{
    state = seed * 0xd1342543de82ef95ul + (uint64_t)index;
    any();
    const char *kinds = "";
    uint64_t which = below(20);
    if (which < 17) {
        uint64_t entry = below(sizeof known / sizeof *known);
        call->number = (uint64_t)known[entry].number;
        kinds = known[entry].kinds;
    } else if (which < 19) {
        call->number = below(470);
    } else {
        call->number = below(2) ? 0x61690000 + below(80) : wild();
    }
    call->index = index;
    for (int i = 0; i < 6; i++) {
        char kind = *kinds ? *kinds++ : '?';
        call->a[i] = kind == '8' ? 8 : argument(below(15) ? kind : '?');
    }
    /* The kernel looks at the low half of the number only. */
    return !left_out((uint32_t)call->number, call->a) && !deaf((uint32_t)call->number, call->a);
}
