/* eventfd: counter and semaphore forms, limits, blocking, sharing. */
#include "check.h"
#include <sys/eventfd.h>

int main(void)
{
    uint64_t value = 0;
    int fd = OK(eventfd(3, EFD_NONBLOCK));
    VALUE(read(fd, &value, 8));
    say("value %lu", value);
    VALUE(read(fd, &value, 8));
    value = 5;
    VALUE(write(fd, &value, 8));
    value = 6;
    VALUE(write(fd, &value, 8));
    VALUE(read(fd, &value, 8));
    say("value %lu", value);
    VALUE(read(fd, &value, 7));
    VALUE(write(fd, &value, 4));
    value = UINT64_MAX;
    VALUE(write(fd, &value, 8));
    value = UINT64_MAX - 1;
    VALUE(write(fd, &value, 8));
    value = 1;
    VALUE(write(fd, &value, 8));
    VALUE(read(fd, &value, 8));
    say("value %lx", value);
    value = 0;
    VALUE(write(fd, &value, 8));
    VALUE(read(fd, &value, 8));
    VALUE(lseek(fd, 0, SEEK_SET));

    int semaphore = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
    IS(fcntl(semaphore, F_GETFD) == FD_CLOEXEC);
    for (int i = 0; i < 3; i++) {
        value = 99;
        VALUE(read(semaphore, &value, 8));
        say("value %lu", value);
    }
    OK(eventfd(0, 0x1000));
    IS(read(eventfd(1, 0), (void *)1, 8) == -1 && errno == EFAULT);

    int shared = eventfd(0, 0);
    pid_t child = fork();
    if (child == 0) {
        sleep_ms(20);
        value = 42;
        write(shared, &value, 8);
        _exit(0);
    }
    VALUE(read(shared, &value, 8));
    say("from the child %lu", value);
    reap("child", child);
    return 0;
}
