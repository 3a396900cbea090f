/* SIGCHLD: what it tells, when it comes, and the ways to do without zombies. */
#include "check.h"

static siginfo_t seen[16];
static volatile int count;

static void handler(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    if (count < 16)
        seen[count] = *info;
    count++;
}

static void until(int wanted)
{
    for (int i = 0; i < 4000 && count < wanted; i++)
        sleep_ms(1);
}

static void show(const char *what, pid_t child)
{
    siginfo_t *info = &seen[count - 1];
    say("%s: signals %d, code %d status %d, from %s", what, count, info->si_code, info->si_status, info->si_pid == child ? "the child" : "another");
}

static int exits(void)
{
    return 12;
}

static int waits(void)
{
    for (;;)
        pause();
    return 0;
}

static pid_t start(int (*body)(void))
{
    count = 0;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGCHLD, SIG_DFL);
        _exit(body());
    }
    return child;
}

int main(void)
{
    on_signal(SIGCHLD, handler, SA_RESTART);
    pid_t child = start(exits);
    until(1);
    show("exit", child);
    reap("child", child);

    child = start(waits);
    kill(child, SIGSTOP);
    until(1);
    show("stop", child);
    kill(child, SIGCONT);
    until(2);
    show("continue", child);
    kill(child, SIGKILL);
    until(3);
    show("kill", child);
    reap("child", child);

    on_signal(SIGCHLD, handler, SA_RESTART | SA_NOCLDSTOP);
    child = start(waits);
    kill(child, SIGSTOP);
    waitpid(child, 0, WUNTRACED);
    kill(child, SIGCONT);
    waitpid(child, 0, WCONTINUED);
    say("SA_NOCLDSTOP, before the end: %d", count);
    kill(child, SIGKILL);
    until(1);
    show("at the end", child);
    reap("child", child);

    /* No zombies: waiting only finds out that all are gone. */
    on_signal(SIGCHLD, handler, SA_NOCLDWAIT | SA_RESTART);
    child = start(exits);
    IS(waitpid(child, 0, 0) == -1 && errno == ECHILD);
    until(1);
    show("SA_NOCLDWAIT", child);
    signal(SIGCHLD, SIG_IGN);
    child = start(exits);
    IS(waitpid(-1, 0, 0) == -1 && errno == ECHILD);
    IS(kill(child, 0) == -1 && errno == ESRCH);
    return 0;
}
