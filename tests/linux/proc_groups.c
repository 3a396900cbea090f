/* Process groups and sessions. */
#include "check.h"

static int new_session(void)
{
    pid_t self = getpid();
    IS(setsid() == self);
    IS(getsid(0) == self && getpgrp() == self);
    IS(setsid() == -1 && errno == EPERM);
    IS(setpgid(0, 0) == -1 && errno == EPERM);
    return 0;
}

static _Noreturn int wait_forever(void)
{
    for (;;)
        pause();
}

static pid_t start(int (*body)(void))
{
    pid_t child = fork();
    NEED(child >= 0);
    if (child == 0)
        _exit(body());
    return child;
}

int main(int count, char **arguments)
{
    (void)arguments;
    if (count > 1)
        return wait_forever();

    /* The runner makes every program the leader of its own session. */
    IS(getpgrp() == getpid());
    IS(getsid(0) == getpid());
    IS(getpgid(0) == getpgrp());
    IS(setsid() == -1 && errno == EPERM);
    IS(getpgid(-1) == -1 && errno == ESRCH);
    IS(getsid(1 << 22) == -1 && errno == ESRCH);
    IS(setpgid(0, -1) == -1 && errno == EINVAL);
    IS(setpgid(1 << 22, 0) == -1 && errno == ESRCH);
    IS(setpgid(getppid(), 0) == -1 && errno == ESRCH);
    in_child("new session", new_session);

    pid_t first = start(wait_forever), second = start(wait_forever), outside = start(wait_forever);
    IS(setpgid(first, first) == 0);
    IS(setpgid(second, first) == 0);
    IS(getpgid(second) == first);
    IS(getpgid(outside) == getpid());
    IS(setpgid(outside, outside + 100000) == -1 && errno == EPERM);
    IS(kill(-first, 0) == 0);
    IS(killpg(first, SIGTERM) == 0);
    reap("first", first);
    reap("second", second);
    IS(waitpid(outside, 0, WNOHANG) == 0);
    IS(kill(-first, SIGTERM) == -1 && errno == ESRCH);
    kill(outside, SIGKILL);
    reap("outside", outside);

    /* A group outlives its leader. */
    int gate[2];
    pid_t leader = start(wait_forever);
    setpgid(leader, leader);
    pid_t member = start(wait_forever);
    setpgid(member, leader);
    kill(leader, SIGKILL);
    reap("leader", leader);
    IS(kill(-leader, 0) == 0);
    IS(getpgid(member) == leader);
    kill(-leader, SIGINT);
    reap("member", member);

    /* Once it has called exec, a child can no longer be moved: the program below closes the pipe by exec. */
    NEED(pipe2(gate, O_CLOEXEC) == 0);
    pid_t execed = fork();
    if (execed == 0) {
        execl("/proc/self/exe", "proc_groups", "wait", (char *)0);
        _exit(1);
    }
    close(gate[1]);
    char byte;
    IS(read(gate[0], &byte, 1) == 0);
    IS(setpgid(execed, execed) == -1 && errno == EACCES);
    kill(execed, SIGKILL);
    reap("execed", execed);
    return 0;
}
