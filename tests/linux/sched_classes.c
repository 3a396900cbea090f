/* Scheduling classes: what can be asked for, what is told back, what a child has of it, and that each class runs. */
#include "check.h"
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

struct attr {
    unsigned size, policy;
    unsigned long flags;
    int nice;
    unsigned priority;
    unsigned long runtime, deadline, period;
    unsigned util_min, util_max;
};

#define MS 1000000ul
/* 48: the first version of the structure, which all kernels tell alike. */
#define get(pid, attr) syscall(SYS_sched_getattr, pid, attr, 48, 0)
#define set(pid, attr) syscall(SYS_sched_setattr, pid, attr, 0)

static void show(const char *what)
{
    struct attr attr = {0};
    NEED(get(0, &attr) == 0);
    say("%s: policy %u flags %lx nice %d priority %u runtime %lu deadline %lu period %lu", what, attr.policy, attr.flags,
        attr.nice, attr.priority, attr.policy == 6 ? attr.runtime : 0, attr.deadline, attr.period);
}

static int one_class(int policy, int priority)
{
    struct sched_param param = {.sched_priority = priority};
    OK(sched_setscheduler(0, policy, &param));
    show("told");
    param.sched_priority = -1;
    NEED(sched_getparam(0, &param) == 0);
    say("priority %d", param.sched_priority);
    pid_t child = fork();
    if (child == 0) {
        show("child");
        _exit(0);
    }
    reap("child", child);
    for (volatile int i = 0; i < 1000000; i++)
        ;
    NEED(sched_yield() == 0);
    return 0;
}

static int fifo(void)
{
    return one_class(SCHED_FIFO, 10);
}

static int round_robin(void)
{
    struct timespec slice;
    one_class(SCHED_RR, 1);
    NEED(sched_rr_get_interval(0, &slice) == 0);
    say("slice %ld ms", slice.tv_nsec / 1000000);
    return 0;
}

static int batch(void)
{
    setpriority(PRIO_PROCESS, 0, 3);
    return one_class(SCHED_BATCH, 0);
}

static int idle(void)
{
    return one_class(SCHED_IDLE, 0);
}

static int reset(void)
{
    struct sched_param param = {.sched_priority = 7};
    OK(sched_setscheduler(0, SCHED_RR | 0x40000000, &param));
    say("%x", sched_getscheduler(0));
    pid_t child = fork();
    if (child == 0) {
        show("child");
        _exit(0);
    }
    reap("child", child);
    return 0;
}

static int deadline(void)
{
    struct attr attr = {.size = 48, .policy = 6, .runtime = 5 * MS, .deadline = 20 * MS, .period = 50 * MS};
    OK(set(0, &attr));
    show("deadline");
    for (int i = 0; i < 3; i++)
        NEED(sched_yield() == 0);
    say("%s", fork() == -1 && errno == EAGAIN ? "no child with a reservation" : "CHILD");
    attr.policy = SCHED_OTHER;
    attr.nice = 4;
    OK(set(0, &attr));
    show("back");
    return 0;
}

static int wrong(void)
{
    struct attr attr = {.size = 48, .policy = 6, .runtime = 30 * MS, .deadline = 20 * MS, .period = 50 * MS};
    OK(set(0, &attr));
    attr.runtime = 1;
    OK(set(0, &attr));
    attr = (struct attr){.size = 48, .policy = SCHED_FIFO, .priority = 0};
    OK(set(0, &attr));
    attr.priority = 100;
    OK(set(0, &attr));
    attr = (struct attr){.size = 48, .policy = SCHED_OTHER, .priority = 1};
    OK(set(0, &attr));
    attr.priority = 0;
    attr.flags = 1ul << 40;
    OK(set(0, &attr));
    attr.flags = 0;
    attr.size = 7;
    OK(set(0, &attr));
    say("known size %s", attr.size >= 48 ? "told" : "NOT TOLD");
    OK(syscall(SYS_sched_setattr, 0, 0, 0));
    OK(syscall(SYS_sched_getattr, 0, &attr, 40, 0));
    OK(syscall(SYS_sched_getattr, 0, &attr, 48, 1));
    OK(syscall(SYS_sched_getattr, 1 << 22, &attr, 48, 0));
    return 0;
}

static int stays(void)
{
    /* On one processor after another, as told. */
    cpu_set_t all, one;
    NEED(sched_getaffinity(0, sizeof all, &all) == 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        NEED(sched_setaffinity(0, sizeof one, &one) == 0);
        for (int i = 0; i < 50; i++) {
            NEED(sched_getcpu() == cpu);
            sched_yield();
        }
    }
    say("always where it was told");
    return 0;
}

int main(void)
{
    in_child("fifo", fifo);
    in_child("round robin", round_robin);
    in_child("batch", batch);
    in_child("idle", idle);
    in_child("reset on fork", reset);
    in_child("deadline", deadline);
    in_child("wrong", wrong);
    in_child("affinity", stays);
    return 0;
}
