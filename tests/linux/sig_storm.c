/* Many signals at once, from all sides: none is lost, none comes twice, and calls go on. */
#include "check.h"
#include <pthread.h>

enum { THREADS = 4, ROUNDS = 400 };

static volatile int queued_seen, sum_seen;
static volatile int own[THREADS];
static __thread int me;
static pthread_t threads[THREADS];
static pthread_barrier_t all;
static volatile int broken;
static int ends[2];

static void queued(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    __atomic_add_fetch(&queued_seen, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&sum_seen, info->si_value.sival_int, __ATOMIC_SEQ_CST);
}

static void poked(int number)
{
    (void)number;
    own[me]++;
}

static void ticked(int number)
{
    (void)number;
}

/* Pokes the next thread and waits to be poked, again and again, with bytes through a pipe in between. */
static void *ring(void *number)
{
    sigset_t none;
    me = (int)(long)number;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, 0);
    /* All exist before the first pokes another, and stay until the last did. */
    pthread_barrier_wait(&all);
    for (int i = 0; i < ROUNDS; i++) {
        char byte = 1;
        pthread_kill(threads[(me + 1) % THREADS], SIGUSR1);
        if (write(ends[1], &byte, 1) != 1 || read(ends[0], &byte, 1) != 1)
            broken = 1;
    }
    pthread_barrier_wait(&all);
    for (int i = 0; i < 4000 && own[me] == 0; i++)
        sleep_ms(1);
    return 0;
}

static int stopped_child(void)
{
    for (;;)
        pause();
    return 0;
}

int main(void)
{
    sigset_t ring_only;
    NEED(pipe(ends) == 0);
    on_signal(SIGRTMIN, queued, SA_RESTART);
    signal(SIGUSR1, poked);
    signal(SIGALRM, ticked);
    sigemptyset(&ring_only);
    sigaddset(&ring_only, SIGUSR1);
    sigprocmask(SIG_BLOCK, &ring_only, 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 1000}, {0, 1000}}, 0);

    /* Children send values to a process with several threads; every value arrives once. */
    pid_t children[3];
    for (int c = 0; c < 3; c++) {
        children[c] = fork();
        if (children[c] == 0) {
            for (int i = 1; i <= 500; i++)
                while (sigqueue(getppid(), SIGRTMIN, (union sigval){.sival_int = i}) == -1)
                    sleep_ms(1);
            _exit(0);
        }
    }
    pthread_barrier_init(&all, 0, THREADS);
    for (long i = 0; i < THREADS; i++)
        pthread_create(&threads[i], 0, ring, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], 0);
    for (int c = 0; c < 3; c++)
        while (waitpid(children[c], 0, 0) == -1 && errno == EINTR)
            ;
    for (int i = 0; i < 4000 && queued_seen < 1500; i++)
        sleep_ms(1);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, 0);
    int poked_all = !broken;
    for (int i = 0; i < THREADS; i++)
        poked_all &= own[i] > 0;
    IS(poked_all);
    say("values: %d, sum %d", queued_seen, sum_seen);

    /* Stop and continue, over and over: each is seen. */
    pid_t child = fork();
    if (child == 0)
        _exit(stopped_child());
    int stops = 0, continues = 0;
    for (int i = 0; i < 200; i++) {
        int status;
        kill(child, SIGSTOP);
        if (waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP)
            stops++;
        kill(child, SIGCONT);
        if (waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status))
            continues++;
    }
    say("stops %d, continues %d", stops, continues);
    kill(child, SIGSTOP);
    waitpid(child, 0, WUNTRACED);
    kill(child, SIGTERM);
    sleep_ms(20);
    say("a stopped process keeps what ends it: %d", waitpid(child, 0, WNOHANG));
    kill(child, SIGCONT);
    reap("then", child);

    /* Killed while stopped. */
    child = fork();
    if (child == 0)
        _exit(stopped_child());
    kill(child, SIGSTOP);
    waitpid(child, 0, WUNTRACED);
    kill(child, SIGKILL);
    reap("killed while stopped", child);
    return 0;
}
