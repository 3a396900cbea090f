/* File mappings: shared ones write the file, private ones do not; offsets; who may map what. */
#include "check.h"

int main(void)
{
    char text[16];
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    for (char page = 'a'; page < 'e'; page++) {
        static char block[PAGE];
        memset(block, page, PAGE);
        NEED(write(fd, block, PAGE) == PAGE);
    }
    char *shared = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(0, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char *third = mmap(0, PAGE, PROT_READ, MAP_SHARED, fd, 2 * PAGE);
    NEED(shared != MAP_FAILED && private != MAP_FAILED && third != MAP_FAILED);
    say("by offset: %c %c %c", shared[0], private[PAGE], third[0]);

    shared[10] = 'S';
    private[11] = 'P';
    pread(fd, text, 16, 0);
    say("file after both writes: %.16s", text);
    say("private sees the shared write made before its copy: %c", private[10]);
    pwrite(fd, "FILE", 4, 2 * PAGE);
    say("mappings after a write to the file: %.4s %.4s %.4s", shared + 2 * PAGE, third, private + 2 * PAGE);
    private[2 * PAGE] = 'x';
    pwrite(fd, "AGAIN", 5, 2 * PAGE);
    say("after the private copy: %.5s %.5s", shared + 2 * PAGE, private + 2 * PAGE);

    /* Shared between processes, and after close and unlink. */
    close(fd);
    unlink("file");
    pid_t child = fork();
    if (child == 0) {
        memcpy(shared, "child", 5);
        memcpy(private, "CHILD", 5);
        _exit(0);
    }
    reap("child", child);
    say("parent sees: %.5s %.5s", shared, private);
    IS(msync(shared, 4 * PAGE, MS_SYNC) == 0);
    IS(munmap(shared, 4 * PAGE) == 0 && munmap(private, 4 * PAGE) == 0);

    /* The part of the last page after the end of the file is zero, and is not written. */
    fd = open("short", O_RDWR | O_CREAT, 0644);
    write(fd, "short", 5);
    shared = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    IS(shared[5] == 0 && shared[4095] == 0);
    shared[5] = '!';
    shared[0] = 'S';
    msync(shared, PAGE, MS_SYNC);
    ssize_t length = pread(fd, text, 16, 0);
    say("file of %zd: %.5s", length, text);
    ftruncate(fd, 7);
    length = pread(fd, text, 16, 0);
    say("grown to %zd, then zero: %d", length, text[6]);

    int reading = open("short", O_RDONLY), writing = open("short", O_WRONLY);
    IS(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, reading, 0) == MAP_FAILED && errno == EACCES);
    IS(mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, reading, 0) != MAP_FAILED);
    IS(mmap(0, PAGE, PROT_READ, MAP_SHARED, writing, 0) == MAP_FAILED && errno == EACCES);
    IS(mmap(0, PAGE, PROT_WRITE, MAP_PRIVATE, writing, 0) == MAP_FAILED && errno == EACCES);
    IS(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, fd, 100) == MAP_FAILED && errno == EINVAL);
    char *view = mmap(0, PAGE, PROT_READ, MAP_SHARED, reading, 0);
    IS(mprotect(view, PAGE, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
    int ends[2];
    NEED(pipe(ends) == 0);
    IS(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, ends[0], 0) == MAP_FAILED && errno == ENODEV);
    int directory = open(".", O_RDONLY);
    IS(mmap(0, PAGE, PROT_READ, MAP_PRIVATE, directory, 0) == MAP_FAILED && errno == ENODEV);
    int zero = open("/dev/zero", O_RDWR);
    char *zeroes = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    IS(zeroes != MAP_FAILED && zeroes[77] == 0);
    return 0;
}
