/* madvise, msync, mincore. */
#include "check.h"

int main(void)
{
    int rw = PROT_READ | PROT_WRITE;
    char *area = mmap(0, 8 * PAGE, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(area, 'a', 8 * PAGE);
    IS(madvise(area + 2 * PAGE, 3 * PAGE, MADV_DONTNEED) == 0);
    say("after DONTNEED: %d %d %d %d", area[PAGE], area[2 * PAGE], area[4 * PAGE], area[5 * PAGE]);
    area[3 * PAGE] = 'b';
    say("written again: %d", area[3 * PAGE]);
    IS(madvise(area, 0, MADV_DONTNEED) == 0);
    IS(madvise(area, 100, MADV_DONTNEED) == 0);
    say("a part of a page is a whole one: %d %d", area[0], area[PAGE]);
    IS(madvise(area, PAGE, MADV_WILLNEED) == 0);
    IS(madvise(area, PAGE, MADV_NORMAL) == 0);
    IS(madvise(area, PAGE, MADV_RANDOM) == 0);
    IS(madvise(area, PAGE, MADV_SEQUENTIAL) == 0);
    IS(madvise(area + 1, PAGE, MADV_DONTNEED) == -1 && errno == EINVAL);
    IS(madvise(area, PAGE, 9999) == -1 && errno == EINVAL);
    IS(madvise((void *)0x10000, PAGE, MADV_DONTNEED) == -1 && errno == ENOMEM);

    int fd = open("file", O_RDWR | O_CREAT, 0644);
    ftruncate(fd, 2 * PAGE);
    pwrite(fd, "file", 4, 0);
    char *private = mmap(0, 2 * PAGE, rw, MAP_PRIVATE, fd, 0), *shared = mmap(0, 2 * PAGE, rw, MAP_SHARED, fd, 0);
    memcpy(private, "mine", 4);
    madvise(private, PAGE, MADV_DONTNEED);
    say("private file page goes back to \"%.4s\"", private);
    memcpy(shared, "ours", 4);
    madvise(shared, PAGE, MADV_DONTNEED);
    say("shared file page stays \"%.4s\"", shared);

    IS(msync(shared, 2 * PAGE, MS_SYNC) == 0);
    IS(msync(shared, 2 * PAGE, MS_ASYNC) == 0);
    IS(msync(shared, PAGE, MS_ASYNC | MS_SYNC) == -1 && errno == EINVAL);
    IS(msync(shared, PAGE, 8) == -1 && errno == EINVAL);
    IS(msync(shared + 1, PAGE, MS_SYNC) == -1 && errno == EINVAL);
    IS(msync((void *)0x10000, PAGE, MS_SYNC) == -1 && errno == ENOMEM);

    unsigned char resident[8];
    char *fresh = mmap(0, 8 * PAGE, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fresh[PAGE] = fresh[6 * PAGE] = 1;
    IS(mincore(fresh, 8 * PAGE, resident) == 0);
    IS((resident[1] & 1) && (resident[6] & 1));
    IS(mincore(fresh + 1, PAGE, resident) == -1 && errno == EINVAL);
    IS(mincore((void *)0x10000, PAGE, resident) == -1 && errno == ENOMEM);
    IS(mincore(fresh, PAGE, (void *)1) == -1 && errno == EFAULT);
    IS(mincore(fresh, 0, resident) == 0);
    return 0;
}
