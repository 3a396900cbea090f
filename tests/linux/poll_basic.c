/* poll and ppoll: what each kind of descriptor reports, time-outs, signals. */
#include "check.h"
#include <poll.h>
#include <sys/eventfd.h>

static void show(const char *what, int fd, short events)
{
    struct pollfd entry = {fd, events, 0x7fff};
    int result = poll(&entry, 1, 0);
    char text[64] = "";
    static const struct {
        short bit;
        const char *name;
    } bits[] = {{POLLIN, " IN"}, {POLLOUT, " OUT"}, {POLLPRI, " PRI"}, {POLLERR, " ERR"}, {POLLHUP, " HUP"}, {POLLNVAL, " NVAL"}, {POLLRDNORM, " RDNORM"}, {POLLWRNORM, " WRNORM"}};
    for (unsigned i = 0; i < sizeof bits / sizeof *bits; i++)
        if (entry.revents & bits[i].bit)
            strcat(text, bits[i].name);
    say("%s: %d%s", what, result, text);
}

static void handler(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
}

int main(void)
{
    short all = POLLIN | POLLOUT | POLLPRI;
    int ends[2];
    static char block[65536];
    NEED(pipe(ends) == 0);
    show("empty pipe, reader", ends[0], all);
    show("empty pipe, writer", ends[1], all);
    write(ends[1], "x", 1);
    show("pipe with data, reader", ends[0], all);
    show("pipe with data, asked for OUT only", ends[0], POLLOUT);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (write(ends[1], block, 4096) > 0)
        ;
    show("full pipe, writer", ends[1], all);
    close(ends[1]);
    show("writer closed, data left", ends[0], all);
    while (read(ends[0], block, sizeof block) > 0)
        ;
    show("writer closed, empty", ends[0], all);
    show("writer closed, asked for nothing", ends[0], 0);
    close(ends[0]);
    NEED(pipe(ends) == 0);
    close(ends[0]);
    show("reader closed, writer", ends[1], all);
    show("closed descriptor", ends[0], all);
    show("descriptor 99", 99, POLLIN);
    show("negative descriptor", -7, all);
    int file = open("file", O_RDWR | O_CREAT, 0600), null = open("/dev/null", O_RDWR);
    show("file", file, all);
    show("/dev/null", null, all);
    show("directory", open(".", O_RDONLY), all);
    show("normal bits", file, POLLRDNORM | POLLWRNORM);
    int event = eventfd(0, 0);
    show("eventfd 0", event, all);
    eventfd_write(event, 1);
    show("eventfd 1", event, all);

    NEED(pipe(ends) == 0);
    struct pollfd entries[3] = {{ends[0], POLLIN, 0}, {-1, POLLIN, 7}, {99, POLLIN, 0}};
    VALUE(poll(entries, 3, 1000));
    say("revents %d %d %d", entries[0].revents, entries[1].revents, entries[2].revents);
    long begin = now_ms();
    VALUE(poll(entries, 1, 30));
    IS(now_ms() - begin >= 29);
    begin = now_ms();
    VALUE(poll(0, 0, 20));
    IS(now_ms() - begin >= 19);
    IS(poll((struct pollfd *)1, 1, 0) == -1 && errno == EFAULT);
    IS(poll(entries, 1u << 31, 0) == -1 && errno == EINVAL);

    /* Woken by another process: by data, then by its end. */
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        sleep_ms(20);
        write(ends[1], "d", 1);
        sleep_ms(20);
        _exit(0);
    }
    close(ends[1]);
    VALUE(poll(entries, 1, -1));
    say("revents %d", entries[0].revents);
    read(ends[0], block, 1);
    VALUE(poll(entries, 1, -1));
    say("revents %d", entries[0].revents);
    reap("child", child);

    /* ppoll: the mask holds only while it waits. */
    sigset_t usr1, none, now;
    sigemptyset(&usr1), sigemptyset(&none);
    sigaddset(&usr1, SIGUSR1);
    on_signal(SIGUSR1, handler, SA_RESTART);
    sigprocmask(SIG_BLOCK, &usr1, 0);
    raise(SIGUSR1);
    NEED(pipe(ends) == 0);
    entries[0].fd = ends[0];
    struct timespec brief = {0, 10000000}, bad = {0, -1};
    VALUE(ppoll(entries, 1, &brief, &usr1));
    VALUE(ppoll(entries, 1, 0, &none));
    sigprocmask(SIG_BLOCK, 0, &now);
    IS(sigismember(&now, SIGUSR1));
    VALUE(ppoll(entries, 1, &brief, &none));
    VALUE(ppoll(entries, 1, &bad, 0));
    IS(syscall(SYS_ppoll, entries, 1, &brief, &none, 4) == -1 && errno == EINVAL);
    return 0;
}
