/* Vector registers and floating-point settings stay each thread's and each process's own. */
#include "check.h"
#include <pthread.h>
#include <sched.h>

/* Fills the SSE registers (and, where there are, the upper AVX halves), works, and compares. */
static int __attribute__((target("avx"))) hold_avx(long seed)
{
    long pattern[4] = {seed, ~seed, seed * 3, seed * 5}, back[4], high[4];
    for (int round = 0; round < 200; round++) {
        __asm__ volatile("vmovdqu (%0), %%ymm3; vmovdqu (%0), %%ymm14; mov %3, %%ecx; 1: dec %%ecx; jnz 1b;"
                         "mov $24, %%eax; syscall; vmovdqu %%ymm3, (%1); vmovdqu %%ymm14, (%2)"
                         ::"r"(pattern), "r"(back), "r"(high), "i"(3000)
                         : "rax", "rcx", "r11", "xmm3", "xmm14", "memory", "cc");
        if (memcmp(back, pattern, 32) || memcmp(high, pattern, 32))
            return 1;
    }
    return 0;
}

static int hold_sse(long seed)
{
    long pattern[2] = {seed, ~seed}, back[2];
    for (int round = 0; round < 200; round++) {
        __asm__ volatile("movdqu (%0), %%xmm5; mov %2, %%ecx; 1: dec %%ecx; jnz 1b; mov $24, %%eax; syscall; movdqu %%xmm5, (%1)"
                         ::"r"(pattern), "r"(back), "i"(3000)
                         : "rax", "rcx", "r11", "xmm5", "memory", "cc");
        if (memcmp(back, pattern, 16))
            return 1;
    }
    return 0;
}

static void *hold(void *argument)
{
    long seed = (long)(uintptr_t)argument * 0x123456789;
    int wrong = hold_sse(seed);
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx"))
        wrong += hold_avx(seed);
    return (void *)(uintptr_t)wrong;
}

static unsigned control(void)
{
    unsigned value;
    __asm__ volatile("stmxcsr %0" : "=m"(value));
    return value & 0xffc0;
}

static void set_control(unsigned value)
{
    __asm__ volatile("ldmxcsr %0" ::"m"(value));
}

static void *thread_control(void *argument)
{
    *(unsigned *)argument = control();
    set_control(0x1f80);
    return 0;
}

int main(int count, char **arguments)
{
    (void)arguments;
    if (count > 1) {
        unsigned short word;
        __asm__ volatile("fnstcw %0" : "=m"(word));
        say("a fresh program: control %#x, x87 %#x", control(), word);
        return 0;
    }
    pid_t children[4];
    for (long i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit((int)(uintptr_t)hold((void *)(uintptr_t)(i + 1)));
    }
    pthread_t threads[4];
    for (long i = 0; i < 4; i++)
        pthread_create(&threads[i], 0, hold, (void *)(uintptr_t)(i + 11));
    int wrong = 0;
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(threads[i], &result);
        wrong += (int)(uintptr_t)result;
    }
    say("threads wrong: %d", wrong);
    for (int i = 0; i < 4; i++)
        reap("process", children[i]);

    say("control %#x", control());
    set_control(0x7f80); /* round toward zero */
    pid_t child = fork();
    if (child == 0)
        _exit(control() == 0x7f80 ? 1 : 2);
    reap("inherited by a child", child);
    unsigned seen = 0;
    pthread_create(&threads[0], 0, thread_control, &seen);
    pthread_join(threads[0], 0);
    say("inherited by a thread %#x, ours stays %#x", seen, control());
    volatile double one = 1, three = 3;
    double third_down = one / three;
    set_control(0x5f80); /* round up */
    IS(one / three > third_down);
    child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "vector_state", "again", (char *)0);
        _exit(9);
    }
    reap("after exec", child);
    return 0;
}
