/* Every pointer argument of every call in the table, with addresses that are no good in seven ways. */
#include "check.h"
#include <asm/prctl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>

/* Argument values that stand for something made at run time. */
enum {
    MARK = 0x5a5a0000,
    PATH,   /* the name of a file that exists */
    FRESH,  /* a name that does not */
    BUFFER, /* a page of zeroes */
    VECTOR, /* one iovec of 16 bytes */
    WAIT,   /* a time-out of nothing; null would be one of for ever and is not tried */
    FILE_FD,
    OTHER_FD,
    DIR_FD,
    PIPE_FD,
    SELF,
};

static const struct {
    const char *name;
    long number;
    long arguments[6];
} calls[] = {
    {"read", SYS_read, {FILE_FD, BUFFER, 16}},
    {"write", SYS_write, {FILE_FD, BUFFER, 16}},
    {"pread64", SYS_pread64, {FILE_FD, BUFFER, 16, 0}},
    {"pwrite64", SYS_pwrite64, {FILE_FD, BUFFER, 16, 0}},
    {"readv", SYS_readv, {FILE_FD, VECTOR, 1}},
    {"writev", SYS_writev, {FILE_FD, VECTOR, 1}},
    {"preadv", SYS_preadv, {FILE_FD, VECTOR, 1}},
    {"pwritev", SYS_pwritev, {FILE_FD, VECTOR, 1}},
    {"open", SYS_open, {PATH, O_RDONLY}},
    {"openat", SYS_openat, {AT_FDCWD, PATH, O_RDONLY}},
    {"creat", SYS_creat, {PATH, 0644}},
    {"stat", SYS_stat, {PATH, BUFFER}},
    {"fstat", SYS_fstat, {FILE_FD, BUFFER}},
    {"lstat", SYS_lstat, {PATH, BUFFER}},
    {"newfstatat", SYS_newfstatat, {AT_FDCWD, PATH, BUFFER, 0}},
    {"statx", SYS_statx, {AT_FDCWD, PATH, 0, 0x7ff, BUFFER}},
    {"statfs", SYS_statfs, {PATH, BUFFER}},
    {"fstatfs", SYS_fstatfs, {FILE_FD, BUFFER}},
    {"access", SYS_access, {PATH, 0}},
    {"faccessat", SYS_faccessat, {AT_FDCWD, PATH, 0}},
    {"chdir", SYS_chdir, {PATH}},
    {"mkdir", SYS_mkdir, {FRESH, 0755}},
    {"mkdirat", SYS_mkdirat, {AT_FDCWD, FRESH, 0755}},
    {"mknod", SYS_mknod, {FRESH, 0100644, 0}},
    {"rmdir", SYS_rmdir, {PATH}},
    {"unlink", SYS_unlink, {FRESH}},
    {"unlinkat", SYS_unlinkat, {AT_FDCWD, FRESH, 0}},
    {"rename", SYS_rename, {PATH, PATH}},
    {"renameat2", SYS_renameat2, {AT_FDCWD, PATH, AT_FDCWD, PATH, 0}},
    {"link", SYS_link, {PATH, PATH}},
    {"linkat", SYS_linkat, {AT_FDCWD, PATH, AT_FDCWD, PATH, 0}},
    {"symlink", SYS_symlink, {PATH, PATH}},
    {"symlinkat", SYS_symlinkat, {PATH, AT_FDCWD, PATH}},
    {"readlink", SYS_readlink, {PATH, BUFFER, 64}},
    {"readlink of a link", SYS_readlinkat, {AT_FDCWD, (long)"/proc/self/exe", BUFFER, 64}},
    {"chmod", SYS_chmod, {PATH, 0644}},
    {"fchmodat", SYS_fchmodat, {AT_FDCWD, PATH, 0644}},
    {"chown", SYS_chown, {PATH, 0, 0}},
    {"lchown", SYS_lchown, {PATH, 0, 0}},
    {"fchownat", SYS_fchownat, {AT_FDCWD, PATH, 0, 0, 0}},
    {"truncate", SYS_truncate, {PATH, 100}},
    {"utimensat", SYS_utimensat, {AT_FDCWD, PATH, BUFFER, 0}},
    {"getcwd", SYS_getcwd, {BUFFER, 4096}},
    {"getdents64", SYS_getdents64, {DIR_FD, BUFFER, 4096}},
    {"sendfile", SYS_sendfile, {FILE_FD, OTHER_FD, BUFFER, 1}},
    {"copy_file_range", SYS_copy_file_range, {FILE_FD, BUFFER, OTHER_FD, BUFFER, 1, 0}},
    {"fcntl F_GETLK", SYS_fcntl, {FILE_FD, F_GETLK, BUFFER}},
    {"fcntl F_SETLK", SYS_fcntl, {FILE_FD, F_SETLK, BUFFER}},
    {"ioctl FIONREAD", SYS_ioctl, {PIPE_FD, FIONREAD, BUFFER}},
    {"ioctl FIONBIO", SYS_ioctl, {PIPE_FD, FIONBIO, BUFFER}},
    {"pipe", SYS_pipe, {BUFFER}},
    {"pipe2", SYS_pipe2, {BUFFER, 0}},
    {"poll", SYS_poll, {BUFFER, 1, 0}},
    {"ppoll", SYS_ppoll, {BUFFER, 1, WAIT, BUFFER, 8}},
    {"select", SYS_select, {1, BUFFER, BUFFER, BUFFER, WAIT}},
    {"pselect6", SYS_pselect6, {1, BUFFER, BUFFER, BUFFER, WAIT, 0}},
    {"wait4", SYS_wait4, {-1, BUFFER, WNOHANG, BUFFER}},
    {"waitid", SYS_waitid, {P_ALL, 0, BUFFER, WEXITED | WNOHANG, BUFFER}},
    {"uname", SYS_uname, {BUFFER}},
    {"sysinfo", SYS_sysinfo, {BUFFER}},
    {"getrlimit", SYS_getrlimit, {RLIMIT_CORE, BUFFER}},
    {"setrlimit", SYS_setrlimit, {RLIMIT_CORE, BUFFER}},
    {"prlimit64", SYS_prlimit64, {0, RLIMIT_CORE, BUFFER, BUFFER}},
    {"getrusage", SYS_getrusage, {RUSAGE_SELF, BUFFER}},
    {"times", SYS_times, {BUFFER}},
    {"time", SYS_time, {BUFFER}},
    {"gettimeofday", SYS_gettimeofday, {BUFFER, BUFFER}},
    {"clock_gettime", SYS_clock_gettime, {CLOCK_MONOTONIC, BUFFER}},
    {"clock_getres", SYS_clock_getres, {CLOCK_MONOTONIC, BUFFER}},
    {"clock_nanosleep", SYS_clock_nanosleep, {CLOCK_MONOTONIC, 0, BUFFER, BUFFER}},
    {"nanosleep", SYS_nanosleep, {BUFFER, BUFFER}},
    {"getitimer", SYS_getitimer, {ITIMER_REAL, BUFFER}},
    {"setitimer", SYS_setitimer, {ITIMER_REAL, BUFFER, BUFFER}},
    {"rt_sigaction", SYS_rt_sigaction, {SIGUSR1, BUFFER, BUFFER, 8}},
    {"rt_sigprocmask", SYS_rt_sigprocmask, {SIG_BLOCK, BUFFER, BUFFER, 8}},
    {"rt_sigpending", SYS_rt_sigpending, {BUFFER, 8}},
    {"rt_sigtimedwait", SYS_rt_sigtimedwait, {BUFFER, BUFFER, WAIT, 8}},
    {"rt_sigsuspend", SYS_rt_sigsuspend, {BUFFER, 8}},
    {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, {SELF, 0, BUFFER}},
    {"sigaltstack new", SYS_sigaltstack, {BUFFER, 0}},
    {"sigaltstack old", SYS_sigaltstack, {0, BUFFER}},
    {"futex wait", SYS_futex, {BUFFER, FUTEX_WAIT_PRIVATE, 1, BUFFER}},
    {"futex wake", SYS_futex, {BUFFER, FUTEX_WAKE, 1}},
    {"futex requeue", SYS_futex, {BUFFER, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, BUFFER, 0}},
    {"set_robust_list", SYS_set_robust_list, {BUFFER, 24}},
    {"get_robust_list", SYS_get_robust_list, {0, BUFFER, BUFFER}},
    {"getgroups", SYS_getgroups, {8, BUFFER}},
    {"setgroups", SYS_setgroups, {2, BUFFER}},
    {"getresuid", SYS_getresuid, {BUFFER, BUFFER, BUFFER}},
    {"getresgid", SYS_getresgid, {BUFFER, BUFFER, BUFFER}},
    {"sched_getaffinity", SYS_sched_getaffinity, {0, 128, BUFFER}},
    {"sched_setaffinity", SYS_sched_setaffinity, {0, 128, BUFFER}},
    {"sched_getparam", SYS_sched_getparam, {0, BUFFER}},
    {"sched_setscheduler", SYS_sched_setscheduler, {0, 0, BUFFER}},
    {"prctl PR_SET_NAME", SYS_prctl, {PR_SET_NAME, BUFFER}},
    {"prctl PR_GET_NAME", SYS_prctl, {PR_GET_NAME, BUFFER}},
    {"prctl PR_GET_PDEATHSIG", SYS_prctl, {PR_GET_PDEATHSIG, BUFFER}},
    {"arch_prctl", SYS_arch_prctl, {ARCH_GET_FS, BUFFER}},
    {"getrandom", SYS_getrandom, {BUFFER, 16, 0}},
    {"getcpu", SYS_getcpu, {BUFFER, BUFFER, 0}},
    {"mincore", SYS_mincore, {BUFFER, 0, BUFFER}},
    {"clone3", SYS_clone3, {BUFFER, 88}},
    {"execve", SYS_execve, {FRESH, 0, 0}},
};

