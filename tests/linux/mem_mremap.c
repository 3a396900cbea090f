/* mremap: growing in place and by moving, shrinking, fixed targets, refusals. */
#include "check.h"

static int all_are(const char *area, unsigned long length, char value)
{
    for (unsigned long i = 0; i < length; i++)
        if (area[i] != value)
            return 0;
    return 1;
}

int main(void)
{
    int rw = PROT_READ | PROT_WRITE, private = MAP_PRIVATE | MAP_ANONYMOUS;
    char *area = mmap(0, 16 * PAGE, rw, private, -1, 0);
    memset(area, 'm', 16 * PAGE);
    IS(mremap(area, 16 * PAGE, 8 * PAGE, 0) == area);
    IS(all_are(area, 8 * PAGE, 'm'));
    IS(mremap(area, 8 * PAGE, 12 * PAGE, 0) == area);
    IS(all_are(area, 8 * PAGE, 'm') && all_are(area + 8 * PAGE, 4 * PAGE, 0));
    IS(mremap(area, 12 * PAGE, 12 * PAGE, 0) == area);

    /* Something in the way: refused without MAYMOVE, moved with it. */
    IS(mmap(area + 12 * PAGE, PAGE, PROT_READ, private | MAP_FIXED, -1, 0) == area + 12 * PAGE);
    IS(mremap(area, 12 * PAGE, 20 * PAGE, 0) == MAP_FAILED && errno == ENOMEM);
    char *moved = mremap(area, 12 * PAGE, 20 * PAGE, MREMAP_MAYMOVE);
    IS(moved != MAP_FAILED && moved != area);
    IS(all_are(moved, 8 * PAGE, 'm') && all_are(moved + 8 * PAGE, 12 * PAGE, 0));
    IS(mmap(area, PAGE, rw, private | MAP_FIXED_NOREPLACE, -1, 0) == area);

    char *target = mmap(0, 24 * PAGE, PROT_NONE, private, -1, 0);
    char *fixed = mremap(moved, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    IS(fixed == target && all_are(target, 4 * PAGE, 'm'));
    IS(all_are(moved + 4 * PAGE, 4 * PAGE, 'm'));
    fixed[0] = 'n';

    IS(mremap(target, PAGE, 2 * PAGE, MREMAP_FIXED, moved) == MAP_FAILED && errno == EINVAL);
    IS(mremap(target, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, target + PAGE) == MAP_FAILED && errno == EINVAL);
    IS(mremap(target + 1, PAGE, PAGE, 0) == MAP_FAILED && errno == EINVAL);
    IS(mremap(target, PAGE, 0, 0) == MAP_FAILED && errno == EINVAL);
    IS(mremap(target, PAGE, PAGE, 0x80) == MAP_FAILED && errno == EINVAL);
    IS(mremap((void *)0x10000, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
    IS(target[0] == 'n');

    /* Shared memory: old size 0 makes a second view of the same pages. */
    char *shared = mmap(0, 2 * PAGE, rw, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    strcpy(shared, "one");
    char *view = mremap(shared, 0, 2 * PAGE, MREMAP_MAYMOVE);
    IS(view != MAP_FAILED && view != shared && !strcmp(view, "one"));
    strcpy(view, "two");
    IS(!strcmp(shared, "two"));

    /* A file mapping keeps its offset. */
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    ftruncate(fd, 8 * PAGE);
    pwrite(fd, "page 3", 6, 3 * PAGE);
    char *file = mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 2 * PAGE);
    file = mremap(file, PAGE, 3 * PAGE, MREMAP_MAYMOVE);
    IS(file != MAP_FAILED && !memcmp(file + PAGE, "page 3", 6));

    /* What realloc does with large blocks. */
    char *block = malloc(1 << 20);
    memset(block, 'r', 1 << 20);
    block = realloc(block, 8 << 20);
    IS(block && all_are(block, 1 << 20, 'r'));
    return 0;
}
