/* What an exec keeps and what it resets: descriptors, signals, directory, mask, name. */
#include "check.h"
#include <sys/prctl.h>

static void handler(int number)
{
    (void)number;
}

static int after(void)
{
    sigset_t mask, pending;
    struct sigaction action;
    say("descriptor without CLOEXEC: %s", fcntl(10, F_GETFD) >= 0 ? "open" : "closed");
    say("descriptor with CLOEXEC: %s", fcntl(11, F_GETFD) >= 0 ? "open" : "closed");
    say("opened with O_CLOEXEC: %s", fcntl(12, F_GETFD) >= 0 ? "open" : "closed");
    say("offset kept: %ld", (long)lseek(10, 0, SEEK_CUR));
    sigaction(SIGUSR1, 0, &action);
    say("handled signal: %s", action.sa_handler == SIG_DFL ? "default" : "other");
    IS(action.sa_flags == 0);
    sigaction(SIGUSR2, 0, &action);
    say("ignored signal: %s", action.sa_handler == SIG_IGN ? "ignored" : "other");
    sigprocmask(SIG_BLOCK, 0, &mask);
    say("blocked SIGHUP: %d, SIGTERM: %d", sigismember(&mask, SIGHUP), sigismember(&mask, SIGTERM));
    sigpending(&pending);
    say("pending SIGHUP: %d", sigismember(&pending, SIGHUP));
    stack_t stack;
    sigaltstack(0, &stack);
    IS(stack.ss_flags == SS_DISABLE);
    IS(access("marker", F_OK) == 0);
    say("umask %03o", umask(0));
    char name[16];
    prctl(PR_GET_NAME, name);
    IS(strcmp(name, "renamed") != 0);
    IS(getpid() == atoi(getenv("SELF")));
    struct itimerval timer;
    getitimer(ITIMER_REAL, &timer);
    IS(timer.it_value.tv_sec > 50);
    return 0;
}

int main(int count, char **arguments)
{
    (void)arguments;
    if (count > 1)
        return after();
    mkdir("inner", 0755);
    NEED(chdir("inner") == 0);
    put("marker", "0123456789");
    int fd = open("marker", O_RDONLY);
    lseek(fd, 4, SEEK_SET);
    NEED(dup2(fd, 10) == 10 && dup2(fd, 11) == 11);
    fcntl(11, F_SETFD, FD_CLOEXEC);
    int closing = open("marker", O_RDONLY | O_CLOEXEC);
    NEED(dup3(closing, 12, O_CLOEXEC) == 12);
    signal(SIGUSR1, handler);
    signal(SIGUSR2, SIG_IGN);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    sigprocmask(SIG_SETMASK, &mask, 0);
    raise(SIGHUP);
    static char stack[65536];
    sigaltstack(&(stack_t){.ss_sp = stack, .ss_size = sizeof stack}, 0);
    umask(027);
    prctl(PR_SET_NAME, "renamed");
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {60, 0}}, 0);
    char pid[16];
    snprintf(pid, sizeof pid, "%d", getpid());
    setenv("SELF", pid, 1);
    execl("/proc/self/exe", "again", "after", (char *)0);
    say("exec: %s", error_name(errno));
    return 1;
}
