/* kill: whom it reaches, signal 0, errors, and what another user may not do. */
#include "check.h"

static volatile int handled;

static void handler(int number)
{
    (void)number;
    handled++;
}

static int as_somebody(void)
{
    NEED(setresuid(1000, 1000, 1000) == 0);
    IS(kill(getppid(), 0) == -1 && errno == EPERM);
    IS(kill(getppid(), SIGTERM) == -1 && errno == EPERM);
    IS(kill(getppid(), 65) == -1 && errno == EINVAL);
    IS(kill(1, 0) == -1 && errno == EPERM);
    IS(kill(getpid(), 0) == 0);
    return 0;
}

int main(void)
{
    IS(kill(getpid(), 0) == 0);
    IS(kill(getpid(), -1) == -1 && errno == EINVAL);
    IS(kill(getpid(), 65) == -1 && errno == EINVAL);
    IS(kill(1 << 22, 0) == -1 && errno == ESRCH);
    IS(kill(1 << 22, 65) == -1 && errno == ESRCH);
    IS(kill(-(1 << 22), SIGTERM) == -1 && errno == ESRCH);
    IS(killpg(-5, SIGTERM) == -1 && errno == EINVAL);
    IS(kill(INT32_MIN, SIGTERM) == -1 && errno == ESRCH);

    signal(SIGUSR1, handler);
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            long end = now_ms() + 20000;
            while (!handled && now_ms() < end)
                sleep_ms(2);
            _exit(handled);
        }
    }
    IS(kill(0, SIGUSR1) == 0);
    for (int i = 0; i < 3; i++)
        reap("member of the group", children[i]);
    IS(handled == 1);
    in_child("another user", as_somebody);

    /* KILL works on a process that blocks and ignores everything. */
    int ready[2];
    char byte;
    NEED(pipe(ready) == 0);
    pid_t child = fork();
    if (child == 0) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, 0);
        write(ready[1], "r", 1);
        for (;;)
            pause();
    }
    read(ready[0], &byte, 1);
    kill(child, SIGTERM);
    kill(child, SIGINT);
    sleep_ms(10);
    IS(waitpid(child, 0, WNOHANG) == 0);
    kill(child, SIGKILL);
    reap("stubborn child", child);

    /* ... and on one that spins in user mode. */
    child = fork();
    if (child == 0)
        for (volatile long i = 0;; i++)
            ;
    sleep_ms(10);
    kill(child, SIGINT);
    reap("spinning child", child);
    return 0;
}
