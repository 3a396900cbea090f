/* Threads: create, join, detach, identity, shared memory and descriptors, many at once. */
#include "check.h"
#include <pthread.h>
#include <semaphore.h>

enum { THREADS = 48, ROUNDS = 500 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long under_lock, atomic;
static int descriptor;
static sem_t done;

static void *returns(void *argument)
{
    return (void *)((uintptr_t)argument * 2);
}

static void *exits(void *argument)
{
    pthread_exit(argument);
    return 0;
}

static void *identity(void *argument)
{
    pid_t *ids = argument;
    ids[0] = getpid();
    ids[1] = gettid();
    ids[2] = getppid();
    return 0;
}

static void *opens(void *argument)
{
    (void)argument;
    descriptor = open("/dev/null", O_RDWR);
    return 0;
}

static void *counts(void *argument)
{
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        __atomic_fetch_add(&atomic, 1, __ATOMIC_SEQ_CST);
        pthread_mutex_lock(&lock);
        under_lock++;
        pthread_mutex_unlock(&lock);
    }
    return 0;
}

static void *posts(void *argument)
{
    (void)argument;
    sem_post(&done);
    return 0;
}

int main(void)
{
    pthread_t thread, threads[THREADS];
    void *result;
    NEED(pthread_create(&thread, 0, returns, (void *)21) == 0);
    IS(pthread_join(thread, &result) == 0 && (uintptr_t)result == 42);
    NEED(pthread_create(&thread, 0, exits, (void *)7) == 0);
    IS(pthread_join(thread, &result) == 0 && (uintptr_t)result == 7);

    pid_t ids[3];
    NEED(pthread_create(&thread, 0, identity, ids) == 0);
    pthread_join(thread, 0);
    IS(ids[0] == getpid() && ids[2] == getppid());
    IS(ids[1] != gettid() && ids[1] > 0);
    IS(gettid() == getpid());

    NEED(pthread_create(&thread, 0, opens, 0) == 0);
    pthread_join(thread, 0);
    IS(descriptor > 2 && fcntl(descriptor, F_GETFD) == 0);

    for (int i = 0; i < THREADS; i++)
        NEED(pthread_create(&threads[i], 0, counts, 0) == 0);
    for (int i = 0; i < THREADS; i++)
        IS(pthread_join(threads[i], 0) == 0);
    say("counted %ld and %ld", atomic, under_lock);

    sem_init(&done, 0, 0);
    for (int i = 0; i < THREADS; i++) {
        NEED(pthread_create(&thread, 0, posts, 0) == 0);
        NEED(pthread_detach(thread) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        sem_wait(&done);
    int left = -1;
    sem_getvalue(&done, &left);
    say("semaphore ends at %d", left);

    /* Stacks and thread ids come back: far more threads in all than could live at once. */
    for (int i = 0; i < 500; i++) {
        NEED(pthread_create(&thread, 0, returns, 0) == 0);
        NEED(pthread_join(thread, 0) == 0);
    }
    say("500 more, one after the other");
    return 0;
}
