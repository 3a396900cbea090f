/* A thread made by hand with clone(2): set_tid_address, CLONE_SETTLS, the futex at its end. */
#include "check.h"
#include <linux/futex.h>
#include <sched.h>

static char stack[65536] __attribute__((aligned(16)));
static volatile int cleared = 1, from_thread;
static volatile pid_t thread_pid, thread_tid;
static uint64_t block[64] __attribute__((aligned(64)));

/* Runs without a C library: raw calls only, because the thread pointer is not glibc's. */
static long raw(long number, long first, long second)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(first), "S"(second) : "rcx", "r11", "memory");
    return result;
}

static int __attribute__((optimize("no-stack-protector"))) body(void *argument)
{
    uint64_t word;
    __asm__ volatile("mov %%fs:16, %0" : "=r"(word));
    from_thread = word == 0x1234567 && argument == block;
    thread_pid = (pid_t)raw(SYS_getpid, 0, 0);
    thread_tid = (pid_t)raw(SYS_gettid, 0, 0);
    raw(SYS_exit, 0, 0);
    return 0;
}

int main(void)
{
    block[2] = 0x1234567;
    int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS |
                CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    pid_t parent_word = 0;
    long tid = clone(body, stack + sizeof stack, flags, block, &parent_word, block, &cleared);
    IS(tid > 0);
    struct timespec limit = {5, 0};
    while (cleared)
        syscall(SYS_futex, &cleared, FUTEX_WAIT, 1, &limit, 0, 0);
    IS(cleared == 0);
    IS(parent_word == tid);
    IS(from_thread == 1);
    IS(thread_pid == getpid());
    IS(thread_tid == tid);
    IS(syscall(SYS_set_tid_address, 0) == gettid());

    /* A bad address for clearing at the end harms nobody. */
    long child = fork();
    if (child == 0) {
        syscall(SYS_set_tid_address, 8);
        _exit(4);
    }
    reap("bad clear address", child);
    IS(waitpid(-1, 0, __WALL) == -1 && errno == ECHILD);
    return 0;
}
