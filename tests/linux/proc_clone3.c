/* clone3: the size-versioned argument block and its refusals. */
#include "check.h"
#include <linux/sched.h>

static long clone3(void *arguments, size_t size)
{
    return syscall(SYS_clone3, arguments, size);
}

static void refused(const char *what, struct clone_args *arguments, size_t size)
{
    errno = 0;
    long result = clone3(arguments, size);
    if (result == 0)
        _exit(1);
    say("%s: %s", what, result < 0 ? error_name(errno) : "accepted");
    if (result > 0)
        waitpid(result, 0, __WALL);
}

int main(void)
{
    struct clone_args plain = {.exit_signal = SIGCHLD};
    long child = clone3(&plain, sizeof plain);
    NEED(child >= 0);
    if (child == 0)
        _exit(11);
    reap("full size", child);

    child = clone3(&plain, CLONE_ARGS_SIZE_VER0);
    if (child == 0)
        _exit(12);
    reap("version 0 size", child);

    pid_t tid = 0;
    struct clone_args with_tid = {.exit_signal = SIGCHLD, .flags = CLONE_PARENT_SETTID, .parent_tid = (uintptr_t)&tid};
    child = clone3(&with_tid, sizeof with_tid);
    if (child == 0)
        _exit(13);
    IS(tid == child);
    reap("parent tid", child);

    struct {
        struct clone_args known;
        uint64_t unknown;
    } longer = {.known = {.exit_signal = SIGCHLD}};
    child = clone3(&longer, sizeof longer);
    if (child == 0)
        _exit(14);
    reap("longer, rest zero", child);
    longer.unknown = 1;
    refused("longer, rest not zero", &longer.known, sizeof longer);

    refused("too short", &plain, CLONE_ARGS_SIZE_VER0 - 1);
    refused("longer than a page", &plain, PAGE + 8);
    refused("null", 0, sizeof plain);

    struct clone_args bad = {.exit_signal = SIGCHLD, .stack = 0x1000};
    refused("stack without size", &bad, sizeof bad);
    bad = (struct clone_args){.exit_signal = SIGCHLD, .stack_size = 0x1000};
    refused("size without stack", &bad, sizeof bad);
    bad = (struct clone_args){.exit_signal = 65};
    refused("exit signal 65", &bad, sizeof bad);
    bad = (struct clone_args){.exit_signal = SIGCHLD, .flags = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD};
    refused("thread with exit signal", &bad, sizeof bad);
    bad = (struct clone_args){.exit_signal = SIGCHLD, .flags = 1ull << 60};
    refused("unknown flag", &bad, sizeof bad);
    bad = (struct clone_args){.exit_signal = SIGCHLD, .flags = CLONE_DETACHED};
    refused("CLONE_DETACHED", &bad, sizeof bad);
    return 0;
}
