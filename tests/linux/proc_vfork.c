/* vfork: the parent waits until the child execs or exits, and the two share memory until then. */
#include "check.h"
#include <sched.h>

static volatile int shared;
static char stack[65536] __attribute__((aligned(16)));

static int child_main(void *argument)
{
    (void)argument;
    sleep_ms(60);
    shared += 10;
    return 5;
}

int main(int count, char **arguments)
{
    if (count > 1)
        return atoi(arguments[1]);

    pid_t child = vfork();
    if (child == 0) {
        shared = 1;
        _exit(9);
    }
    IS(child > 0);
    say("shared after _exit: %d", shared);
    reap("vfork and exit", child);

    child = vfork();
    if (child == 0) {
        shared = 2;
        execl("/proc/self/exe", "proc_vfork", "33", (char *)0);
        _exit(1);
    }
    say("shared after exec: %d", shared);
    reap("vfork and exec", child);

    child = vfork();
    if (child == 0) {
        execl("./missing", "missing", (char *)0);
        shared = errno;
        _exit(2);
    }
    IS(shared == ENOENT);
    reap("vfork and failed exec", child);

    /* What posix_spawn is made of. */
    shared = 0;
    child = clone(child_main, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, 0);
    IS(child > 0);
    say("shared when clone(CLONE_VFORK) comes back: %d", shared);
    reap("clone with CLONE_VFORK", child);
    return 0;
}
