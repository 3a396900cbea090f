/* Signals across fork: handlers and masks are inherited, pending ones are not. */
#include "check.h"

static volatile int handled;

static void handler(int number)
{
    handled += number == SIGUSR1;
}

static int child_side(void)
{
    sigset_t mask, pending;
    struct sigaction action;
    sigprocmask(SIG_BLOCK, 0, &mask);
    IS(sigismember(&mask, SIGUSR1) == 1 && sigismember(&mask, SIGUSR2) == 0);
    sigpending(&pending);
    IS(sigisemptyset(&pending));
    sigaction(SIGUSR1, 0, &action);
    IS(action.sa_handler == handler);
    sigaction(SIGHUP, 0, &action);
    IS(action.sa_handler == SIG_IGN);
    kill(getpid(), SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &mask, 0);
    IS(handled == 1);
    signal(SIGHUP, SIG_DFL);
    signal(SIGUSR1, SIG_IGN);
    stack_t stack;
    sigaltstack(0, &stack);
    IS(stack.ss_size == 65536);
    return 0;
}

int main(void)
{
    sigset_t set, pending;
    struct sigaction action;
    static char area[65536];
    sigaltstack(&(stack_t){.ss_sp = area, .ss_size = sizeof area}, 0);
    signal(SIGUSR1, handler);
    signal(SIGHUP, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, 0);
    raise(SIGUSR1);
    in_child("child", child_side);
    sigpending(&pending);
    IS(sigismember(&pending, SIGUSR1) == 1);
    sigaction(SIGUSR1, 0, &action);
    IS(action.sa_handler == handler);
    sigaction(SIGHUP, 0, &action);
    IS(action.sa_handler == SIG_IGN);
    sigprocmask(SIG_UNBLOCK, &set, 0);
    IS(handled == 1);
    return 0;
}
