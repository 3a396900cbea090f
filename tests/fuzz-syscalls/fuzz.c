/*
 * fuzz CALLS FIRST COUNT [trace]
 *
 * Makes CALLS random system calls with random arguments for each of the seeds FIRST, FIRST + 1, ... The kernel must
 * survive; nothing else is asked. Call number i of a seed depends on the seed and i alone, so a seed that brings a
 * kernel down does so again. With `trace` every call is printed before it is made.
 *
 * The calls are made in a child. When it dies of them, or hangs in one, another goes on after that call. Left out are
 * only calls that end or change the run by doing what they are for: reboot, mounts, and signals and limits for other
 * processes.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define ARENA_PAGES 16

/* Shared with the child, so that the parent sees how far it came. */
static struct progress {
    volatile long next;
} *progress;

static unsigned char *arena;
static int tracing, trace_fd;
static pid_t self;

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
    uint64_t at = below(ARENA_PAGES * PAGE);
    switch (below(4)) {
    case 0: at &= -PAGE; break;
    case 1: at = (at | (PAGE - 1)) - below(32); break;
    case 2: at &= -8ul; break;
    }
    if (below(3) == 0 && at + 128 < ARENA_PAGES * PAGE)
        for (int i = 0; i < 16; i++) {
            uint64_t word = below(3) ? below(300) : wild();
            memcpy(arena + at + i * 8, &word, 8);
        }
    return (uint64_t)(uintptr_t)arena + at;
}

static uint64_t path(void)
{
    return (uint64_t)(uintptr_t)paths[below(sizeof paths / sizeof *paths)];
}

/* A valid vector of short pieces of the arena. */
static uint64_t vector(void)
{
    struct iovec *list = (struct iovec *)(arena + below(8) * 256);
    for (int i = 0; i < 8; i++)
        list[i] = (struct iovec){(void *)(uintptr_t)(below(8) ? memory() : wild()), below(8) ? below(5000) : wild()};
    return (uint64_t)(uintptr_t)list;
}

/* A time of up to two milliseconds, or one that is not valid. */
static uint64_t brief(void)
{
    struct timespec *time = (struct timespec *)(arena + PAGE + below(16) * 32);
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

/* Only ourselves and processes that are not there. */
static uint64_t process(void)
{
    return below(3) ? (uint64_t)self : below(2) ? 4194304 + below(1000) : -4194304 - below(1000);
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
    case 'a': return below(6) ? (uint64_t)(uintptr_t)arena + below(ARENA_PAGES) * PAGE : wild() & -PAGE;
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
    {SYS_rt_sigreturn, ""}, {SYS_sigaltstack, "pp"}, {SYS_utimensat, "dstF"}, {SYS_mknod, "sFi"}, {SYS_statfs, "sp"}, {SYS_fstatfs, "fp"},
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
    {SYS_timerfd_create, "iF"}, {SYS_signalfd4, "fp8F"}, {SYS_inotify_init1, "F"}, {SYS_setxattr, "sspli"}, {SYS_getxattr, "sspl"},
};

/* Whether a call would end the run by doing what it is for, or reach beyond the child. */
static int left_out(uint64_t number, const uint64_t *a)
{
    switch (number) {
    case SYS_reboot: case SYS_kexec_load: case SYS_kexec_file_load: case SYS_ptrace: case SYS_process_vm_writev: case SYS_pidfd_send_signal:
    case SYS_setpriority: case SYS_ioprio_set: case SYS_vhangup: case SYS_swapoff: case SYS_settimeofday: case SYS_clock_settime:
    case SYS_pause: case SYS_rt_sigsuspend: case SYS_umount2: case SYS_pivot_root: case SYS_move_mount: case SYS_mount_setattr:
        return 1;
    case SYS_mount: /* one that works would change what the calls after it stand on */
        return a[3] != 0;
    case SYS_kill: case SYS_tkill: case SYS_tgkill: case SYS_rt_sigqueueinfo: case SYS_rt_tgsigqueueinfo:
        return a[0] != (uint64_t)self && a[0] < 4194304;
    case SYS_setrlimit:
        return a[0] == RLIMIT_AS || a[0] == RLIMIT_FSIZE;
    case SYS_prlimit64:
        return a[0] < 4194304 || a[1] == RLIMIT_AS || a[1] == RLIMIT_FSIZE;
    case 0x61690004: /* AgentKill */
        return 1;
    }
    return 0;
}

/* The call itself. A new process or thread ends at once, in registers only: its stack may be anywhere. */
static long call(uint64_t number, const uint64_t *a)
{
    long result;
    register uint64_t r10 __asm__("r10") = a[3];
    register uint64_t r8 __asm__("r8") = a[4];
    register uint64_t r9 __asm__("r9") = a[5];
    uint64_t forks = number == SYS_fork || number == SYS_vfork || number == SYS_clone || number == SYS_clone3;
    __asm__ volatile("syscall; test %%rbx, %%rbx; jz 1f; test %%rax, %%rax; jnz 1f; xor %%edi, %%edi; mov $60, %%eax; syscall; 1:"
                     : "=a"(result)
                     : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9), "b"(forks)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

static void one(uint64_t seed, long index)
{
    state = seed * 0xd1342543de82ef95ul + (uint64_t)index;
    any();
    uint64_t number, a[6];
    const char *kinds = "";
    uint64_t which = below(20);
    if (which < 17) {
        uint64_t entry = below(sizeof known / sizeof *known);
        number = (uint64_t)known[entry].number;
        kinds = known[entry].kinds;
    } else if (which < 19) {
        number = below(470);
    } else {
        number = below(2) ? 0x61690000 + below(80) : wild();
    }
    for (int i = 0; i < 6; i++) {
        char kind = *kinds ? *kinds++ : '?';
        a[i] = kind == '8' ? 8 : argument(below(15) ? kind : '?');
    }
    /* The kernel looks at the low half of the number only. */
    if (left_out(number & 0xffffffff, a))
        return;
    if (tracing)
        dprintf(trace_fd, "%ld: %lu(%lx, %lx, %lx, %lx, %lx, %lx)\n", index, number, a[0], a[1], a[2], a[3], a[4], a[5]);
    call(number, a);
}

static void tick(int number)
{
    (void)number;
}

/* A signal that ends a call which waits; set again every time, because the calls before may have undone it. */
static void wind_clock(void)
{
    struct sigaction action = {.sa_handler = tick};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &set, 0);
    sigaction(SIGALRM, &action, 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 4000}, {0, 4000}}, 0);
}

