/* Scheduling calls: yield, affinity, policies, priorities, and death signals of parents. */
#include "check.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static int pdeath(void)
{
    /* A child whose parent dies is told so by the signal it chose. */
    int ends[2];
    char byte = '-';
    pipe(ends);
    pid_t middle = fork();
    if (middle == 0) {
        int ready[2];
        pipe(ready);
        if (fork() == 0) {
            sigset_t set;
            siginfo_t info;
            sigemptyset(&set);
            sigaddset(&set, SIGUSR2);
            sigprocmask(SIG_BLOCK, &set, 0);
            prctl(PR_SET_PDEATHSIG, SIGUSR2);
            write(ready[1], "r", 1);
            byte = sigtimedwait(&set, &info, &(struct timespec){20, 0}) == SIGUSR2 ? 'y' : 'n';
            write(ends[1], &byte, 1);
            _exit(0);
        }
        read(ready[0], &byte, 1);
        _exit(0);
    }
    close(ends[1]);
    waitpid(middle, 0, 0);
    read(ends[0], &byte, 1);
    say("told of the parent's death: %c", byte);
    return 0;
}

static int somebody(void)
{
    NEED(setresuid(1000, 1000, 1000) == 0);
    OK(setpriority(PRIO_PROCESS, 0, 5));
    OK(setpriority(PRIO_PROCESS, 0, -5));
    struct sched_param param = {.sched_priority = 1};
    OK(sched_setscheduler(0, SCHED_FIFO, &param));
    return 0;
}

int main(void)
{
    cpu_set_t set, one;
    for (int i = 0; i < 100; i++)
        NEED(sched_yield() == 0);
    IS(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) >= 1);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set)) {
            CPU_SET(i, &one);
            break;
        }
    IS(sched_setaffinity(0, sizeof one, &one) == 0);
    IS(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_EQUAL(&set, &one));
    CPU_ZERO(&one);
    IS(sched_setaffinity(0, sizeof one, &one) == -1 && errno == EINVAL);
    IS(sched_getaffinity(0, 1, &set) == -1 && errno == EINVAL);
    IS(sched_getaffinity(1 << 22, sizeof set, &set) == -1 && errno == ESRCH);
    IS(sched_getaffinity(0, sizeof set, (cpu_set_t *)1) == -1 && errno == EFAULT);

    struct sched_param param = {.sched_priority = 9};
    VALUE(sched_getscheduler(0));
    IS(sched_getparam(0, &param) == 0 && param.sched_priority == 0);
    OK(sched_setscheduler(0, SCHED_BATCH, &param));
    VALUE(sched_getscheduler(0));
    OK(sched_setscheduler(0, SCHED_OTHER, &param));
    param.sched_priority = 5;
    OK(sched_setscheduler(0, SCHED_OTHER, &param));
    OK(sched_setscheduler(0, 77, &param));
    OK(sched_setscheduler(1 << 22, SCHED_OTHER, &param));
    VALUE(sched_get_priority_max(SCHED_FIFO));
    VALUE(sched_get_priority_min(SCHED_FIFO));
    VALUE(sched_get_priority_max(SCHED_OTHER));
    VALUE(sched_get_priority_max(77));

    errno = 0;
    VALUE(getpriority(PRIO_PROCESS, 0));
    OK(setpriority(PRIO_PROCESS, 0, 7));
    VALUE(getpriority(PRIO_PROCESS, 0));
    OK(setpriority(PRIO_PROCESS, 0, 100));
    VALUE(getpriority(PRIO_PROCESS, 0));
    OK(setpriority(PRIO_PROCESS, 0, 0));
    VALUE(nice(3));
    VALUE(getpriority(PRIO_PROCESS, 0));
    OK(getpriority(99, 0));
    OK(getpriority(PRIO_PROCESS, 1 << 22));
    pid_t child = fork();
    if (child == 0)
        _exit(getpriority(PRIO_PROCESS, 0));
    reap("inherited", child);
    in_child("not root", somebody);
    in_child("parent death", pdeath);
    return 0;
}
