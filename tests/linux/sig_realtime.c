/* Real-time signals queue, in order and with their values; standard ones merge. */
#include "check.h"
#include <sys/resource.h>

static volatile int order[64], values[64], got;

static void handler(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (got < 64) {
        order[got] = number;
        values[got] = info->si_value.sival_int;
    }
    got++;
}

int main(void)
{
    sigset_t all, old, pending;
    say("SIGRTMIN %d, SIGRTMAX %d", SIGRTMIN, SIGRTMAX);
    int numbers[] = {SIGRTMIN + 2, SIGRTMIN, SIGRTMIN + 1, SIGUSR1, SIGRTMAX};
    for (int i = 0; i < 5; i++) {
        struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
        sigfillset(&action.sa_mask);
        sigaction(numbers[i], &action, 0);
    }
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 5; i++)
            NEED(sigqueue(getpid(), numbers[i], (union sigval){.sival_int = round * 10 + i}) == 0);
    sigpending(&pending);
    IS(sigismember(&pending, SIGRTMIN + 1) && sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_SETMASK, &old, 0);
    /* The lowest number comes first, and what was sent first under one number. */
    int per[65] = {0}, ascending = 1, last[65];
    memset(last, -1, sizeof last);
    for (int i = 0; i < got; i++) {
        per[order[i]]++;
        ascending &= values[i] > last[order[i]];
        last[order[i]] = values[i];
    }
    say("handled: USR1 %d, RTMIN %d, +1 %d, +2 %d, RTMAX %d", per[SIGUSR1], per[SIGRTMIN], per[SIGRTMIN + 1], per[SIGRTMIN + 2], per[SIGRTMAX]);
    IS(ascending);
    say("order:");
    for (int i = 0; i < got; i++)
        say("  %d value %d", order[i], values[i]);

    /* The number queued is limited; standard signals are not. */
    setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){0, 0});
    sigprocmask(SIG_BLOCK, &all, &old);
    IS(sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == -1 && errno == EAGAIN);
    IS(kill(getpid(), SIGUSR1) == 0);
    got = 0;
    sigprocmask(SIG_SETMASK, &old, 0);
    say("after the limit: %d", got);
    return 0;
}