static void make_places(void)
{
    int ends[2], fd = open("file", O_RDWR | O_CREAT, 0755);
    write(fd, "#!./file\n0123456789", 19);
    close(open("script", O_RDWR | O_CREAT, 0755));
    mkdir("directory", 0755);
    symlink("file", "link");
    symlink("loop", "loop");
    mkfifo("fifo", 0644);
    open("directory", O_RDONLY);
    pipe(ends);
    pipe2(ends, O_NONBLOCK);
    open("/dev/zero", O_RDWR);
    eventfd(1, EFD_NONBLOCK);
    open("/proc/self/status", O_RDONLY);
    open("fifo", O_RDWR | O_NONBLOCK);
}

/* Removes what a child left; a few levels deep at most, because nothing deeper can be made. */
static void remove_tree(const char *path)
{
    struct stat status;
    if (lstat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        DIR *directory = opendir(path);
        struct dirent *entry;
        while (directory && (entry = readdir(directory))) {
            char inner[600];
            if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
                continue;
            if (snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) < (int)sizeof inner)
                remove_tree(inner);
        }
        if (directory)
            closedir(directory);
        rmdir(path);
    } else {
        unlink(path);
    }
}

/* Makes the calls from where the last child stopped. */
static void child(uint64_t seed, long calls)
{
    self = getpid();
    setsid();
    for (int fd = 0; fd < 3; fd++) {
        close(fd);
        open("/dev/null", O_RDWR);
    }
    make_places();
    setrlimit(RLIMIT_AS, &(struct rlimit){96 << 20, 96 << 20});
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 20, 1 << 20});
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){128, 128});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    arena = mmap(0, ARENA_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED)
        _exit(1);
    state = seed;
    for (unsigned long at = 0; at < ARENA_PAGES * PAGE; at += 8)
        *(uint64_t *)(arena + at) = below(2) ? below(256) : any();
    while (progress->next < calls) {
        wind_clock();
        one(seed, progress->next++);
    }
    _exit(0);
}

static long milliseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Waits for the child; ends it when it makes no call for a while. Returns whether it had to. */
static int watch(pid_t pid)
{
    long last = progress->next, since = milliseconds();
    for (;;) {
        if (waitpid(pid, 0, WNOHANG | WUNTRACED) == pid && kill(pid, 0) < 0)
            return 0;
        if (progress->next != last) {
            last = progress->next;
            since = milliseconds();
        } else if (milliseconds() - since > 400) {
            kill(-pid, SIGKILL);
            kill(pid, SIGKILL);
            waitpid(pid, 0, 0);
            return 1;
        }
        nanosleep(&(struct timespec){0, 1000000}, 0);
    }
}

int main(int count, char **arguments)
{
    if (count < 4) {
        fprintf(stderr, "usage: fuzz CALLS FIRST COUNT [trace]\n");
        return 2;
    }
    setvbuf(stdout, 0, _IOLBF, 0);
    long calls = atol(arguments[1]), first = atol(arguments[2]), seeds = atol(arguments[3]);
    tracing = count > 4;
    trace_fd = fcntl(1, F_DUPFD, 60);
    progress = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    mkdir("/tmp/fuzz", 0755);
    if (chdir("/tmp/fuzz") < 0) {
        perror("/tmp/fuzz");
        return 2;
    }
    for (long seed = first; seed < first + seeds; seed++) {
        int children = 0, stalls = 0;
        printf("seed %ld\n", seed);
        progress->next = 0;
        while (progress->next < calls && children < calls) {
            long before = progress->next;
            char work[64];
            snprintf(work, sizeof work, "%ld-%d", seed, children);
            mkdir(work, 0755);
            pid_t pid = fork();
            if (pid < 0) {
                printf("fork: %s\n", strerror(errno));
                return 1;
            }
            if (pid == 0) {
                if (chdir(work) < 0)
                    _exit(1);
                child((uint64_t)seed, calls);
            }
            children++;
            stalls += watch(pid);
            while (waitpid(-1, 0, WNOHANG | __WALL) > 0)
                ;
            remove_tree(work);
            /* One that did not come to its first call must not be the start of an endless row. */
            if (progress->next == before)
                progress->next++;
        }
        printf("seed %ld done: %ld calls in %d processes, %d of them stopped\n", seed, calls, children, stalls);
    }
    printf("fuzz: done\n");
    return 0;
}
