/* lseek in all its forms, holes, truncation and preallocation. */
#include "check.h"

int main(void)
{
    char text[32];
    struct stat status;
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    write(fd, "0123456789", 10);
    VALUE(lseek(fd, 3, SEEK_SET));
    VALUE(lseek(fd, 2, SEEK_CUR));
    VALUE(lseek(fd, -10, SEEK_CUR));
    VALUE(lseek(fd, 0, SEEK_CUR));
    VALUE(lseek(fd, -2, SEEK_END));
    VALUE(lseek(fd, 100, SEEK_END));
    VALUE(lseek(fd, -1, SEEK_SET));
    VALUE(lseek(fd, 0, 17));
    VALUE(lseek(fd, INT64_MAX, SEEK_CUR));
    VALUE(read(fd, text, 1));
    VALUE(write(fd, "far", 3));
    VALUE(fstat(fd, &status));
    say("size %ld", (long)status.st_size);
    VALUE(pread(fd, text, 5, 50));
    IS(text[0] == 0 && text[4] == 0);

    /* Beyond the end there is neither data nor hole. */
    VALUE(lseek(fd, 1000, SEEK_DATA));
    VALUE(lseek(fd, 1000, SEEK_HOLE));
    VALUE(lseek(fd, 0, SEEK_DATA));
    VALUE(lseek(fd, 0, SEEK_HOLE));
    VALUE(lseek(fd, -5, SEEK_DATA));

    int ends[2];
    NEED(pipe(ends) == 0);
    VALUE(lseek(ends[0], 0, SEEK_CUR));
    VALUE(lseek(99, 0, SEEK_CUR));

    OK(ftruncate(fd, 5));
    VALUE(pread(fd, text, 32, 0));
    OK(ftruncate(fd, 8));
    VALUE(pread(fd, text, 32, 0));
    IS(!memcmp(text, "01234\0\0\0", 8));
    OK(truncate("file", 2));
    VALUE(pread(fd, text, 32, 0));
    OK(ftruncate(fd, -1));
    OK(truncate("missing", 1));
    OK(truncate(".", 1));
    OK(truncate("file/x", 1));
    OK(ftruncate(ends[0], 1));
    OK(ftruncate(open("file", O_RDONLY), 1));

    /* A file with a large hole; what is read in it is zero, and it is not stored. */
    int sparse = open("sparse", O_RDWR | O_CREAT, 0644);
    VALUE(pwrite(sparse, "end", 3, 1l << 32));
    fstat(sparse, &status);
    say("size %ld", (long)status.st_size);
    IS(status.st_blocks < 1000);
    VALUE(pread(sparse, text, 8, 1l << 31));
    IS(!memcmp(text, "\0\0\0\0\0\0\0\0", 8));
    VALUE(pread(sparse, text, 8, 1l << 32));
    say("%.3s", text);

    int allocated = open("allocated", O_RDWR | O_CREAT, 0644);
    OK(fallocate(allocated, 0, 0, 10000));
    fstat(allocated, &status);
    say("size %ld", (long)status.st_size);
    OK(fallocate(allocated, 0, 0, 0));
    OK(fallocate(allocated, 0, -1, 10));
    OK(fallocate(allocated, 0, 0, -1));
    OK(fallocate(open("file", O_RDONLY), 0, 0, 10));
    OK(fallocate(ends[1], 0, 0, 10));
    OK(fallocate(99, 0, 0, 10));
    IS(posix_fallocate(allocated, 0, 20000) == 0);
    fstat(allocated, &status);
    say("size %ld", (long)status.st_size);
    return 0;
}
