/* Named pipes: opening waits for the other side, except where it does not. */
#include "check.h"

int main(void)
{
    char text[32] = "";
    OK(mkfifo("fifo", 0644));
    OK(mkfifo("fifo", 0644));
    OK(open("fifo", O_WRONLY | O_NONBLOCK));
    int reading = OK(open("fifo", O_RDONLY | O_NONBLOCK));
    VALUE(read(reading, text, 1));
    int writing = OK(open("fifo", O_WRONLY | O_NONBLOCK));
    VALUE(read(reading, text, 1));
    VALUE(write(writing, "through", 7));
    VALUE(read(reading, text, sizeof text));
    say("%.7s", text);
    close(writing);
    VALUE(read(reading, text, 1));
    close(reading);

    pid_t child = fork();
    if (child == 0) {
        int fd = open("fifo", O_WRONLY);
        write(fd, "from the child", 14);
        _exit(fd >= 0 ? 5 : 6);
    }
    sleep_ms(20);
    IS(waitpid(child, 0, WNOHANG) == 0);
    reading = open("fifo", O_RDONLY);
    reap("writer", child);
    VALUE(read(reading, text, sizeof text));
    say("%.14s", text);
    VALUE(read(reading, text, sizeof text));

    /* Both sides at once never wait. */
    int both = OK(open("fifo", O_RDWR));
    VALUE(write(both, "x", 1));
    close(both);
    VALUE(read(reading, text, sizeof text));
    close(reading);
    /* Data does not outlive the last descriptor. */
    both = open("fifo", O_RDWR | O_NONBLOCK);
    VALUE(read(both, text, 1));
    write(both, "left", 4);
    close(both);
    both = open("fifo", O_RDWR | O_NONBLOCK);
    VALUE(read(both, text, 1));
    struct stat status;
    IS(fstat(both, &status) == 0 && S_ISFIFO(status.st_mode));
    VALUE(lseek(both, 0, SEEK_SET));
    OK(unlink("fifo"));
    VALUE(write(both, "still works", 11));
    return 0;
}