static char *good, *edge, *hole;
static int file, other, directory, ends[2];
static struct iovec vector;

static long resolve(long argument)
{
    switch (argument) {
    case PATH: return (long)"file";
    case FRESH: return (long)"fresh";
    case WAIT:
    case BUFFER: memset(good, 0, PAGE); return (long)good;
    case VECTOR: vector = (struct iovec){good, 16}; return (long)&vector;
    case FILE_FD: return file;
    case OTHER_FD: return other;
    case DIR_FD: return directory;
    case PIPE_FD: return ends[0];
    case SELF: return getpid();
    default: return argument;
    }
}

static void try_slot(unsigned which, int slot)
{
    static const char *const names[] = {"null", "one", "hole", "kernel", "top", "non-canonical", "edge"};
    char text[512];
    int used = snprintf(text, sizeof text, "%s[%d]:", calls[which].name, slot);
    long kind = calls[which].arguments[slot];
    for (int way = kind == WAIT; way < 7; way++) {
        long bad[] = {0, 1, (long)hole, (long)0xffffffff81000000, -8, (long)0x8000000000000000, (long)edge - 4}, a[6];
        memset(edge - 4, kind == PATH || kind == FRESH ? 'a' : 0, 4);
        for (int i = 0; i < 6; i++)
            a[i] = i == slot ? bad[way] : resolve(calls[which].arguments[i]);
        lseek(file, 0, SEEK_SET);
        lseek(directory, 0, SEEK_SET);
        errno = 0;
        long result = syscall(calls[which].number, a[0], a[1], a[2], a[3], a[4], a[5]);
        used += snprintf(text + used, sizeof text - used, " %s %s%s", names[way], result < 0 ? error_name(errno) : "fine", way < 6 ? "," : "");
    }
    say("%s", text);
}

int main(void)
{
    good = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(good != MAP_FAILED);
    edge = good + 2 * PAGE;
    hole = edge + 64;
    munmap(edge, PAGE);
    put("file", "0123456789012345678901234567890123456789");
    put("other", "abcdefghijklmnopqrstuvwxyz");
    file = open("file", O_RDWR);
    other = open("other", O_RDWR);
    directory = open(".", O_RDONLY);
    NEED(pipe(ends) == 0);
    for (unsigned which = 0; which < sizeof calls / sizeof *calls; which++)
        for (int slot = 0; slot < 6; slot++) {
            long kind = calls[which].arguments[slot];
            if (kind < PATH || kind > WAIT)
                continue;
            /* In a child: what a call leaves behind must not reach the next. */
            pid_t child = fork();
            if (child == 0) {
                alarm(20);
                try_slot(which, slot);
                _exit(0);
            }
            int status;
            waitpid(child, &status, 0);
            if (!WIFEXITED(status) || WEXITSTATUS(status))
                say_status(calls[which].name, status);
        }
    return 0;
}
