/* The program break: growing, shrinking, zeroes, limits. */
#include "check.h"
#include <setjmp.h>
#include <sys/resource.h>

static sigjmp_buf back;

static void handler(int number)
{
    siglongjmp(back, number);
}

int main(void)
{
    signal(SIGSEGV, handler);
    char *start = sbrk(0);
    IS(start != (char *)-1);
    char *page = (char *)(((uintptr_t)start + PAGE - 1) & -PAGE);
    IS(brk(page) == 0 && sbrk(0) == page);
    IS(sbrk(10 * PAGE) == page);
    unsigned long sum = 0;
    for (unsigned long i = 0; i < 10 * PAGE; i++)
        sum += page[i];
    say("fresh bytes sum to %lu", sum);
    memset(page, 7, 10 * PAGE);
    IS(sbrk(-5 * (long)PAGE) == page + 10 * PAGE);
    IS(page[5 * PAGE - 1] == 7);
    if (sigsetjmp(back, 1) == 0) {
        (void)*(volatile char *)(page + 5 * PAGE);
        say("memory above the break: readable");
    } else {
        say("memory above the break: SIGSEGV");
    }
    IS(sbrk(5 * PAGE) == page + 5 * PAGE);
    IS(page[5 * PAGE] == 0 && page[10 * PAGE - 1] == 0 && page[0] == 7);
    IS(sbrk(100) == page + 10 * PAGE);
    page[10 * PAGE + 99] = 1;
    IS(sbrk(0) == page + 10 * PAGE + 100);

    /* The raw call returns the unchanged break when it refuses. */
    long now = syscall(SYS_brk, 0);
    IS(syscall(SYS_brk, 1) == now);
    IS(syscall(SYS_brk, -PAGE) == now);
    IS(syscall(SYS_brk, now + PAGE) == now + (long)PAGE);
    IS(syscall(SYS_brk, now) == now);
    IS(sbrk(1l << 46) == (void *)-1 && errno == ENOMEM);

    /* A mapping in the way stops it. */
    char *top = (char *)(((uintptr_t)sbrk(0) + PAGE - 1) & -PAGE) + 4 * PAGE;
    IS(mmap(top, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == top);
    IS(sbrk(64 * PAGE) == (void *)-1 && errno == ENOMEM);
    munmap(top, PAGE);

    pid_t child = fork();
    if (child == 0) {
        char *mine = sbrk(PAGE);
        mine[0] = 1;
        _exit(sbrk(0) == mine + PAGE ? 1 : 2);
    }
    reap("child", child);
    IS(sbrk(0) == page + 10 * PAGE + 100);
    setrlimit(RLIMIT_DATA, &(struct rlimit){PAGE, PAGE});
    IS(sbrk(1 << 24) == (void *)-1 && errno == ENOMEM);
    char *big = malloc(1 << 20);
    IS(big == 0);
    return 0;
}
