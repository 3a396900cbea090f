/* Futexes between processes, absolute time-outs on both clocks, and interruption by signals. */
#include "check.h"
#include <linux/futex.h>

static long futex(uint32_t *address, int operation, uint32_t value, const struct timespec *timeout, uint32_t bits)
{
    return syscall(SYS_futex, address, operation, value, timeout, 0, bits);
}

static void handler(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
}

static struct timespec after_ms(clockid_t clock, long milliseconds)
{
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += milliseconds * 1000000;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

int main(void)
{
    uint32_t *shared = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint32_t *private = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    put("file", "0000");
    int fd = open("file", O_RDWR);
    ftruncate(fd, PAGE);
    uint32_t *mapped = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    uint32_t *again = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(shared != MAP_FAILED && private != MAP_FAILED && mapped != MAP_FAILED && again != MAP_FAILED);
    mapped[0] = 0;

    pid_t child = fork();
    if (child == 0)
        _exit(futex(shared, FUTEX_WAIT, 0, 0, 0) == 0 ? 1 : 2);
    while (futex(shared, FUTEX_WAKE, 1, 0, 0) != 1)
        sleep_ms(2);
    reap("shared anonymous memory", child);

    /* The same file page under two addresses is one futex. */
    child = fork();
    if (child == 0)
        _exit(futex(again, FUTEX_WAIT, 0, 0, 0) == 0 ? 1 : 2);
    while (futex(mapped, FUTEX_WAKE, 1, 0, 0) != 1)
        sleep_ms(2);
    reap("shared file", child);

    /* Private memory is not the same futex in a child, even at the same address. */
    struct timespec brief = {0, 80000000};
    child = fork();
    if (child == 0)
        _exit(futex(private, FUTEX_WAIT, 0, &brief, 0) == -1 && errno == ETIMEDOUT ? 3 : 4);
    int woken = 0;
    for (int i = 0; i < 20; i++, sleep_ms(2))
        woken += futex(private, FUTEX_WAKE, 1, 0, 0) == 1;
    say("woken through private memory: %d", woken);
    reap("private memory", child);

    struct timespec time = after_ms(CLOCK_MONOTONIC, 15), past = {1, 0};
    IS(futex(shared, FUTEX_WAIT_BITSET, 0, &time, FUTEX_BITSET_MATCH_ANY) == -1 && errno == ETIMEDOUT);
    time = after_ms(CLOCK_REALTIME, 15);
    IS(futex(shared, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &time, 1) == -1 && errno == ETIMEDOUT);
    IS(futex(shared, FUTEX_WAIT_BITSET, 0, &past, 1) == -1 && errno == ETIMEDOUT);
    IS(futex(shared, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 1, 0, 0) == -1 && errno == ENOSYS);

    on_signal(SIGALRM, handler, 0);
    struct itimerval ticks = {{0, 20000}, {0, 20000}}, off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &ticks, 0);
    IS(futex(shared, FUTEX_WAIT, 0, 0, 0) == -1 && errno == EINTR);
    setitimer(ITIMER_REAL, &off, 0);
    return 0;
}
