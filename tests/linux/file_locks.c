/* flock and fcntl locks: who excludes whom, and when a lock goes away. */
#include "check.h"
#include <sys/file.h>

static int fd;

static int record(int command, short type, off_t start, off_t length)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, command, &lock);
}

static int tries(void)
{
    OK(record(F_SETLK, F_WRLCK, 0, 10));
    OK(record(F_SETLK, F_RDLCK, 5, 1));
    OK(record(F_SETLK, F_WRLCK, 10, 10));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 100};
    fcntl(fd, F_GETLK, &lock);
    say("held: type %d, start %ld, length %ld, by %s", lock.l_type, (long)lock.l_start, (long)lock.l_len, lock.l_pid == getppid() ? "the parent" : "another");
    return 0;
}

static int reads_share(void)
{
    OK(record(F_SETLK, F_RDLCK, 0, 5));
    OK(record(F_SETLK, F_WRLCK, 0, 5));
    return 0;
}

static int all_free(void)
{
    OK(record(F_SETLK, F_WRLCK, 0, 0));
    return 0;
}

int main(void)
{
    fd = open("file", O_RDWR | O_CREAT, 0644);
    int second = open("file", O_RDWR), copy = dup(fd);
    OK(flock(fd, LOCK_EX));
    OK(flock(second, LOCK_EX | LOCK_NB));
    OK(flock(second, LOCK_SH | LOCK_NB));
    OK(flock(copy, LOCK_EX | LOCK_NB));
    OK(flock(fd, LOCK_SH));
    OK(flock(second, LOCK_SH | LOCK_NB));
    OK(flock(second, LOCK_EX | LOCK_NB));
    OK(flock(fd, LOCK_UN));
    OK(flock(second, LOCK_EX | LOCK_NB));
    OK(flock(second, LOCK_UN));
    OK(flock(fd, 77));
    OK(flock(99, LOCK_SH));

    /* The lock belongs to the open file: it lives while one descriptor of it does, in any process. */
    flock(fd, LOCK_EX);
    pid_t child = fork();
    if (child == 0) {
        close(second);
        sleep_ms(50);
        _exit(0);
    }
    close(fd), close(copy);
    OK(flock(second, LOCK_EX | LOCK_NB));
    OK(flock(second, LOCK_EX));
    reap("child", child);
    close(second);

    fd = open("file", O_RDWR);
    OK(record(F_SETLK, F_WRLCK, 0, 10));
    in_child("another process", tries);
    OK(record(F_SETLK, F_RDLCK, 0, 10));
    in_child("reader", reads_share);
    OK(record(F_SETLK, F_UNLCK, 2, 3));
    OK(record(F_SETLK, F_UNLCK, 0, 0));
    in_child("after unlocking", all_free);
    record(F_SETLK, F_WRLCK, 0, 0);
    /* Closing any descriptor of the file gives the process's record locks up. */
    close(open("file", O_RDONLY));
    in_child("after a close", all_free);
    OK(record(F_SETLK, 9, 0, 0));
    OK(record(F_SETLK, F_WRLCK, -5, 2));
    int reading = fd = open("file", O_RDONLY);
    (void)reading;
    OK(record(F_SETLK, F_WRLCK, 0, 1));
    return 0;
}
