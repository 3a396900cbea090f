/* stat, lstat, fstat, newfstatat, statx: every field that can be told. */
#include "check.h"
#include <sys/sysmacros.h>

static const char *kind(mode_t mode)
{
    return S_ISREG(mode) ? "file" : S_ISDIR(mode) ? "directory" : S_ISLNK(mode) ? "link" : S_ISFIFO(mode) ? "fifo" : S_ISCHR(mode) ? "char" : "other";
}

static void show(const char *what, int result, const struct stat *status)
{
    if (result < 0)
        say("%s: %s", what, error_name(errno));
    else
        say("%s: %s %04o links %ld uid %d gid %d size %ld", what, kind(status->st_mode), status->st_mode & 07777,
            S_ISDIR(status->st_mode) ? 0l : (long)status->st_nlink, status->st_uid, status->st_gid, S_ISDIR(status->st_mode) ? 0l : (long)status->st_size);
}

#define SHOW(call) (errno = 0, show(#call, call, &status))

int main(void)
{
    struct stat status, second;
    struct timespec before, after;
    clock_gettime(CLOCK_REALTIME_COARSE, &before);
    put("file", "some text");
    clock_gettime(CLOCK_REALTIME, &after);
    chmod("file", 0640);
    mkdir("directory", 0750);
    symlink("file", "link");
    mkfifo("fifo", 0600);
    link("file", "second");
    SHOW(stat("file", &status));
    IS(status.st_blksize >= 512 && status.st_blocks >= 0);
    IS(status.st_mtim.tv_sec >= before.tv_sec && status.st_mtim.tv_sec <= after.tv_sec);
    IS(stat("second", &second) == 0 && second.st_ino == status.st_ino && second.st_dev == status.st_dev);
    SHOW(stat("link", &status));
    SHOW(lstat("link", &status));
    SHOW(lstat("file", &status));
    SHOW(stat("directory", &status));
    SHOW(stat("fifo", &status));
    SHOW(stat("missing", &status));
    SHOW(stat("", &status));
    SHOW(stat("file/x", &status));
    SHOW(stat("/dev/null", &status));
    say("device %u:%u", major(status.st_rdev), minor(status.st_rdev));

    mkdir("directory/sub", 0755);
    IS(stat("directory", &status) == 0 && stat("directory/sub/..", &second) == 0 && status.st_ino == second.st_ino);
    IS(stat("directory/sub", &second) == 0 && status.st_ino != second.st_ino && status.st_dev == second.st_dev);

    int fd = open("file", O_RDONLY), directory = open("directory", O_RDONLY), ends[2];
    SHOW(fstat(fd, &status));
    NEED(pipe(ends) == 0);
    SHOW(fstat(ends[0], &status));
    SHOW(fstat(99, &status));
    SHOW(fstatat(AT_FDCWD, "link", &status, 0));
    SHOW(fstatat(AT_FDCWD, "link", &status, AT_SYMLINK_NOFOLLOW));
    SHOW(fstatat(directory, "sub", &status, 0));
    SHOW(fstatat(directory, "../file", &status, 0));
    SHOW(fstatat(fd, "", &status, AT_EMPTY_PATH));
    SHOW(fstatat(fd, "", &status, 0));
    SHOW(fstatat(fd, "x", &status, 0));
    SHOW(fstatat(99, "x", &status, 0));
    SHOW(fstatat(99, "/dev/null", &status, 0));
    SHOW(fstatat(AT_FDCWD, "", &status, AT_EMPTY_PATH));
    SHOW(fstatat(AT_FDCWD, "file", &status, 0x40000));

    struct statx more;
    memset(&more, 0, sizeof more);
    IS(statx(AT_FDCWD, "file", 0, STATX_BASIC_STATS, &more) == 0);
    IS((more.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    stat("file", &status);
    IS(more.stx_ino == status.st_ino && more.stx_size == 9 && more.stx_mode == status.st_mode && more.stx_nlink == 2);
    IS(more.stx_mtime.tv_sec == status.st_mtim.tv_sec && more.stx_mtime.tv_nsec == status.st_mtim.tv_nsec);
    IS(more.stx_dev_major == major(status.st_dev) && more.stx_dev_minor == minor(status.st_dev));
    IS(statx(AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW, STATX_TYPE, &more) == 0 && S_ISLNK(more.stx_mode));
    IS(statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &more) == 0 && more.stx_size == 9);
    OK(statx(AT_FDCWD, "missing", 0, STATX_BASIC_STATS, &more));
    OK(statx(99, "x", 0, STATX_BASIC_STATS, &more));
    OK(statx(fd, "", 0, STATX_BASIC_STATS, &more));
    OK(statx(AT_FDCWD, "file", 0x40000, STATX_BASIC_STATS, &more));
    OK(statx(AT_FDCWD, "file", 0, 0x80000000, &more));
    OK(statx(AT_FDCWD, "file", AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_SIZE, &more));
    return 0;
}
