/* The alternate signal stack: use, nesting, catching a stack overflow, errors. */
#include "check.h"
#include <setjmp.h>
#include <sys/resource.h>

static char area[65536] __attribute__((aligned(16)));
static sigjmp_buf back;

static int on_area(const void *address)
{
    return (const char *)address >= area && (const char *)address < area + sizeof area;
}

static void handler(int number, siginfo_t *info, void *context)
{
    int here = 0;
    stack_t now;
    (void)info, (void)context;
    sigaltstack(0, &now);
    say("%s on the alternate stack: %s, flags %d", signal_name(number), on_area(&here) ? "yes" : "no", now.ss_flags);
    if (number == SIGUSR1) {
        errno = 0;
        stack_t other = {.ss_sp = malloc(65536), .ss_size = 65536};
        say("changing it while on it: %s", sigaltstack(&other, 0) == 0 ? "ok" : error_name(errno));
        raise(SIGUSR2);
    }
}

static void overflowed(int number, siginfo_t *info, void *context)
{
    int here = 0;
    (void)context;
    say("%s at overflow, on the alternate stack: %s, code %s", signal_name(number), on_area(&here) ? "yes" : "no",
        info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR ? "a mapping error" : "other");
    siglongjmp(back, 1);
}

static int __attribute__((noinline)) recurse(int depth)
{
    volatile char block[1024];
    block[0] = (char)depth;
    return depth < 0 ? 0 : recurse(depth + 1) + block[0];
}

static int no_altstack(void)
{
    on_signal(SIGSEGV, overflowed, 0);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    return recurse(0);
}

int main(void)
{
    stack_t now = {0}, stack = {.ss_sp = area, .ss_size = sizeof area};
    IS(sigaltstack(0, &now) == 0 && now.ss_flags == SS_DISABLE);
    IS(sigaltstack(&stack, &now) == 0);
    IS(sigaltstack(0, &now) == 0 && now.ss_sp == area && now.ss_size == sizeof area && now.ss_flags == 0);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    on_signal(SIGUSR2, handler, SA_ONSTACK);
    raise(SIGUSR1);
    on_signal(SIGUSR2, handler, 0);
    raise(SIGUSR2);

    on_signal(SIGSEGV, overflowed, SA_ONSTACK);
    setrlimit(RLIMIT_STACK, &(struct rlimit){1 << 20, RLIM_INFINITY});
    for (int i = 0; i < 3; i++)
        if (sigsetjmp(back, 1) == 0)
            recurse(0);
    in_child("overflow without an alternate stack", no_altstack);

    stack_t small = {.ss_sp = area, .ss_size = 100}, odd = {.ss_sp = area, .ss_size = sizeof area, .ss_flags = 77};
    IS(sigaltstack(&small, 0) == -1 && errno == ENOMEM);
    IS(sigaltstack(&odd, 0) == -1 && errno == EINVAL);
    stack_t disable = {.ss_flags = SS_DISABLE};
    IS(sigaltstack(&disable, 0) == 0);
    IS(sigaltstack(0, &now) == 0 && now.ss_flags == SS_DISABLE);
    raise(SIGUSR2);

    /* SS_AUTODISARM forgets the stack while a handler runs. */
    stack.ss_flags = (int)(1u << 31);
    IS(sigaltstack(&stack, 0) == 0);
    on_signal(SIGUSR2, handler, SA_ONSTACK);
    raise(SIGUSR2);
    IS(sigaltstack(0, &now) == 0 && now.ss_sp == area);
    return 0;
}
