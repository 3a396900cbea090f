/* The main stack grows when used, to its limit and no further. */
#include "check.h"
#include <sys/resource.h>

static int __attribute__((noinline)) use(long bytes)
{
    volatile char block[8192];
    block[0] = block[8191] = (char)bytes;
    return bytes <= 0 ? 0 : use(bytes - 8192) + (block[0] != (char)bytes);
}

static int deep(void)
{
    return use(6 << 20);
}

static int too_deep(void)
{
    return use(20 << 20);
}

static int big_array(void)
{
    /* Far below the stack pointer at once, first the low end: still inside the limit. */
    volatile char block[4 << 20];
    block[0] = 1;
    block[sizeof block - 1] = 2;
    return block[0] + block[sizeof block - 1];
}

static int far_below(void)
{
    char here;
    setrlimit(RLIMIT_STACK, &(struct rlimit){1 << 20, 8 << 20});
    *(volatile char *)(&here - (2 << 20)) = 1;
    return 0;
}

static int into_call(void)
{
    /* The kernel writes to a part of the stack that was never touched. */
    char block[1 << 20];
    int ends[2];
    pipe(ends);
    write(ends[1], "kernel", 6);
    return read(ends[0], block, 6) == 6 && !memcmp(block, "kernel", 6) ? 1 : 2;
}

static int execute_stack(void)
{
    volatile char code[1] = {(char)0xc3};
    ((void (*)(void))(uintptr_t)code)();
    return 0;
}

int main(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setrlimit(RLIMIT_STACK, &(struct rlimit){8 << 20, 8 << 20});
    in_child("6 MiB deep", deep);
    in_child("20 MiB deep", too_deep);
    in_child("4 MiB array", big_array);
    in_child("below the limit", far_below);
    in_child("written by a call", into_call);
    in_child("code on the stack", execute_stack);
    char *maps = slurp("/proc/self/maps"), *stack = strstr(maps, "[stack]");
    IS(stack != 0);
    return 0;
}
