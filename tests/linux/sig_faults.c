/* CPU exceptions as signals: number, code, address; and as the end of a process. */
#include "check.h"
#include <setjmp.h>
#include <sys/resource.h>
#include <ucontext.h>

static sigjmp_buf back;
static siginfo_t last;
static long last_error, last_trap;
static char *page, *read_only, *none;

static void handler(int number, siginfo_t *info, void *context)
{
    (void)number;
    ucontext_t *where = context;
    last = *info;
    last_error = where->uc_mcontext.gregs[REG_ERR];
    last_trap = where->uc_mcontext.gregs[REG_TRAPNO];
    siglongjmp(back, 1);
}

static void write_null(void) { *(volatile int *)0 = 1; }
static void read_null(void) { (void)*(volatile int *)8; }
static void write_read_only(void) { *(volatile char *)(read_only + 5) = 1; }
static void read_none(void) { (void)*(volatile char *)(none + 7); }
static void run_data(void) { ((void (*)(void))page)(); }
static void jump_null(void) { ((void (*)(void))(uintptr_t)0)(); }
static void kernel_address(void) { (void)*(volatile char *)0xffffffff80000000; }
static void not_canonical(void) { (void)*(volatile char *)0x8000000000001000; }
static void illegal(void) { __asm__ volatile("ud2"); }
static void privileged(void) { __asm__ volatile("hlt"); }
static void port(void) { __asm__ volatile("outb %%al, $0x80" ::"a"(0)); }
static void breakpoint(void) { __asm__ volatile("int3"); }
static void divide(void)
{
    int quotient, remainder;
    __asm__ volatile("idivl %2" : "=a"(quotient), "=d"(remainder) : "r"(0), "a"(1), "d"(0));
}
static void single_step(void) { __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; nop; nop" ::: "memory", "cc"); }
static void float_divide(void)
{
    unsigned short control = 0x037b; /* the x87 way: emulators do not raise SSE's exceptions */
    __asm__ volatile("fldcw %0; fld1; fldz; fdivrp; fwait" ::"m"(control));
}

static const struct {
    const char *name;
    void (*body)(void);
    int show_address;
} faults[] = {
    {"write to null", write_null, 1},
    {"read near null", read_null, 1},
    {"write to read-only memory", write_read_only, 2},
    {"read of PROT_NONE", read_none, 2},
    {"execute data", run_data, 2},
    {"jump to null", jump_null, 1},
    {"kernel address", kernel_address, 1},
    {"not canonical", not_canonical, 1},
    {"undefined instruction", illegal, 0},
    {"privileged instruction", privileged, 1},
    {"port output", port, 1},
    {"breakpoint", breakpoint, 0},
    {"single step", single_step, 0},
    {"integer division by zero", divide, 0},
    {"float division by zero", float_divide, 0},
};

int main(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    page = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    read_only = mmap(0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    none = mmap(0, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = (char)0xc3;
    int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (unsigned f = 0; f < sizeof faults / sizeof *faults; f++) {
        for (int i = 0; i < 5; i++)
            on_signal(numbers[i], handler, SA_NODEFER);
        last = (siginfo_t){0};
        if (sigsetjmp(back, 1) == 0)
            faults[f].body();
        char *address = last.si_addr;
        const char *where = address == read_only + 5 || address == none + 7 || address == page ? "right" : "WRONG";
        if (faults[f].show_address == 1)
            say("%s: %s code %d trap %ld error %#lx address %p", faults[f].name, signal_name(last.si_signo), last.si_code, last_trap, last_error, (void *)address);
        else if (faults[f].show_address == 2)
            say("%s: %s code %d trap %ld error %#lx address %s", faults[f].name, signal_name(last.si_signo), last.si_code, last_trap, last_error, where);
        else
            say("%s: %s code %d trap %ld", faults[f].name, signal_name(last.si_signo), last.si_code, last_trap);

        /* Without a handler, with the signal ignored, and with it blocked: the process ends all the same. */
        for (int how = 0; how < 3; how++) {
            pid_t child = fork();
            if (child == 0) {
                sigset_t all;
                sigfillset(&all);
                for (int i = 0; i < 5; i++)
                    signal(numbers[i], how == 1 ? SIG_IGN : SIG_DFL);
                if (how == 2)
                    sigprocmask(SIG_BLOCK, &all, 0);
                faults[f].body();
                _exit(0);
            }
            reap(how == 0 ? "  default" : how == 1 ? "  ignored" : "  blocked", child);
        }
    }
    return 0;
}
