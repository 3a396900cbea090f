/* fork from a process with threads: one thread in the child, locks as they were, atfork handlers. */
#include "check.h"
#include <pthread.h>

static volatile int stop, ticks;
static int prepared, in_parent, in_child_count;

static void prepare(void) { prepared++; }
static void parent_side(void) { in_parent++; }
static void child_side(void) { in_child_count++; }

static void *ticking(void *argument)
{
    (void)argument;
    while (!stop) {
        ticks++;
        free(malloc(100));
    }
    return 0;
}

static void *forks(void *argument)
{
    pid_t child = fork();
    if (child == 0) {
        int before = ticks;
        sleep_ms(15);
        char *status = slurp("/proc/self/status");
        if (ticks != before || !strstr(status, "Threads:\t1\n") || gettid() != getpid())
            _exit(1);
        free(malloc(1000));
        _exit(*(int *)argument);
    }
    return (void *)(intptr_t)child;
}

int main(void)
{
    pthread_t background[2], forking;
    pthread_atfork(prepare, parent_side, child_side);
    for (int i = 0; i < 2; i++)
        pthread_create(&background[i], 0, ticking, 0);
    for (int code = 50; code < 55; code++) {
        void *child;
        pthread_create(&forking, 0, forks, &code);
        pthread_join(forking, &child);
        reap("forked by a thread", (pid_t)(intptr_t)child);
    }
    pid_t child = fork();
    if (child == 0)
        _exit(in_child_count * 16 + prepared);
    reap("handlers", child);
    stop = 1;
    for (int i = 0; i < 2; i++)
        pthread_join(background[i], 0);
    say("prepared %d, parent %d, child %d", prepared, in_parent, in_child_count);
    return 0;
}
