/* /dev: null, zero, full, random, urandom, tty; their numbers and what they do. */
#include "check.h"
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <termios.h>

static void node(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        say("%s: %s", path, error_name(errno));
    else
        say("%s: %s %u:%u mode %o", path, S_ISCHR(status.st_mode) ? "character device" : "?", major(status.st_rdev), minor(status.st_rdev), status.st_mode & 0666);
}

static int variety(const unsigned char *data, int length)
{
    int seen[256] = {0}, different = 0;
    for (int i = 0; i < length; i++)
        different += !seen[data[i]]++;
    return different;
}

int main(void)
{
    static unsigned char block[100000];
    node("/dev/null"), node("/dev/zero"), node("/dev/full"), node("/dev/random"), node("/dev/urandom"), node("/dev/tty");
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR), full = open("/dev/full", O_RDWR);
    VALUE(read(null, block, 100));
    VALUE(write(null, block, 100000));
    VALUE(write(null, (void *)1, 100));
    VALUE(lseek(null, 100, SEEK_SET));
    OK(ftruncate(null, 0));
    memset(block, 1, sizeof block);
    VALUE(read(zero, block, 100000));
    IS(variety(block, sizeof block) == 1 && block[99999] == 0);
    VALUE(write(zero, block, 1000));
    VALUE(pread(zero, block, 10, 1000000));
    VALUE(read(full, block, 1000));
    VALUE(write(full, block, 1));
    VALUE(write(full, block, 0));
    int random = open("/dev/urandom", O_RDWR);
    VALUE(read(random, block, 5000));
    IS(variety(block, 5000) > 200);
    VALUE(write(random, block, 16));
    random = open("/dev/random", O_RDONLY);
    VALUE(read(random, block, 64));
    IS(variety(block, 64) > 20);
    OK(open("/dev/null", O_RDONLY | O_DIRECTORY));
    OK(open("/dev/null/x", O_RDONLY));
    OK(close(open("/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600)));
    IS(read(zero, (void *)1, 10) == -1 && errno == EFAULT);

    /* The runner gives no controlling terminal, and neither output is one. */
    OK(open("/dev/tty", O_RDWR));
    struct termios terminal;
    struct winsize size;
    int waiting = 0, file = open("file", O_RDWR | O_CREAT, 0600), ends[2];
    NEED(pipe(ends) == 0);
    IS(isatty(1) == 0 && errno == ENOTTY);
    OK(tcgetattr(file, &terminal));
    OK(tcgetattr(ends[0], &terminal));
    OK(tcgetattr(null, &terminal));
    OK(tcgetattr(99, &terminal));
    OK(ioctl(file, TIOCGWINSZ, &size));
    OK(ioctl(file, 0x12345, 0));
    OK(tcgetpgrp(file));
    write(ends[1], "12345", 5);
    IS(ioctl(ends[0], FIONREAD, &waiting) == 0 && waiting == 5);
    write(file, "1234567", 7);
    lseek(file, 3, SEEK_SET);
    IS(ioctl(file, FIONREAD, &waiting) == 0 && waiting == 4);
    OK(ioctl(ends[0], FIONBIO, &(int){1}));
    IS(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
    OK(ioctl(ends[0], FIOCLEX));
    IS(fcntl(ends[0], F_GETFD) == FD_CLOEXEC);
    OK(ioctl(99, FIONREAD, &waiting));
    VALUE(readlink("/dev/fd/1", (char *)block, 0));
    IS(access("/dev/stdin", F_OK) == 0 && access("/dev/fd/0", F_OK) == 0);
    return 0;
}
