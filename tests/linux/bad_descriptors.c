/* Every call that takes a descriptor, with ones that are not open, or not of the right kind. */
#include "check.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

enum { FD = 0x5a5a0001 };

static char buffer[PAGE];
static struct iovec vector = {buffer, 16};
static off_t offset;

static const struct {
    const char *name;
    long number;
    long arguments[6];
} calls[] = {
    {"read", SYS_read, {FD, (long)buffer, 16}},
    {"write", SYS_write, {FD, (long)buffer, 0}},
    {"pread64", SYS_pread64, {FD, (long)buffer, 16, 0}},
    {"pwrite64", SYS_pwrite64, {FD, (long)buffer, 0, 0}},
    {"readv", SYS_readv, {FD, (long)&vector, 1}},
    {"writev", SYS_writev, {FD, (long)&vector, 0}},
    {"preadv", SYS_preadv, {FD, (long)&vector, 1}},
    {"lseek", SYS_lseek, {FD, 0, SEEK_CUR}},
    {"close", SYS_close, {FD}},
    {"dup", SYS_dup, {FD}},
    {"dup2", SYS_dup2, {FD, 50}},
    {"dup3", SYS_dup3, {FD, 50, 0}},
    {"fcntl F_GETFD", SYS_fcntl, {FD, F_GETFD}},
    {"fcntl F_GETFL", SYS_fcntl, {FD, F_SETFL, 0}},
    {"fcntl F_GETPIPE_SZ", SYS_fcntl, {FD, F_GETPIPE_SZ}},
    {"ioctl FIONREAD", SYS_ioctl, {FD, FIONREAD, (long)buffer}},
    {"ioctl TCGETS", SYS_ioctl, {FD, TCGETS, (long)buffer}},
    {"fstat", SYS_fstat, {FD, (long)buffer}},
    {"fstatfs", SYS_fstatfs, {FD, (long)buffer}},
    {"fsync", SYS_fsync, {FD}},
    {"fdatasync", SYS_fdatasync, {FD}},
    {"ftruncate", SYS_ftruncate, {FD, 8}},
    {"fallocate", SYS_fallocate, {FD, 0, 0, 8}},
    {"fchmod", SYS_fchmod, {FD, 0666}},
    {"fchown", SYS_fchown, {FD, -1, -1}},
    {"fchdir", SYS_fchdir, {FD}},
    {"flock", SYS_flock, {FD, LOCK_SH | LOCK_NB}},
    {"getdents64", SYS_getdents64, {FD, (long)buffer, PAGE}},
    {"openat", SYS_openat, {FD, (long)"inside", O_RDONLY}},
    {"mkdirat", SYS_mkdirat, {FD, (long)"inside", 0755}},
    {"newfstatat", SYS_newfstatat, {FD, (long)"inside", (long)buffer, 0}},
    {"statx", SYS_statx, {FD, (long)"inside", 0, 0x7ff, (long)buffer}},
    {"faccessat", SYS_faccessat, {FD, (long)"inside", 0}},
    {"unlinkat", SYS_unlinkat, {FD, (long)"nothing", 0}},
    {"renameat", SYS_renameat, {FD, (long)"inside", FD, (long)"inside"}},
    {"linkat", SYS_linkat, {FD, (long)"inside", FD, (long)"inside", 0}},
    {"symlinkat", SYS_symlinkat, {(long)"x", FD, (long)"inside"}},
    {"readlinkat", SYS_readlinkat, {FD, (long)"inside", (long)buffer, 16}},
    {"fchmodat", SYS_fchmodat, {FD, (long)"inside", 0644}},
    {"fchownat", SYS_fchownat, {FD, (long)"inside", -1, -1, 0}},
    {"utimensat", SYS_utimensat, {FD, (long)"inside", 0, 0}},
    {"mmap", SYS_mmap, {0, PAGE, PROT_READ, MAP_PRIVATE, FD, 0}},
    {"sendfile from", SYS_sendfile, {50, FD, 0, 4}},
    {"sendfile to", SYS_sendfile, {FD, 51, (long)&offset, 4}},
    {"copy_file_range", SYS_copy_file_range, {FD, 0, 50, 0, 4, 0}},
    {"execveat", SYS_execveat, {FD, (long)"", 0, 0, AT_EMPTY_PATH}},
};

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    put("file", "0123456789");
    mkdir("directory", 0755);
    put("directory/inside", "x");
    for (unsigned which = 0; which < sizeof calls / sizeof *calls; which++) {
        pid_t child = fork();
        if (child == 0) {
            int ends[2], text_length = 0;
            char text[512];
            NEED(pipe2(ends, O_NONBLOCK) == 0);
            int descriptors[] = {
                -1, 99, INT32_MAX, INT32_MIN,
                open("file", O_RDONLY), open("file", O_WRONLY), open("directory", O_RDONLY), open("file", O_PATH),
                ends[0], ends[1], open("/dev/null", O_RDWR), eventfd(0, EFD_NONBLOCK),
            };
            static const char *const kinds[] = {"-1", "99", "max", "min", "reading", "writing", "directory", "path", "pipe-in", "pipe-out", "null", "event"};
            NEED(dup2(open("file", O_RDWR), 50) == 50 && dup2(50, 51) == 51);
            alarm(20);
            for (unsigned kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
                long a[6];
                /* Whether a descriptor without a file has a mode to change differs between versions of Linux. */
                if (!strcmp(kinds[kind], "event") && (calls[which].number == SYS_fchmod || calls[which].number == SYS_fchown))
                    continue;
                for (int i = 0; i < 6; i++)
                    a[i] = calls[which].arguments[i] == FD ? descriptors[kind] : calls[which].arguments[i];
                errno = 0;
                offset = 0;
                long result = syscall(calls[which].number, a[0], a[1], a[2], a[3], a[4], a[5]);
                text_length += snprintf(text + text_length, sizeof text - text_length, " %s %s", kinds[kind], result < 0 ? error_name(errno) : "fine");
            }
            say("%s:%s", calls[which].name, text);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status))
            say_status(calls[which].name, status);
    }
    return 0;
}
