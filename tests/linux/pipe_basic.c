/* Pipes: order, end of file, broken ends, flags, capacity, not blocking. */
#include "check.h"

static int broken(void)
{
    int ends[2];
    pipe(ends);
    close(ends[0]);
    write(ends[1], "x", 1);
    return 0;
}

int main(void)
{
    char text[64] = "";
    int ends[2];
    static char block[70000];
    OK(pipe(ends));
    say("descriptors %d %d", ends[0], ends[1]);
    VALUE(write(ends[1], "first ", 6));
    VALUE(write(ends[1], "second", 6));
    VALUE(read(ends[0], text, 4));
    VALUE(read(ends[0], text + 4, 60));
    say("%s", text);
    VALUE(write(ends[0], "x", 1));
    VALUE(read(ends[1], text, 1));
    VALUE(write(ends[1], "left behind", 11));
    close(ends[1]);
    VALUE(read(ends[0], text, 64));
    VALUE(read(ends[0], text, 64));
    VALUE(read(ends[0], text, 64));
    close(ends[0]);
    in_child("writes with no reader", broken);
    signal(SIGPIPE, SIG_IGN);
    pipe(ends);
    close(ends[0]);
    VALUE(write(ends[1], "x", 1));
    VALUE(write(ends[1], "x", 0));
    close(ends[1]);

    OK(pipe2(ends, O_NONBLOCK | O_CLOEXEC));
    IS(fcntl(ends[0], F_GETFD) == FD_CLOEXEC && (fcntl(ends[1], F_GETFL) & O_NONBLOCK));
    IS((fcntl(ends[0], F_GETFL) & O_ACCMODE) == O_RDONLY && (fcntl(ends[1], F_GETFL) & O_ACCMODE) == O_WRONLY);
    VALUE(read(ends[0], text, 1));
    VALUE(fcntl(ends[0], F_GETPIPE_SZ));
    long total = 0, got;
    while ((got = write(ends[1], block, 4096)) > 0)
        total += got;
    say("filled with %ld, then %s", total, error_name(errno));
    VALUE(write(ends[1], block, 1));
    VALUE(read(ends[0], block, 4095));
    VALUE(write(ends[1], block, 4096));
    VALUE(read(ends[0], block, 1));
    VALUE(write(ends[1], block, 4096));
    VALUE(write(ends[1], block, 70000));
    VALUE(fcntl(ends[0], F_SETPIPE_SZ, 4096));
    while ((got = read(ends[0], block, sizeof block)) > 0)
        ;
    VALUE(fcntl(ends[0], F_SETPIPE_SZ, 5000));
    VALUE(fcntl(ends[1], F_GETPIPE_SZ));
    total = 0;
    while ((got = write(ends[1], block, 1000)) > 0)
        total += got;
    IS(total > 4096 && total <= 8192);
    close(ends[1]);
    close(ends[0]);
    OK(pipe2(ends, O_APPEND));
    OK(pipe2(ends, 0x40000000));

    pipe2(ends, O_NONBLOCK);
    VALUE(write(ends[1], block, 70000));
    VALUE(read(ends[0], block, 70000));
    /* Writes of up to 4096 bytes are all or nothing. */
    while (write(ends[1], block, 4096) == 4096)
        ;
    read(ends[0], block, 100);
    VALUE(write(ends[1], block, 4096));
    return 0;
}
