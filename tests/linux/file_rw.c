/* read, write and their vectored and positioned forms. */
#include "check.h"
#include <limits.h>
#include <sys/uio.h>

int main(void)
{
    char one[8], two[8], three[64];
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    struct iovec out[] = {{"Hello", 5}, {"", 0}, {", ", 2}, {"world", 5}};
    VALUE(writev(fd, out, 4));
    VALUE(pread(fd, three, 64, 0));
    say("%.12s", three);
    VALUE(lseek(fd, 0, SEEK_CUR));
    VALUE(read(fd, three, 5));
    VALUE(lseek(fd, 2, SEEK_SET));
    memset(one, '.', 8), memset(two, '.', 8);
    struct iovec in[] = {{one, 3}, {two, 4}, {three, 64}};
    VALUE(readv(fd, in, 3));
    say("%.3s|%.4s|%.3s", one, two, three);

    VALUE(pwrite(fd, "PW", 2, 5));
    VALUE(pwritev(fd, out, 1, 20));
    VALUE(preadv(fd, in, 2, 4));
    say("%.3s|%.4s", one, two);
    VALUE(lseek(fd, 0, SEEK_CUR));
    VALUE(pread(fd, three, 64, 12));
    IS(!memcmp(three, "\0\0\0\0\0\0\0\0Hello", 13));
    VALUE(pread(fd, three, 64, 25));
    VALUE(pread(fd, three, 64, 1000000));
    VALUE(pread(fd, three, 64, -1));
    VALUE(pwrite(fd, three, 1, -1));
    VALUE(preadv2(fd, in, 2, 0, 0));
    VALUE(preadv2(fd, in, 2, 0, 0x4000));
    lseek(fd, 3, SEEK_SET);
    VALUE(preadv2(fd, in, 1, -1, 0));
    VALUE(lseek(fd, 0, SEEK_CUR));

    VALUE(readv(fd, in, 0));
    VALUE(readv(fd, in, -1));
    VALUE(readv(fd, in, IOV_MAX + 1));
    struct iovec huge[] = {{one, 1}, {two, SSIZE_MAX}};
    VALUE(readv(fd, huge, 2));
    struct iovec negative[] = {{one, -1}};
    VALUE(writev(fd, negative, 1));
    struct iovec *many = calloc(IOV_MAX, sizeof *many);
    for (int i = 0; i < IOV_MAX; i++)
        many[i] = (struct iovec){"ab", 2};
    ftruncate(fd, 0);
    lseek(fd, 0, SEEK_SET);
    VALUE(writev(fd, many, IOV_MAX));

    int ends[2];
    NEED(pipe(ends) == 0);
    VALUE(pread(ends[0], one, 1, 0));
    VALUE(pwrite(ends[1], one, 1, 0));
    VALUE(writev(ends[1], out, 4));
    VALUE(readv(ends[0], in, 2));
    VALUE(read(ends[0], three, 64));

    int directory = open(".", O_RDONLY);
    VALUE(read(directory, one, 1));
    VALUE(pread(directory, one, 1, 0));

    /* A large transfer, checked. */
    size_t size = 3 << 20;
    unsigned *block = malloc(size), *again = malloc(size);
    for (size_t i = 0; i < size / 4; i++)
        block[i] = (unsigned)(i * 2654435761u);
    lseek(fd, 0, SEEK_SET);
    VALUE(write(fd, block, size));
    lseek(fd, 0, SEEK_SET);
    VALUE(read(fd, again, size));
    IS(!memcmp(block, again, size));
    VALUE(pread(fd, again, 1000, size - 10));
    return 0;
}
