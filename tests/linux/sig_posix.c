/* POSIX timers: expiry, values, overruns, threads, clocks, errors. */
#include "check.h"
#include <pthread.h>
#include <sys/syscall.h>

static volatile int fired, last_value, last_code, last_overrun, last_tid;
static timer_t made;

static void handler(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    last_value = info->si_value.sival_int;
    last_code = info->si_code;
    last_overrun = info->si_overrun;
    last_tid = (int)syscall(SYS_gettid);
    fired++;
}

static void until(int wanted)
{
    for (int i = 0; i < 4000 && fired < wanted; i++)
        sleep_ms(1);
}

static void set(timer_t timer, long first, long interval, int flags)
{
    struct itimerspec spec = {{interval / 1000000000, interval % 1000000000}, {first / 1000000000, first % 1000000000}};
    NEED(timer_settime(timer, flags, &spec, 0) == 0);
}

static long processor_time(void)
{
    struct timespec time;
    NEED(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static void *thread(void *started)
{
    __atomic_store_n((int *)started, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    for (;;)
        sleep_ms(1000);
    return 0;
}

int main(void)
{
    struct itimerspec left;
    on_signal(SIGRTMIN, handler, 0);
    on_signal(SIGUSR1, handler, 0);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 99};
    NEED(timer_create(CLOCK_MONOTONIC, &event, &made) == 0);
    IS(timer_gettime(made, &left) == 0 && left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0);

    set(made, 20000000000, 0, 0);
    IS(timer_gettime(made, &left) == 0 && left.it_value.tv_sec >= 10 && left.it_value.tv_sec <= 20);
    set(made, 20000000, 0, 0);
    until(1);
    sleep_ms(30);
    say("once: fired %d, value %d, code %d, overrun %d", fired, last_value, last_code, last_overrun);

    /* A time in the past, on the clock. */
    fired = 0;
    set(made, 1, 0, TIMER_ABSTIME);
    until(1);
    say("in the past: fired %d", fired);

    /* While the signal is blocked it waits once, and counts what it missed. */
    fired = 0;
    sigset_t block, old;
    sigemptyset(&block);
    sigaddset(&block, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &block, &old);
    set(made, 1000000, 1000000, 0);
    sleep_ms(50);
    set(made, 0, 0, 0);
    /* Whether a signal that waits outlives its timer's setting depends on the version of Linux. */
    while (sigtimedwait(&block, 0, &(struct timespec){0, 0}) > 0)
        ;
    set(made, 1000000, 1000000, 0);
    sleep_ms(50);
    siginfo_t info;
    int got = sigtimedwait(&block, &info, &(struct timespec){1, 0});
    IS(got == SIGRTMIN && info.si_overrun >= 10 && timer_getoverrun(made) == info.si_overrun);
    set(made, 0, 0, 0);
    while (sigtimedwait(&block, 0, &(struct timespec){0, 0}) > 0)
        ;
    sigprocmask(SIG_SETMASK, &old, 0);
    IS(timer_delete(made) == 0);
    errno = 0;
    IS(syscall(SYS_timer_delete, 1234) == -1 && errno == EINVAL);

    /* To one thread. */
    pthread_t other;
    int tid = 0;
    pthread_create(&other, 0, thread, &tid);
    while (__atomic_load_n(&tid, __ATOMIC_SEQ_CST) == 0)
        sleep_ms(1);
    fired = 0;
    struct sigevent to_thread = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 5};
    to_thread._sigev_un._tid = tid;
    NEED(timer_create(CLOCK_REALTIME, &to_thread, &made) == 0);
    set(made, 5000000, 5000000, 0);
    until(3);
    set(made, 0, 0, 0);
    IS(fired >= 3);
    say("in the thread: %s, value %d", last_tid == tid ? "yes" : "NO", last_value);
    IS(timer_delete(made) == 0);

    /* On processor time, which passes only while the process runs. */
    fired = 0;
    event.sigev_value.sival_int = 7;
    NEED(timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &made) == 0);
    long before = processor_time();
    set(made, 20000000, 0, 0);
    sleep_ms(60);
    /* On a machine that is itself held up, the few instructions here may take long. */
    IS(fired == 0 || processor_time() - before >= 20000000);
    for (long end = now_ms() + 20000; fired == 0 && now_ms() < end;)
        ;
    say("busy: fired %d, value %d", fired, last_value);
    IS(timer_delete(made) == 0);

    /* Errors; nothing happens at expiry; nothing is inherited. */
    errno = 0;
    event.sigev_signo = 65;
    IS(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &made) == -1 && errno == EINVAL);
    event.sigev_signo = SIGRTMIN;
    IS(syscall(SYS_timer_create, 77, &event, &made) == -1 && errno == EINVAL);
    IS(syscall(SYS_timer_create, CLOCK_MONOTONIC, (void *)8, &made) == -1 && errno == EFAULT);
    IS(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, (void *)8) == -1 && errno == EFAULT);
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    int id = -1;
    NEED(syscall(SYS_timer_create, CLOCK_MONOTONIC, &none, &id) == 0);
    struct itimerspec bad = {{0, 0}, {0, 1000000000}}, good = {{0, 0}, {0, 1000000}};
    IS(syscall(SYS_timer_settime, id, 0, &bad, 0) == -1 && errno == EINVAL);
    IS(syscall(SYS_timer_settime, id, 0, 0, 0) == -1 && errno == EINVAL);
    IS(syscall(SYS_timer_settime, id, 0, &good, 0) == 0);
    sleep_ms(20);
    IS(syscall(SYS_timer_gettime, id, &left) == 0 && left.it_value.tv_nsec == 0);
    pid_t child = fork();
    if (child == 0)
        _exit(syscall(SYS_timer_gettime, id, &left) == -1 && errno == EINVAL ? 3 : 4);
    reap("the child's timers", child);
    return 0;
}
