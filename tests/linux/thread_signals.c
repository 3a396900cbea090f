/* Signals and threads: directed ones, process-wide ones, masks per thread. */
#include "check.h"
#include <pthread.h>

static volatile pid_t handled_by;
static volatile int handled, leave;

static void handler(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    handled_by = gettid();
    handled++;
}

static void *idle(void *argument)
{
    *(volatile pid_t *)argument = gettid();
    while (!leave)
        sleep_ms(1);
    return 0;
}

static void *blocks_then_waits(void *argument)
{
    sigset_t *set = argument;
    int number = 0;
    sigwait(set, &number);
    return (void *)(uintptr_t)number;
}

static void until(volatile int *value, int wanted)
{
    for (int i = 0; i < 2000 && *value < wanted; i++)
        sleep_ms(1);
}

int main(void)
{
    pthread_t thread;
    volatile pid_t tid = 0;
    sigset_t set, old;
    on_signal(SIGUSR1, handler, SA_RESTART);
    NEED(pthread_create(&thread, 0, idle, (void *)&tid) == 0);
    while (!tid)
        sleep_ms(1);

    IS(pthread_kill(thread, SIGUSR1) == 0);
    until(&handled, 1);
    IS(handled == 1 && handled_by == tid);
    IS(syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1) == 0);
    IS(handled == 2 && handled_by == gettid());
    IS(syscall(SYS_tkill, tid, SIGUSR1) == 0);
    until(&handled, 3);
    IS(handled == 3 && handled_by == tid);

    /* Blocked here: a signal to the process goes to the thread that takes it. */
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    IS(kill(getpid(), SIGUSR1) == 0);
    until(&handled, 4);
    IS(handled == 4 && handled_by == tid);

    /* Directed at us while blocked: pending for this thread alone. */
    IS(pthread_kill(pthread_self(), SIGUSR1) == 0);
    sigset_t pending;
    sigpending(&pending);
    IS(sigismember(&pending, SIGUSR1) == 1);
    sleep_ms(20);
    IS(handled == 4);
    pthread_sigmask(SIG_SETMASK, &old, 0);
    IS(handled == 5 && handled_by == gettid());

    leave = 1;
    pthread_join(thread, 0);

    /* Blocked by everyone: stays with the process until somebody unblocks or waits. */
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, 0);
    NEED(pthread_create(&thread, 0, blocks_then_waits, &set) == 0);
    sleep_ms(10);
    IS(kill(getpid(), SIGUSR2) == 0);
    void *number;
    pthread_join(thread, &number);
    IS((uintptr_t)number == SIGUSR2);

    IS(syscall(SYS_tgkill, getpid(), getpid(), 0) == 0);
    IS(syscall(SYS_tgkill, getpid(), 1 << 22, 0) == -1 && errno == ESRCH);
    IS(syscall(SYS_tgkill, 1 << 22, gettid(), 0) == -1 && errno == ESRCH);
    IS(syscall(SYS_tgkill, -1, 1, 0) == -1 && errno == EINVAL);
    IS(syscall(SYS_tgkill, getpid(), gettid(), 65) == -1 && errno == EINVAL);
    IS(syscall(SYS_tkill, 0, 0) == -1 && errno == EINVAL);
    return 0;
}
