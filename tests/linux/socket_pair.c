/* socketpair: two-way bytes, datagrams with edges, shutdown, end of file. */
#include "check.h"
#include <poll.h>
#include <sys/socket.h>

int main(void)
{
    char text[64];
    int ends[2];
    signal(SIGPIPE, SIG_IGN);
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    VALUE(write(ends[0], "ping", 4));
    VALUE(write(ends[0], "!", 1));
    VALUE(read(ends[1], text, sizeof text));
    VALUE(send(ends[1], "pong", 4, 0));
    VALUE(recv(ends[0], text, 2, MSG_PEEK));
    VALUE(recv(ends[0], text, sizeof text, 0));
    VALUE(recv(ends[0], text, sizeof text, MSG_DONTWAIT));
    OK(shutdown(ends[0], SHUT_WR));
    VALUE(read(ends[1], text, sizeof text));
    VALUE(write(ends[0], "x", 1));
    VALUE(write(ends[1], "back", 4));
    VALUE(read(ends[0], text, sizeof text));
    close(ends[1]);
    VALUE(read(ends[0], text, sizeof text));
    close(ends[0]);

    OK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends));
    VALUE(send(ends[0], "one", 3, 0));
    VALUE(send(ends[0], "three", 5, 0));
    VALUE(recv(ends[1], text, 2, 0));
    VALUE(recv(ends[1], text, sizeof text, 0));
    VALUE(recv(ends[1], text, sizeof text, 0));
    OK(socketpair(AF_UNIX, 99, 0, ends));
    OK(socketpair(AF_UNIX, SOCK_STREAM, 0, (int *)1));

    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(ends[0]);
        while (read(ends[1], &byte, 1) == 1) {
            byte++;
            write(ends[1], &byte, 1);
        }
        _exit(byte);
    }
    close(ends[1]);
    char byte = 0;
    for (int i = 0; i < 100; i++) {
        write(ends[0], &byte, 1);
        read(ends[0], &byte, 1);
    }
    say("round trips %d", byte);
    struct pollfd entry = {ends[0], POLLIN | POLLOUT, 0};
    VALUE(poll(&entry, 1, 0));
    IS(entry.revents == POLLOUT);
    close(ends[0]);
    reap("echo", child);
    return 0;
}
