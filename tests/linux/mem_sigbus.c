/* SIGBUS: touching a file mapping beyond the end of the file, also after the file shrank. */
#include "check.h"
#include <setjmp.h>

static sigjmp_buf back;
static siginfo_t last;

static void handler(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    last = *info;
    siglongjmp(back, 1);
}

static void touch(const char *what, volatile char *address, int write)
{
    if (sigsetjmp(back, 1) == 0) {
        if (write)
            *address = 'w';
        else
            (void)*address;
        say("%s: fine", what);
    } else {
        say("%s: %s code %d address %s", what, signal_name(last.si_signo), last.si_code, last.si_addr == address ? "right" : "WRONG");
    }
}

static int unhandled(void)
{
    int fd = open("file", O_RDWR);
    signal(SIGBUS, SIG_DFL);
    char *map = mmap(0, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    ftruncate(fd, 0);
    return *(volatile char *)map;
}

int main(void)
{
    on_signal(SIGBUS, handler, 0);
    on_signal(SIGSEGV, handler, 0);
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    ftruncate(fd, PAGE + 100);
    char *shared = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    touch("shared, last page", shared + PAGE + 4000, 1);
    touch("shared, beyond", shared + 2 * PAGE, 0);
    touch("shared, write beyond", shared + 3 * PAGE + 8, 1);
    touch("private, last page", private + PAGE + 4000, 1);
    touch("private, beyond", private + 2 * PAGE, 1);
    ftruncate(fd, 4 * PAGE);
    touch("after growing", shared + 2 * PAGE, 1);
    touch("private, after growing", private + 3 * PAGE, 1);
    ftruncate(fd, PAGE);
    touch("after shrinking", shared + 2 * PAGE, 0);
    touch("still there", shared, 0);
    touch("private, copied page after shrinking", private + 3 * PAGE, 0);
    in_child("not handled", unhandled);

    /* In a system call the same address is an error, not a signal. */
    int ends[2];
    NEED(pipe(ends) == 0);
    IS(write(ends[1], shared + 2 * PAGE, 8) == -1 && errno == EFAULT);
    write(ends[1], "12345678", 8);
    IS(read(ends[0], shared + 2 * PAGE, 8) == -1 && errno == EFAULT);
    return 0;
}
