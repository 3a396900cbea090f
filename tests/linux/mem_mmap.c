/* Anonymous mappings: zeroes, hints, MAP_FIXED, MAP_FIXED_NOREPLACE, and refused arguments. */
#include "check.h"
#include <setjmp.h>

static sigjmp_buf back;

static void handler(int number)
{
    siglongjmp(back, number);
}

static const char *touch(volatile char *address, int write)
{
    int number = sigsetjmp(back, 1);
    if (number)
        return signal_name(number);
    if (write)
        *address = 1;
    else
        (void)*address;
    return "fine";
}

int main(void)
{
    int rw = PROT_READ | PROT_WRITE, private = MAP_PRIVATE | MAP_ANONYMOUS;
    signal(SIGSEGV, handler);
    signal(SIGBUS, handler);
    unsigned char *area = mmap(0, 64 * PAGE, rw, private, -1, 0);
    NEED(area != MAP_FAILED);
    IS((uintptr_t)area % PAGE == 0);
    unsigned long sum = 0;
    for (unsigned long i = 0; i < 64 * PAGE; i++)
        sum += area[i];
    say("sum of fresh memory %lu", sum);
    memset(area, 0xee, 64 * PAGE);

    IS(mmap(area + 8 * PAGE, PAGE, rw, private | MAP_FIXED, -1, 0) == area + 8 * PAGE);
    IS(area[8 * PAGE] == 0 && area[9 * PAGE] == 0xee && area[8 * PAGE - 1] == 0xee);
    IS(mmap(area, PAGE, rw, private | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
    IS(area[0] == 0xee);
    IS(munmap(area + 16 * PAGE, PAGE) == 0);
    IS(mmap(area + 16 * PAGE, PAGE, rw, private | MAP_FIXED_NOREPLACE, -1, 0) == area + 16 * PAGE);
    IS(mmap(area + 16 * PAGE, PAGE, rw, private, -1, 0) != area + 16 * PAGE);
    munmap(area + 20 * PAGE, PAGE);
    IS(mmap(area + 20 * PAGE, PAGE, rw, private, -1, 0) == area + 20 * PAGE);

    say("past the end of a partial page: %s", touch((char *)mmap(0, 100, rw, private, -1, 0) + 4095, 1));
    char *readable = mmap(0, PAGE, PROT_READ, private, -1, 0), *none = mmap(0, PAGE, PROT_NONE, private, -1, 0);
    say("read-only: read %s", touch(readable, 0));
    say("read-only: write %s", touch(readable, 1));
    say("none: read %s", touch(none, 0));
    char *writable = mmap(0, PAGE, PROT_WRITE, private, -1, 0);
    say("write-only: read %s", touch(writable, 0));

    IS(mmap(0, 0, rw, private, -1, 0) == MAP_FAILED && errno == EINVAL);
    IS(mmap((void *)(area + 1), PAGE, rw, private | MAP_FIXED, -1, 0) == MAP_FAILED && errno == EINVAL);
    IS(mmap(area + 1, PAGE, rw, private, -1, 0) != MAP_FAILED);
    IS(mmap(0, PAGE, rw, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    IS(mmap(0, PAGE, rw, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
    IS(mmap(0, -1ul, rw, private, -1, 0) == MAP_FAILED && errno == ENOMEM);
    IS(mmap(0, 1ul << 47, rw, private | MAP_NORESERVE, -1, 0) == MAP_FAILED && errno == ENOMEM);
    IS(mmap((void *)0xffff800000000000, PAGE, rw, private | MAP_FIXED, -1, 0) == MAP_FAILED && errno == ENOMEM);
    IS(syscall(SYS_mmap, 0, PAGE, rw, private, -1, 1) == -1 && errno == EINVAL);
    IS(munmap(area + 1, PAGE) == -1 && errno == EINVAL);
    IS(munmap(area, 0) == -1 && errno == EINVAL);
    IS(munmap((void *)(1ul << 57), PAGE) == -1 && errno == EINVAL);
    IS(munmap((void *)0x10000, PAGE) == 0);

    /* A large, untouched mapping costs nothing; a few pages of it work. */
    char *sparse = mmap(0, 1ul << 32, rw, private | MAP_NORESERVE, -1, 0);
    IS(sparse != MAP_FAILED);
    for (unsigned long at = 0; at < 1ul << 32; at += 1ul << 28)
        sparse[at] = 1;
    IS(sparse[1ul << 28] == 1 && sparse[(1ul << 28) + 1] == 0);
    IS(munmap(sparse, 1ul << 32) == 0);
    say("after munmap: %s", touch(sparse, 0));
    char *populated = mmap(0, 8 * PAGE, rw, private | MAP_POPULATE, -1, 0);
    IS(populated != MAP_FAILED && populated[5 * PAGE] == 0);
    return 0;
}
