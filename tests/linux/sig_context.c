/* The saved context: registers and vector state survive a handler, and a handler may change them. */
#include "check.h"
#include <immintrin.h>
#include <setjmp.h>
#include <ucontext.h>

static volatile int count;

static void clobbers(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    unsigned control = 0x1fa0;
    count++;
    __asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm7, %%xmm7; pcmpeqb %%xmm15, %%xmm15; xor %%r8, %%r8; xor %%r11, %%r11;"
                     "ldmxcsr %0" ::"m"(control) : "xmm0", "xmm7", "xmm15", "r8", "r11");
}

static void skips(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    ucontext_t *where = context;
    where->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 is two bytes long */
    where->uc_mcontext.gregs[REG_RAX] = 777;
    sigaddset(&where->uc_sigmask, SIGUSR2);
}

static sigjmp_buf back;

static void jumps(int number)
{
    siglongjmp(back, number);
}

int main(void)
{
    on_signal(SIGALRM, clobbers, 0);
    on_signal(SIGUSR1, clobbers, 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 2000}, {0, 2000}}, 0);
    long wrong = 0, end = now_ms() + 20000;
    while (count < 10 && now_ms() < end) {
        uint64_t r8 = 0x1122334455667788, r15 = 0x99aabbccddeeff00, x0 = 1, x7 = 7, x15 = 15;
        __asm__ volatile("mov $0x1122334455667788, %%r8; mov %5, %%r15; movq %6, %%xmm0; movq %7, %%xmm7; movq %8, %%xmm15;"
                         "mov $20000, %%ecx; 1: dec %%ecx; jnz 1b;"
                         "mov %%r8, %0; mov %%r15, %1; movq %%xmm0, %2; movq %%xmm7, %3; movq %%xmm15, %4"
                         : "=&r"(r8), "=&r"(r15), "=&r"(x0), "=&r"(x7), "=&r"(x15)
                         : "r"(r15), "r"(x0), "r"(x7), "r"(x15)
                         : "rcx", "r8", "r15", "xmm0", "xmm7", "xmm15", "cc");
        wrong += r8 != 0x1122334455667788 || r15 != 0x99aabbccddeeff00 || x0 != 1 || x7 != 7 || x15 != 15;
    }
    setitimer(ITIMER_REAL, &(struct itimerval){0}, 0);
    IS(count >= 10);
    IS(wrong == 0);

    unsigned control;
    raise(SIGUSR1);
    __asm__ volatile("stmxcsr %0" : "=m"(control));
    say("floating-point control %#x", control & ~0x3fu);

    on_signal(SIGILL, skips, 0);
    long value = 1;
    __asm__ volatile("ud2" : "+a"(value));
    say("skipped the instruction, rax %ld", value);
    sigset_t mask;
    sigprocmask(SIG_BLOCK, 0, &mask);
    IS(sigismember(&mask, SIGUSR2) == 1 && sigismember(&mask, SIGILL) == 0);

    signal(SIGTERM, jumps);
    volatile int jumped = 0;
    for (int i = 0; i < 3; i++) {
        int got = sigsetjmp(back, 1);
        if (got == 0)
            raise(SIGTERM);
        jumped += got == SIGTERM;
    }
    say("jumped out %d times", jumped);
    sigprocmask(SIG_BLOCK, 0, &mask);
    IS(sigismember(&mask, SIGTERM) == 0);

    /* A handler's frame that cannot be written is the end: SIGSEGV. */
    pid_t child = fork();
    if (child == 0) {
        signal(SIGTERM, jumps);
        __asm__ volatile("mov $0x1000, %%rsp; mov %0, %%edi; mov $15, %%esi; mov $62, %%eax; syscall; hlt" ::"r"(getpid()) : "memory");
    }
    reap("no stack for the handler", child);
    return 0;
}
