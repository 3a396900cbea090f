/* select and pselect: sets, time-outs, errors. */
#include "check.h"
#include <sys/select.h>

static void handler(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
}

int main(void)
{
    fd_set reads, writes, excepts;
    int ends[2], other[2];
    NEED(pipe(ends) == 0 && pipe(other) == 0);
    struct timeval none = {0, 0}, brief = {0, 20000};

    FD_ZERO(&reads);
    FD_ZERO(&writes);
    FD_ZERO(&excepts);
    FD_SET(ends[0], &reads), FD_SET(other[0], &reads), FD_SET(ends[1], &writes), FD_SET(ends[0], &excepts);
    VALUE(select(20, &reads, &writes, &excepts, &none));
    say("read %d %d, write %d, except %d", FD_ISSET(ends[0], &reads), FD_ISSET(other[0], &reads), FD_ISSET(ends[1], &writes), FD_ISSET(ends[0], &excepts));
    write(other[1], "x", 1);
    FD_ZERO(&reads);
    FD_SET(ends[0], &reads), FD_SET(other[0], &reads);
    VALUE(select(20, &reads, 0, 0, 0));
    say("read %d %d", FD_ISSET(ends[0], &reads), FD_ISSET(other[0], &reads));
    FD_ZERO(&reads);
    FD_SET(ends[0], &reads);
    long begin = now_ms();
    VALUE(select(20, &reads, 0, 0, &brief));
    IS(now_ms() - begin >= 19 && !FD_ISSET(ends[0], &reads));
    IS(brief.tv_sec == 0 && brief.tv_usec == 0);
    brief.tv_usec = 10000;
    VALUE(select(0, 0, 0, 0, &brief));

    /* Only descriptors below the first argument count. */
    FD_ZERO(&reads);
    FD_SET(other[0], &reads);
    VALUE(select(other[0], &reads, 0, 0, &none));
    FD_SET(other[0], &reads);
    VALUE(select(other[0] + 1, &reads, 0, 0, &none));

    close(other[1]);
    char byte;
    read(other[0], &byte, 1);
    FD_ZERO(&reads);
    FD_SET(other[0], &reads);
    VALUE(select(20, &reads, 0, 0, &none));

    FD_ZERO(&reads);
    FD_SET(40, &reads);
    VALUE(select(41, &reads, 0, 0, &none));
    VALUE(select(-1, 0, 0, 0, &none));
    struct timeval bad = {-1, 0};
    VALUE(select(1, 0, 0, 0, &bad));
    IS(select(10, (fd_set *)1, 0, 0, &none) == -1 && errno == EFAULT);
    IS(syscall(SYS_select, 0, 0, 0, 0, 1) == -1 && errno == EFAULT);

    /* pselect: a pending blocked signal ends the wait at once, and the mask comes back. */
    sigset_t set, empty, now;
    sigemptyset(&set), sigemptyset(&empty);
    sigaddset(&set, SIGUSR1);
    on_signal(SIGUSR1, handler, 0);
    sigprocmask(SIG_BLOCK, &set, 0);
    raise(SIGUSR1);
    struct timespec wait = {0, 10000000};
    FD_ZERO(&reads);
    FD_SET(ends[0], &reads);
    VALUE(pselect(20, &reads, 0, 0, &wait, &set));
    FD_SET(ends[0], &reads);
    VALUE(pselect(20, &reads, 0, 0, 0, &empty));
    sigprocmask(SIG_BLOCK, 0, &now);
    IS(sigismember(&now, SIGUSR1));


    pid_t child = fork();
    if (child == 0) {
        sleep_ms(20);
        write(ends[1], "x", 1);
        _exit(0);
    }
    FD_ZERO(&reads);
    FD_SET(ends[0], &reads);
    VALUE(select(20, &reads, 0, 0, 0));
    reap("child", child);
    return 0;
}
