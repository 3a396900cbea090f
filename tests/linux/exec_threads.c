/* exec and exit_group in a process of several threads. */
#include "check.h"
#include <pthread.h>

static _Noreturn void *sleeper(void *argument)
{
    (void)argument;
    for (;;)
        pause();
}

static _Noreturn void *spinner(void *argument)
{
    for (;;)
        ++*(volatile long *)argument;
}

static void *execer(void *argument)
{
    (void)argument;
    char pid[16];
    snprintf(pid, sizeof pid, "%d", getpid());
    execl("/proc/self/exe", "again", pid, (char *)0);
    return 0;
}

static void *exiter(void *argument)
{
    (void)argument;
    sleep_ms(20);
    exit(17);
}

static void start(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    NEED(pthread_create(&thread, 0, body, argument) == 0);
}

static long counter;

static _Noreturn int exec_from_thread(void)
{
    start(sleeper, 0);
    start(spinner, &counter);
    start(execer, 0);
    for (;;)
        pause();
}

static int exec_from_main(void)
{
    start(sleeper, 0);
    start(spinner, &counter);
    sleep_ms(10);
    execer(0);
    return 1;
}

static _Noreturn int exit_from_thread(void)
{
    start(spinner, &counter);
    start(sleeper, 0);
    start(exiter, 0);
    for (;;)
        pause();
}

static void *last(void *argument)
{
    (void)argument;
    sleep_ms(30);
    say("the last thread goes on without the first");
    return 0;
}

static int main_leaves(void)
{
    start(last, 0);
    pthread_exit(0);
}

int main(int count, char **arguments)
{
    if (count > 1) {
        say("after exec: same process %d, one thread %d", getpid() == atoi(arguments[1]), getpid() == gettid());
        return strstr(slurp("/proc/self/status"), "Threads:\t1\n") ? 21 : 22;
    }
    in_child("exec from another thread", exec_from_thread);
    in_child("exec from the first thread", exec_from_main);
    in_child("exit from another thread", exit_from_thread);
    in_child("first thread ends first", main_leaves);
    return 0;
}
