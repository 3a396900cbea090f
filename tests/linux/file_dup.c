/* dup, dup2, dup3, fcntl: numbers, shared offsets, flags per descriptor and per open file. */
#include "check.h"
#include <sys/resource.h>

int main(void)
{
    char text[8] = "";
    put("file", "0123456789");
    int fd = open("file", O_RDWR | O_CLOEXEC), copy = dup(fd);
    say("descriptors %d %d", fd, copy);
    IS(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(copy, F_GETFD) == 0);
    read(fd, text, 3);
    VALUE(lseek(copy, 0, SEEK_CUR));
    lseek(copy, 7, SEEK_SET);
    VALUE(lseek(fd, 0, SEEK_CUR));
    OK(fcntl(copy, F_SETFL, O_APPEND | O_NONBLOCK));
    IS((fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK)) == (O_APPEND | O_NONBLOCK));
    OK(fcntl(copy, F_SETFL, 0));
    IS((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND)) == O_RDWR);

    VALUE(dup2(fd, 20));
    VALUE(dup2(20, 20));
    VALUE(dup2(99, 21));
    VALUE(dup2(99, 99));
    VALUE(dup2(fd, -1));
    VALUE(dup2(fd, 1 << 20));
    IS(fcntl(20, F_GETFD) == 0);
    int other = open("/dev/null", O_RDONLY);
    VALUE(dup2(other, 20));
    VALUE(read(20, text, 1));
    VALUE(dup3(fd, 22, O_CLOEXEC));
    IS(fcntl(22, F_GETFD) == FD_CLOEXEC);
    VALUE(dup3(fd, fd, 0));
    VALUE(dup3(fd, 23, O_APPEND));
    VALUE(dup3(99, 23, 0));
    VALUE(dup3(99, 99, 0));
    VALUE(fcntl(fd, F_DUPFD, 30));
    VALUE(fcntl(fd, F_DUPFD, 30));
    VALUE(fcntl(fd, F_DUPFD_CLOEXEC, 30));
    IS(fcntl(32, F_GETFD) == FD_CLOEXEC);
    VALUE(fcntl(fd, F_DUPFD, -1));
    VALUE(fcntl(fd, F_DUPFD, 1 << 20));
    VALUE(fcntl(99, F_GETFD));
    VALUE(fcntl(fd, 9999));
    OK(fcntl(fd, F_SETFD, 0));
    VALUE(fcntl(fd, F_GETFD));

    OK(close(copy));
    OK(close(copy));
    OK(close(-1));
    VALUE(lseek(fd, 0, SEEK_CUR));

    /* A child shares the offset, not the table. */
    lseek(fd, 0, SEEK_SET);
    pid_t child = fork();
    if (child == 0) {
        read(fd, text, 4);
        close(fd);
        _exit(open("/dev/null", O_RDONLY) == fd);
    }
    reap("child", child);
    VALUE(lseek(fd, 0, SEEK_CUR));

    setrlimit(RLIMIT_NOFILE, &(struct rlimit){24, 24});
    int last = -1, got;
    while ((got = open("/dev/null", O_RDONLY)) >= 0)
        last = got;
    say("opened up to %d, then %s", last, error_name(errno));
    VALUE(dup(fd));
    VALUE(dup2(fd, 24));
    VALUE(dup2(fd, 23));
    VALUE(fcntl(fd, F_DUPFD, 24));
    int ends[2];
    OK(pipe(ends));
    close(10);
    OK(pipe(ends));
    VALUE(open("/dev/null", O_RDONLY));
    /* Descriptors above the limit stay usable. */
    VALUE(fcntl(31, F_GETFD));
    return 0;
}
