/* alarm and interval timers: expiry, repetition, remaining time, the CPU-time ones. */
#include "check.h"

static volatile int alarms, virtual, profile;

static void handler(int number)
{
    if (number == SIGALRM)
        alarms++;
    else if (number == SIGVTALRM)
        virtual++;
    else
        profile++;
}

static long processor_ms(void)
{
    struct timespec time;
    NEED(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void spin_until(volatile int *value, int wanted)
{
    long end = now_ms() + 20000;
    while (*value < wanted && now_ms() < end)
        ;
}

int main(void)
{
    struct itimerval timer, old;
    signal(SIGALRM, handler);
    signal(SIGVTALRM, handler);
    signal(SIGPROF, handler);

    IS(alarm(100) == 0);
    IS(alarm(50) == 100);
    unsigned left = alarm(0);
    IS(left == 50 || left == 49);
    IS(alarm(0) == 0);
    alarm(1);
    long begin = now_ms();
    pause();
    IS(alarms == 1 && now_ms() - begin >= 999);

    timer = (struct itimerval){{0, 10000}, {0, 10000}};
    IS(setitimer(ITIMER_REAL, &timer, &old) == 0);
    IS(old.it_value.tv_sec == 0 && old.it_value.tv_usec == 0);
    while (alarms < 5)
        pause();
    IS(getitimer(ITIMER_REAL, &old) == 0);
    IS(old.it_interval.tv_usec == 10000 && old.it_value.tv_usec <= 10000);
    memset(&timer, 0, sizeof timer);
    IS(setitimer(ITIMER_REAL, &timer, &old) == 0 && old.it_interval.tv_usec == 10000);
    int before = alarms;
    sleep_ms(40);
    IS(alarms == before);

    timer.it_value.tv_usec = 5000;
    timer.it_interval.tv_usec = 5000;
    IS(setitimer(ITIMER_VIRTUAL, &timer, 0) == 0);
    spin_until(&virtual, 2);
    IS(virtual >= 2);
    setitimer(ITIMER_VIRTUAL, &(struct itimerval){0}, 0);
    IS(setitimer(ITIMER_PROF, &timer, 0) == 0);
    spin_until(&profile, 2);
    IS(profile >= 2);
    setitimer(ITIMER_PROF, &(struct itimerval){0}, 0);

    /* CPU-time timers stand still while the process sleeps. */
    virtual = 0;
    timer = (struct itimerval){{0, 0}, {0, 60000}};
    long used = processor_ms();
    setitimer(ITIMER_VIRTUAL, &timer, 0);
    sleep_ms(120);
    /* On a machine that is itself held up, the few instructions here may take long. */
    IS(virtual == 0 || processor_ms() - used >= 60);
    setitimer(ITIMER_VIRTUAL, &(struct itimerval){0}, 0);

    timer = (struct itimerval){{0, 0}, {0, 1000000}};
    IS(setitimer(ITIMER_REAL, &timer, 0) == -1 && errno == EINVAL);
    timer = (struct itimerval){{0, 0}, {-1, 0}};
    IS(setitimer(ITIMER_REAL, &timer, 0) == -1 && errno == EINVAL);
    IS(setitimer(3, &(struct itimerval){0}, 0) == -1 && errno == EINVAL);
    IS(getitimer(-1, &old) == -1 && errno == EINVAL);

    /* Not inherited by a child. */
    alarm(30);
    pid_t child = fork();
    if (child == 0)
        _exit(alarm(0));
    reap("child's alarm", child);
    left = alarm(0);
    IS(left == 30 || left == 29);
    return 0;
}
