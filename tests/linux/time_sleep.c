/* nanosleep and clock_nanosleep: lengths, absolute times, interruption and what is left. */
#include "check.h"

static volatile int handled;

static void handler(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    handled++;
}

int main(void)
{
    struct timespec short_time = {0, 15000000}, zero = {0, 0}, left = {99, 99};
    long begin = now_ms();
    IS(nanosleep(&short_time, &left) == 0);
    IS(now_ms() - begin >= 15 && left.tv_sec == 99);
    IS(nanosleep(&zero, 0) == 0);
    IS(nanosleep(&(struct timespec){0, 1000000000}, 0) == -1 && errno == EINVAL);
    IS(nanosleep(&(struct timespec){0, -1}, 0) == -1 && errno == EINVAL);
    IS(nanosleep(&(struct timespec){-1, 0}, 0) == -1 && errno == EINVAL);
    IS(usleep(1000) == 0);

    on_signal(SIGALRM, handler, SA_RESTART);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 30000}}, 0);
    struct timespec long_time = {100, 0};
    IS(nanosleep(&long_time, &left) == -1 && errno == EINTR && handled == 1);
    IS(left.tv_sec == 99 && left.tv_nsec < 1000000000 && left.tv_nsec >= 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 30000}}, 0);
    IS(sleep(50) >= 49);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 30000}}, 0);
    IS(clock_nanosleep(CLOCK_MONOTONIC, 0, &long_time, &left) == EINTR && left.tv_sec == 99);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 100;
    left.tv_sec = 77;
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 30000}}, 0);
    IS(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, &left) == EINTR && left.tv_sec == 77);

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 20000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    IS(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0) == 0);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    IS(now.tv_sec > until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec));
    IS(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &(struct timespec){1, 0}, 0) == 0);
    IS(clock_nanosleep(CLOCK_REALTIME, 0, &short_time, 0) == 0);
    IS(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &short_time, 0) == EINVAL);
    IS(clock_nanosleep(99, 0, &short_time, 0) == EINVAL);
    IS(clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){0, -5}, 0) == EINVAL);

    /* A stop and a continue do not end a sleep; it goes on with what is left. */
    pid_t child = fork();
    if (child == 0) {
        long start = now_ms();
        int result = nanosleep(&(struct timespec){0, 200000000}, 0);
        _exit(result == 0 && now_ms() - start >= 200 ? 1 : 2);
    }
    sleep_ms(30);
    kill(child, SIGSTOP);
    waitpid(child, 0, WUNTRACED);
    kill(child, SIGCONT);
    reap("stopped sleeper", child);
    return 0;
}
