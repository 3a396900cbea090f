/* Time stamps: set by hand, and moved by what is done to a file. */
#include "check.h"

static void show(const char *path)
{
    struct stat status;
    if (lstat(path, &status) < 0)
        say("%s: %s", path, error_name(errno));
    else
        say("%s: accessed %ld.%09ld modified %ld.%09ld", path, status.st_atim.tv_sec, status.st_atim.tv_nsec, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

/* Whether the modification time is now rather than in 1970. */
static int recent(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && status.st_mtim.tv_sec > 1000000;
}

int main(void)
{
    struct timespec both[2] = {{1000, 123456789}, {2000, 987654321}};
    put("file", "x");
    mkdir("directory", 0755);
    symlink("file", "link");
    OK(utimensat(AT_FDCWD, "file", both, 0));
    show("file");
    struct timespec omit[2] = {{5, UTIME_OMIT}, {3000, 5}};
    OK(utimensat(AT_FDCWD, "file", omit, 0));
    show("file");
    struct timespec now[2] = {{7, 7}, {9, UTIME_NOW}};
    OK(utimensat(AT_FDCWD, "file", now, 0));
    IS(recent("file"));
    OK(utimensat(AT_FDCWD, "link", both, AT_SYMLINK_NOFOLLOW));
    show("link");
    IS(recent("file"));
    OK(utimensat(AT_FDCWD, "link", both, 0));
    show("file");
    int fd = open("file", O_RDWR);
    both[1].tv_sec = 4000;
    OK(futimens(fd, both));
    show("file");
    struct timeval old[2] = {{11, 22}, {33, 44}};
    OK(utimes("file", old));
    show("file");
    OK(utimensat(AT_FDCWD, "directory", both, 0));
    show("directory");
    OK(utimensat(AT_FDCWD, "file", 0, 0));
    IS(recent("file"));

    both[0].tv_nsec = 1000000000;
    OK(utimensat(AT_FDCWD, "file", both, 0));
    both[0].tv_nsec = -1;
    OK(utimensat(AT_FDCWD, "file", both, 0));
    both[0].tv_nsec = 0;
    OK(utimensat(AT_FDCWD, "missing", both, 0));
    OK(utimensat(AT_FDCWD, "file", both, 0x4000));
    OK(utimensat(99, "x", both, 0));
    OK(syscall(SYS_utimensat, 99, 0, both, 0));

    /* What moves the modification time, and what does not. */
    struct timespec past[2] = {{1000, 0}, {1000, 0}};
    char byte;
    futimens(fd, past), pread(fd, &byte, 1, 0);
    say("read: %d", recent("file"));
    futimens(fd, past), chmod("file", 0600), rename("file", "renamed"), link("renamed", "file");
    say("chmod, rename, link: %d", recent("file"));
    futimens(fd, past), pwrite(fd, "w", 1, 0);
    say("write: %d", recent("file"));
    futimens(fd, past), ftruncate(fd, 0);
    say("truncate: %d", recent("file"));
    past[0].tv_sec = past[1].tv_sec = 500;
    utimensat(AT_FDCWD, "directory", past, 0), put("directory/new", "");
    say("new name in a directory: %d", recent("directory"));
    utimensat(AT_FDCWD, "directory", past, 0), put("directory/new", "longer");
    say("write to a file in it: %d", recent("directory"));
    utimensat(AT_FDCWD, "directory", past, 0), unlink("directory/new");
    say("name removed: %d", recent("directory"));
    struct stat status;
    stat("directory", &status);
    IS(status.st_ctim.tv_sec > 1000000);
    return 0;
}
