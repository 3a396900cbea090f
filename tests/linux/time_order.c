/* Time on all processors: what one thread has read, no other reads less of afterwards, through the vDSO and through the call. */
#include "check.h"
#include <pthread.h>
#include <sched.h>

#define THREADS 4
#define READS 20000

/* The latest time that anybody has read, in nanoseconds. */
static _Atomic uint64_t latest;
static _Atomic int behind;
static _Atomic int order;

static uint64_t by_vdso(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t by_call(clockid_t clock)
{
    struct timespec time;
    syscall(SYS_clock_gettime, clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static clockid_t measured;

static void *reader(void *argument)
{
    int number = order++;
    cpu_set_t all, one;
    (void)argument;
    /* Each on a processor of its own, as far as there are enough. */
    if (sched_getaffinity(0, sizeof all, &all) == 0) {
        int skip = number % CPU_COUNT(&all);
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
            if (CPU_ISSET(cpu, &all) && skip-- == 0) {
                CPU_ZERO(&one);
                CPU_SET(cpu, &one);
                sched_setaffinity(0, sizeof one, &one);
                break;
            }
        }
    }
    for (int i = 0; i < READS; i++) {
        uint64_t before = latest;
        uint64_t now = (i + number) % 4 == 0 ? by_call(measured) : by_vdso(measured);
        if (now < before)
            behind++;
        while (before < now && !__atomic_compare_exchange_n(&latest, &before, now, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            ;
    }
    return 0;
}

int main(void)
{
    static const struct {
        clockid_t clock;
        const char *name;
    } clocks[] = {
        {CLOCK_MONOTONIC, "monotonic"},
        {CLOCK_MONOTONIC_RAW, "raw"},
        {CLOCK_BOOTTIME, "since boot"},
        {CLOCK_REALTIME, "wall clock"},
    };
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        pthread_t threads[THREADS];
        measured = clocks[i].clock;
        latest = 0;
        behind = 0;
        order = 0;
        for (int thread = 0; thread < THREADS; thread++)
            pthread_create(&threads[thread], 0, reader, 0);
        for (int thread = 0; thread < THREADS; thread++)
            pthread_join(threads[thread], 0);
        say("%s: behind %d times", clocks[i].name, behind);
    }
    return 0;
}
