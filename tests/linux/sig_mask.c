/* Masks: blocking, pending, what a handler blocks while it runs, SA_NODEFER, SA_RESETHAND. */
#include "check.h"

static volatile int depth, deepest, count, usr2_inside;

static void nested(int number)
{
    count++;
    depth++;
    if (depth > deepest)
        deepest = depth;
    if (count == 1) {
        raise(number);
        raise(SIGUSR2);
    }
    depth--;
}

static void usr2(int number)
{
    (void)number;
    usr2_inside += depth > 0;
}

static void run(const char *what, int flags, int block_usr2)
{
    struct sigaction action = {.sa_handler = nested, .sa_flags = flags};
    if (block_usr2)
        sigaddset(&action.sa_mask, SIGUSR2);
    depth = deepest = count = usr2_inside = 0;
    sigaction(SIGUSR1, &action, 0);
    raise(SIGUSR1);
    say("%s: handled %d, deepest %d, other signal inside %d", what, count, deepest, usr2_inside);
}

static int reset_hand(void)
{
    struct sigaction action = {.sa_handler = usr2, .sa_flags = SA_RESETHAND}, now;
    sigaction(SIGUSR1, &action, 0);
    raise(SIGUSR1);
    sigaction(SIGUSR1, 0, &now);
    IS(now.sa_handler == SIG_DFL);
    raise(SIGUSR1);
    return 0;
}

int main(void)
{
    sigset_t set, old, pending;
    signal(SIGUSR2, usr2);
    run("plain", 0, 0);
    run("sa_mask", 0, 1);
    run("SA_NODEFER", SA_NODEFER, 0);
    in_child("SA_RESETHAND", reset_hand);

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    IS(sigprocmask(SIG_BLOCK, &set, &old) == 0);
    IS(!sigismember(&old, SIGUSR1));
    count = usr2_inside = 0;
    signal(SIGUSR1, nested);
    raise(SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR1);
    sigpending(&pending);
    IS(sigismember(&pending, SIGUSR1) && !sigismember(&pending, SIGUSR2));
    IS(count == 0);
    sigdelset(&set, SIGUSR2);
    sigprocmask(SIG_UNBLOCK, &set, 0);
    say("three sent, blocked, so handled: %d and its own", count - 1);
    sigpending(&pending);
    IS(sigismember(&pending, SIGUSR2));
    sigprocmask(SIG_SETMASK, &old, 0);
    sigpending(&pending);
    IS(sigisemptyset(&pending));

    /* Ignored signals do not stay pending; setting SIG_IGN forgets what is. */
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, 0);
    raise(SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    sigpending(&pending);
    IS(!sigismember(&pending, SIGUSR1));

    /* KILL and STOP are silently left out of masks. */
    sigfillset(&set);
    IS(sigprocmask(SIG_SETMASK, &set, 0) == 0);
    sigprocmask(SIG_SETMASK, 0, &old);
    IS(!sigismember(&old, SIGKILL) && !sigismember(&old, SIGSTOP) && sigismember(&old, SIGTERM));
    IS(sigprocmask(99, &set, 0) == -1 && errno == EINVAL);
    IS(sigprocmask(99, 0, &old) == 0);
    IS(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, 0, 7) == -1 && errno == EINVAL);
    return 0;
}
