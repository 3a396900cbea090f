/* sigsuspend and pause: the mask changes atomically with the wait and comes back after. */
#include "check.h"

static volatile int usr1, usr2;

static void handler(int number)
{
    if (number == SIGUSR1)
        usr1++;
    else
        usr2++;
}

int main(void)
{
    sigset_t both, only_two, now;
    signal(SIGUSR1, handler);
    signal(SIGUSR2, handler);
    sigemptyset(&both);
    sigaddset(&both, SIGUSR1);
    sigaddset(&both, SIGUSR2);
    sigprocmask(SIG_BLOCK, &both, 0);

    /* Already pending: returns at once. */
    raise(SIGUSR1);
    sigfillset(&only_two);
    sigdelset(&only_two, SIGUSR1);
    IS(sigsuspend(&only_two) == -1 && errno == EINTR);
    say("handled %d and %d", usr1, usr2);

    /* Still blocked by the temporary mask: waits on. */
    pid_t child = fork();
    if (child == 0) {
        pid_t parent = getppid();
        kill(parent, SIGUSR2);
        sleep_ms(30);
        kill(parent, SIGUSR1);
        _exit(0);
    }
    IS(sigsuspend(&only_two) == -1 && errno == EINTR);
    say("handled %d and %d", usr1, usr2);
    reap("sender", child);
    sigprocmask(SIG_BLOCK, 0, &now);
    IS(sigismember(&now, SIGUSR1) && sigismember(&now, SIGUSR2) && !sigismember(&now, SIGTERM));
    sigpending(&now);
    IS(sigismember(&now, SIGUSR2));

    /* A ping-pong of a hundred rounds that would hang if a wake-up could be lost. */
    sigset_t none;
    sigprocmask(SIG_UNBLOCK, &both, 0);
    usr1 = usr2 = 0;
    sigprocmask(SIG_BLOCK, &both, 0);
    sigemptyset(&none);
    child = fork();
    if (child == 0) {
        for (int i = 0; i < 100; i++) {
            while (usr1 <= i)
                sigsuspend(&none);
            kill(getppid(), SIGUSR2);
        }
        _exit(usr1);
    }
    for (int i = 0; i < 100; i++) {
        kill(child, SIGUSR1);
        while (usr2 <= i)
            sigsuspend(&none);
    }
    reap("other side", child);
    say("rounds %d", usr2);
    IS(syscall(SYS_rt_sigsuspend, &none, 4) == -1 && errno == EINVAL);
    return 0;
}
