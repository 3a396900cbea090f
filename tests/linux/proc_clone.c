/* clone: what each flag shares, what it writes, and the combinations it refuses. */
#include "check.h"
#include <sched.h>

static char stack[131072] __attribute__((aligned(16)));
static volatile int shared;
static int parent_tid, child_tid;

static int change_memory(void *argument)
{
    (void)argument;
    shared++;
    return 1;
}

static int close_three(void *argument)
{
    close(*(int *)argument);
    return 0;
}

static int change_directory(void *argument)
{
    (void)argument;
    umask(077);
    return chdir("sub") == 0 ? 0 : 1;
}

static int look_at_tid(void *argument)
{
    (void)argument;
    return *(volatile int *)&child_tid == getpid() ? 0 : 1;
}

static long run(const char *what, int (*body)(void *), int flags, void *argument)
{
    long child = clone(body, stack + sizeof stack, flags, argument, &parent_tid, 0, &child_tid);
    if (child < 0) {
        say("%s: %s", what, error_name(errno));
        return child;
    }
    int status = 0;
    while (waitpid(child, &status, __WALL) < 0 && errno == EINTR)
        ;
    say_status(what, status);
    return child;
}

int main(void)
{
    run("separate memory", change_memory, SIGCHLD, 0);
    say("memory: %d", shared);
    run("CLONE_VM", change_memory, SIGCHLD | CLONE_VM, 0);
    say("memory: %d", shared);

    int fd = dup(1);
    run("own files", close_three, SIGCHLD, &fd);
    IS(fcntl(fd, F_GETFD) == 0);
    run("CLONE_FILES", close_three, SIGCHLD | CLONE_FILES, &fd);
    IS(fcntl(fd, F_GETFD) == -1 && errno == EBADF);

    mkdir("sub", 0755);
    run("own directory", change_directory, SIGCHLD, 0);
    IS(access("sub", F_OK) == 0);
    run("CLONE_FS", change_directory, SIGCHLD | CLONE_FS, 0);
    IS(access("../sub", F_OK) == 0);
    say("umask was %03o", umask(022));

    long child = run("CLONE_PARENT_SETTID", change_memory, SIGCHLD | CLONE_PARENT_SETTID, 0);
    IS(parent_tid == child);
    run("CLONE_CHILD_SETTID", look_at_tid, SIGCHLD | CLONE_CHILD_SETTID, 0);
    child_tid = 77;
    run("CLONE_CHILD_CLEARTID", change_memory, SIGCHLD | CLONE_VM | CLONE_CHILD_CLEARTID, 0);
    say("cleared to %d", child_tid);

    /* A child whose exit sends no SIGCHLD is only seen with __WALL or __WCLONE. */
    child = clone(change_memory, stack + sizeof stack, 0, 0);
    IS(waitpid(child, 0, 0) == -1 && errno == ECHILD);
    IS(waitpid(child, 0, __WCLONE) == child);

    run("CLONE_SIGHAND without CLONE_VM", change_memory, SIGCHLD | CLONE_SIGHAND, 0);
    run("CLONE_THREAD without CLONE_SIGHAND", change_memory, SIGCHLD | CLONE_VM | CLONE_THREAD, 0);
    run("CLONE_FS with CLONE_NEWNS", change_memory, SIGCHLD | CLONE_FS | CLONE_NEWNS, 0);
    return 0;
}
