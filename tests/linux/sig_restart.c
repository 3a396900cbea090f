/* Which calls start again after a handler with SA_RESTART, and which give EINTR. */
#include "check.h"
#include <poll.h>
#include <sys/select.h>

static volatile int ticks;
static int ends[2], told[2];
static pid_t child;

/* Ticks after which the writer writes: who is held up just before its call is not held up so often. */
#define TICKS 5

static void handler(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    ticks++;
    write(told[1], "t", 1);
}

/* A signal every 15 ms until off: so one always comes while the call waits. */
static void clock_on(int flags)
{
    ticks = 0;
    on_signal(SIGALRM, handler, flags);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 15000}, {0, 15000}}, 0);
}

static void clock_off(void)
{
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, 0);
}

/* Once the signal has come some times: a byte into the pipe. */
static void start_writer(void)
{
    child = fork();
    if (child == 0) {
        char byte;
        for (int i = 0; i < TICKS; i++)
            NEED(read(told[0], &byte, 1) == 1);
        write(ends[1], "w", 1);
        _exit(6);
    }
}

static void test(const char *what, long (*call)(void), int needs_writer)
{
    for (int restart = 0; restart < 2; restart++) {
        child = -1;
        NEED(pipe(told) == 0);
        if (needs_writer)
            start_writer();
        clock_on(restart ? SA_RESTART : 0);
        errno = 0;
        long result = call();
        int error = errno;
        clock_off();
        say("%s, %s: %s, interrupted %s", what, restart ? "SA_RESTART" : "plain",
            result < 0 ? error_name(error) : "finished", ticks > 0 ? "yes" : "NO");
        if (needs_writer) {
            char byte;
            for (int i = 0; i < TICKS; i++)
                write(told[1], "t", 1);
            waitpid(child, 0, 0);
            fcntl(ends[0], F_SETFL, O_NONBLOCK);
            read(ends[0], &byte, 1);
            fcntl(ends[0], F_SETFL, 0);
        }
        close(told[0]);
        close(told[1]);
    }
}

static long do_read(void)
{
    char byte;
    return read(ends[0], &byte, 1);
}

static long do_wait(void)
{
    return waitpid(child, 0, 0);
}

static long do_waitid(void)
{
    return waitid(P_PID, child, 0, WEXITED | WNOWAIT);
}

static long do_poll(void)
{
    return poll(&(struct pollfd){ends[0], POLLIN, 0}, 1, 5000);
}

static long do_select(void)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    return select(ends[0] + 1, &set, 0, 0, 0);
}

static long do_nanosleep(void)
{
    return nanosleep(&(struct timespec){5, 0}, 0);
}

static long do_clock_nanosleep(void)
{
    errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){5, 0}, 0);
    return errno ? -1 : 0;
}

static long do_pause(void)
{
    return pause();
}

static long do_sigtimedwait(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    return sigtimedwait(&set, 0, &(struct timespec){5, 0});
}

static long do_open_fifo(void)
{
    return open("fifo", O_RDONLY);
}

int main(void)
{
    NEED(pipe(ends) == 0);
    test("read of a pipe", do_read, 1);
    test("waitpid", do_wait, 1);
    test("waitid", do_waitid, 1);
    test("poll", do_poll, 1);
    test("select", do_select, 1);
    test("nanosleep", do_nanosleep, 0);
    test("clock_nanosleep", do_clock_nanosleep, 0);
    test("pause", do_pause, 0);
    test("sigtimedwait", do_sigtimedwait, 0);

    NEED(pipe(told) == 0);
    /* Opening a FIFO waits for the other side, too. */
    mkfifo("fifo", 0600);
    clock_on(0);
    IS(do_open_fifo() == -1 && errno == EINTR);
    clock_off();

    /* A signal that is ignored, or blocked, interrupts nothing. */
    signal(SIGALRM, SIG_IGN);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 5000}, {0, 5000}}, 0);
    IS(nanosleep(&(struct timespec){0, 60000000}, 0) == 0);
    clock_off();
    return 0;
}
