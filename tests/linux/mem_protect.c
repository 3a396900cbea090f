/* mprotect: rights really change, both ways, data is kept, code can be made and run. */
#include "check.h"
#include <setjmp.h>

static sigjmp_buf back;
static volatile int code;

static void handler(int number, siginfo_t *info, void *context)
{
    (void)context;
    code = info->si_code;
    siglongjmp(back, number);
}

static const char *attempt(char *page, char how)
{
    static char text[32];
    int number = sigsetjmp(back, 1);
    if (number) {
        snprintf(text, sizeof text, "%s/%d", signal_name(number), code);
        return text;
    }
    if (how == 'r')
        (void)*(volatile char *)page;
    else if (how == 'w')
        *(volatile char *)(page + 100) = 1;
    else
        ((void (*)(void))page)();
    return "fine";
}

static void all(const char *what, char *page)
{
    char text[128];
    int used = snprintf(text, sizeof text, "%s: read %s,", what, attempt(page, 'r'));
    used += snprintf(text + used, sizeof text - used, " write %s,", attempt(page, 'w'));
    snprintf(text + used, sizeof text - used, " run %s", attempt(page, 'x'));
    say("%s", text);
}

int main(void)
{
    on_signal(SIGSEGV, handler, 0);
    char *page = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = (char)0xc3; /* ret */
    static const struct {
        const char *name;
        int rights;
    } steps[] = {
        {"rw", PROT_READ | PROT_WRITE}, {"r", PROT_READ}, {"none", PROT_NONE}, {"rx", PROT_READ | PROT_EXEC},
        {"rwx", PROT_READ | PROT_WRITE | PROT_EXEC}, {"none again", PROT_NONE}, {"rw again", PROT_READ | PROT_WRITE},
    };
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        NEED(mprotect(page, PAGE, steps[i].rights) == 0);
        all(steps[i].name, page);
    }
    IS(page[0] == (char)0xc3 && page[100] == 1);

    /* After a fork each side has its own rights. */
    pid_t child = fork();
    if (child == 0) {
        mprotect(page, PAGE, PROT_NONE);
        all("child", page);
        _exit(0);
    }
    reap("child", child);
    all("parent", page);

    /* Read-only and then writable again while shared copy-on-write: still a copy. */
    page[200] = 'p';
    child = fork();
    if (child == 0) {
        mprotect(page, PAGE, PROT_READ);
        mprotect(page, PAGE, PROT_READ | PROT_WRITE);
        page[200] = 'c';
        _exit(page[200]);
    }
    reap("child", child);
    say("parent has %c", page[200]);

    static const unsigned char program[] = {0xb8, 42, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
    memcpy(page, program, sizeof program);
    mprotect(page, PAGE, PROT_READ | PROT_EXEC);
    say("made code returns %d", ((int (*)(void))page)());

    /* Constants of the program itself are read-only, its code too. */
    static const char constant[] = "constant";
    say("write to a constant: %s", attempt((char *)constant - 100 + 0, 'w'));
    say("write to code: %s", attempt((char *)main, 'w'));
    return 0;
}
