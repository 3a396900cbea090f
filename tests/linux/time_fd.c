/* timerfd: once and again, absolute and relative, blocking, polled, watched, inherited; and what is refused. */
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

static struct itimerspec every(long first_ms, long interval_ms)
{
    return (struct itimerspec){
        .it_value = {first_ms / 1000, first_ms % 1000 * 1000000},
        .it_interval = {interval_ms / 1000, interval_ms % 1000 * 1000000},
    };
}

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static long milliseconds(struct timespec time)
{
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int readable(int fd, int timeout_ms)
{
    struct pollfd polled = {.fd = fd, .events = POLLIN | POLLOUT};
    return poll(&polled, 1, timeout_ms) == 1 ? polled.revents : 0;
}

int main(void)
{
    uint64_t count = 0;
    struct itimerspec setting = every(100000, 0), old;

    /* Once, waited for. */
    int fd = OK(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    IS(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    IS(readable(fd, 0) == 0);
    VALUE(timerfd_settime(fd, 0, &setting, 0));
    VALUE(timerfd_gettime(fd, &old));
    IS(milliseconds(old.it_value) <= 100000 && (old.it_value.tv_nsec || old.it_value.tv_sec));
    IS(milliseconds(old.it_interval) == 0);
    double start = now(CLOCK_MONOTONIC);
    setting = every(30, 0);
    VALUE(timerfd_settime(fd, 0, &setting, 0));
    VALUE(read(fd, &count, 8));
    IS(now(CLOCK_MONOTONIC) - start >= 0.030);
    say("count %lu", count);
    VALUE(timerfd_gettime(fd, &old));
    IS(old.it_value.tv_sec == 0 && old.it_value.tv_nsec == 0);

    /* Again and again: what was missed is counted, and what was read is not counted again. */
    setting = every(10, 10);
    VALUE(timerfd_settime(fd, 0, &setting, &old));
    sleep_ms(55);
    IS(readable(fd, 0) == POLLIN);
    VALUE(read(fd, &count, 8));
    IS(count >= 5);
    VALUE(timerfd_gettime(fd, &old));
    IS(milliseconds(old.it_value) <= 10 && milliseconds(old.it_interval) == 10);
    IS(readable(fd, 1000) == POLLIN);
    VALUE(read(fd, &count, 8));
    IS(count >= 1);

    /* Stopped. */
    setting = every(0, 10);
    VALUE(timerfd_settime(fd, 0, &setting, &old));
    IS(milliseconds(old.it_interval) == 10);
    IS(readable(fd, 30) == 0);
    OK(fcntl(fd, F_SETFL, O_NONBLOCK));
    VALUE(read(fd, &count, 8));

    /* Setting it again forgets what ran out. */
    setting = every(1, 0);
    VALUE(timerfd_settime(fd, 0, &setting, 0));
    IS(readable(fd, 1000) == POLLIN);
    setting = every(100000, 0);
    VALUE(timerfd_settime(fd, 0, &setting, 0));
    VALUE(read(fd, &count, 8));

    /* Absolute: in the future, and long ago with an interval. */
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += 20000000;
    if (at.tv_nsec >= 1000000000)
        at.tv_sec++, at.tv_nsec -= 1000000000;
    setting = (struct itimerspec){.it_value = at};
    VALUE(timerfd_settime(fd, TFD_TIMER_ABSTIME, &setting, 0));
    IS(readable(fd, 5000) == POLLIN);
    clock_gettime(CLOCK_MONOTONIC, &old.it_value);
    IS(old.it_value.tv_sec > at.tv_sec || (old.it_value.tv_sec == at.tv_sec && old.it_value.tv_nsec >= at.tv_nsec));
    VALUE(read(fd, &count, 8));
    say("count %lu", count);
    setting = (struct itimerspec){.it_value = {0, 1}, .it_interval = {0, 1000000}};
    VALUE(timerfd_settime(fd, TFD_TIMER_ABSTIME, &setting, 0));
    VALUE(read(fd, &count, 8));
    IS(count > 100);
    setting = every(0, 0);
    VALUE(timerfd_settime(fd, 0, &setting, 0));

    /* The wall clock. */
    int wall = OK(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += 100;
    setting = (struct itimerspec){.it_value = at};
    VALUE(timerfd_settime(wall, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &setting, 0));
    VALUE(timerfd_gettime(wall, &old));
    IS(old.it_value.tv_sec >= 1 && old.it_value.tv_sec <= 100);
    VALUE(read(wall, &count, 8));
    setting = (struct itimerspec){.it_value = {1, 0}};
    VALUE(timerfd_settime(wall, TFD_TIMER_ABSTIME, &setting, 0));
    VALUE(read(wall, &count, 8));
    say("count %lu", count);

    /* Watched, edge-triggered: one event an expiration that is read. */
    int set = OK(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = 7};
    OK(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
    setting = every(5, 5);
    VALUE(timerfd_settime(fd, 0, &setting, 0));
    for (int i = 0; i < 3; i++) {
        event.data.u32 = 0;
        VALUE(epoll_wait(set, &event, 1, 5000));
        say("event %u", event.data.u32);
        VALUE(read(fd, &count, 8));
        IS(count >= 1);
    }

    /* Shared with a child, which reads what ran out. */
    OK(fcntl(fd, F_SETFL, 0));
    setting = every(20, 0);
    VALUE(timerfd_settime(fd, 0, &setting, 0));
    pid_t child = fork();
    if (child == 0)
        _exit(read(fd, &count, 8) == 8 && count == 1 ? 0 : 1);
    reap("child", child);
    IS(readable(fd, 0) == 0);

    /* Refused. */
    VALUE(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
    VALUE(timerfd_create(99, 0));
    VALUE(timerfd_create(CLOCK_MONOTONIC, 0x1000));
    VALUE(read(fd, &count, 4));
    VALUE(write(fd, &count, 8));
    VALUE(lseek(fd, 0, SEEK_SET));
    setting = every(1, 1);
    VALUE(timerfd_settime(0, 0, &setting, 0));
    VALUE(timerfd_settime(-1, 0, &setting, 0));
    VALUE(timerfd_settime(fd, 8, &setting, 0));
    VALUE(timerfd_gettime(set, &old));
    setting.it_value.tv_nsec = 1000000000;
    VALUE(timerfd_settime(fd, 0, &setting, 0));
    IS(syscall(SYS_timerfd_settime, fd, 0, (void *)1, 0) == -1 && errno == EFAULT);
    setting = every(1, 1);
    IS(syscall(SYS_timerfd_settime, fd, 0, &setting, (void *)1) == -1 && errno == EFAULT);
    return 0;
}
