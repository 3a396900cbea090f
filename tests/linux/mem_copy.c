/* System calls into and out of memory that is not there yet, read-only, partly mapped, or shared after fork. */
#include "check.h"
#include <sys/uio.h>

int main(void)
{
    int rw = PROT_READ | PROT_WRITE, private = MAP_PRIVATE | MAP_ANONYMOUS, ends[2];
    char *area = mmap(0, 8 * PAGE, rw, private, -1, 0);
    NEED(area != MAP_FAILED && pipe(ends) == 0);
    munmap(area + 4 * PAGE, PAGE);
    mprotect(area + 6 * PAGE, PAGE, PROT_READ);
    char *edge = area + 4 * PAGE;

    IS(write(ends[1], area, 2 * PAGE) == 2 * PAGE);
    IS(read(ends[0], area + PAGE - 100, 2 * PAGE) == 2 * PAGE);
    say("untouched memory reads as %d", area[PAGE]);

    /* To and from a file: the part that is there is transferred. */
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    memset(edge - 10, 'e', 10);
    VALUE(write(fd, edge - 10, 20));
    VALUE(lseek(fd, 0, SEEK_CUR));
    VALUE(write(fd, edge, 20));
    ftruncate(fd, 100);
    lseek(fd, 0, SEEK_SET);
    VALUE(read(fd, edge, 20));
    VALUE(lseek(fd, 0, SEEK_CUR));
    VALUE(read(fd, area + 6 * PAGE, 20));
    VALUE(pread(fd, area + 6 * PAGE - 5, 5, 0));
    VALUE(read(fd, (void *)0xffff800000000000, 1));
    VALUE(read(fd, (void *)-1, 1));
    VALUE(read(fd, area, -1));
    VALUE(write(fd, (void *)0x7fffffffe000, 0));

    /* A transfer of nothing looks at no address; of nothing left neither. */
    VALUE(read(fd, (void *)1, 0));
    lseek(fd, 0, SEEK_END);
    VALUE(read(fd, (void *)1, 10));

    struct iovec parts[] = {{area, 5}, {(void *)1, 5}, {area, 5}};
    memset(area, 'v', 5);
    ftruncate(fd, 0);
    lseek(fd, 0, SEEK_SET);
    VALUE(writev(fd, parts, 3));
    VALUE(lseek(fd, 0, SEEK_END));
    VALUE(writev(fd, (struct iovec *)1, 3));
    VALUE(writev(fd, parts + 1, 1));

    /* Structures that straddle the edge. */
    errno = 0;
    VALUE(fstat(fd, (struct stat *)(edge - 8)));
    VALUE(syscall(SYS_pipe2, edge - 4, 0));
    VALUE(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, edge - 8));
    VALUE(syscall(SYS_nanosleep, edge - 8, 0));
    strcpy(edge - 5, "file");
    VALUE(access(edge - 5, F_OK));
    memcpy(edge - 4, "file", 4);
    VALUE(access(edge - 4, F_OK));
    VALUE(open(edge, O_RDONLY));
    VALUE(syscall(SYS_getcwd, edge - 1, 1));
    VALUE(syscall(SYS_getcwd, edge - 1, 4096));
    VALUE(readlink("/proc/self/exe", edge - 1, 4096));

    int spare = open("/dev/null", O_RDONLY);
    close(spare);
    IS(syscall(SYS_pipe2, (int *)1, 0) == -1 && errno == EFAULT);
    IS(open("/dev/null", O_RDONLY) == spare);
    return 0;
}
