/* Mutex kinds, condition variables with time-outs, read-write locks, barriers, cancellation. */
#include "check.h"
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ready = PTHREAD_COND_INITIALIZER, space = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static int queue[4], queued, taken_sum, cleaned;

static void *producer(void *argument)
{
    for (int i = 0; i < 100; i++) {
        pthread_mutex_lock(&lock);
        while (queued == 4)
            pthread_cond_wait(&space, &lock);
        queue[queued++] = (int)(uintptr_t)argument + i;
        pthread_cond_signal(&ready);
        pthread_mutex_unlock(&lock);
    }
    return 0;
}

static void *consumer(void *argument)
{
    (void)argument;
    for (int i = 0; i < 150; i++) {
        pthread_mutex_lock(&lock);
        while (!queued)
            pthread_cond_wait(&ready, &lock);
        taken_sum += queue[--queued];
        pthread_cond_signal(&space);
        pthread_mutex_unlock(&lock);
    }
    return 0;
}

static void *meets(void *argument)
{
    int serial = 0;
    for (int i = 0; i < 20; i++)
        serial += pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD;
    __atomic_fetch_add((int *)argument, serial, __ATOMIC_SEQ_CST);
    return 0;
}

static void *tries_write(void *argument)
{
    *(int *)argument = pthread_rwlock_trywrlock(&rwlock);
    return 0;
}

static void clean(void *argument)
{
    cleaned += *(int *)argument;
}

static void *cancelled(void *argument)
{
    pthread_cleanup_push(clean, argument);
    for (;;)
        pause();
    pthread_cleanup_pop(0);
    return 0;
}

int main(void)
{
    pthread_t threads[8];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], 0, producer, (void *)(uintptr_t)(i * 1000));
    for (int i = 3; i < 5; i++)
        pthread_create(&threads[i], 0, consumer, 0);
    for (int i = 0; i < 5; i++)
        pthread_join(threads[i], 0);
    say("consumed %d", taken_sum);

    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 20000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&lock);
    IS(pthread_cond_timedwait(&ready, &lock, &until) == ETIMEDOUT);
    IS(pthread_mutex_trylock(&lock) == EBUSY);
    IS(pthread_mutex_timedlock(&lock, &until) == ETIMEDOUT);
    pthread_mutex_unlock(&lock);

    pthread_mutexattr_t attributes;
    pthread_mutex_t checked, recursive;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&checked, &attributes);
    IS(pthread_mutex_unlock(&checked) == EPERM);
    IS(pthread_mutex_lock(&checked) == 0 && pthread_mutex_lock(&checked) == EDEADLK);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&recursive, &attributes);
    IS(pthread_mutex_lock(&recursive) == 0 && pthread_mutex_lock(&recursive) == 0);
    IS(pthread_mutex_unlock(&recursive) == 0 && pthread_mutex_unlock(&recursive) == 0);
    IS(pthread_mutex_unlock(&recursive) == EPERM);

    int serial = 0;
    pthread_barrier_init(&barrier, 0, 8);
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], 0, meets, &serial);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], 0);
    say("barrier rounds %d", serial);

    int result = -1;
    pthread_rwlock_rdlock(&rwlock);
    IS(pthread_rwlock_tryrdlock(&rwlock) == 0);
    pthread_create(&threads[0], 0, tries_write, &result);
    pthread_join(threads[0], 0);
    IS(result == EBUSY);
    pthread_rwlock_unlock(&rwlock);
    pthread_rwlock_unlock(&rwlock);
    pthread_create(&threads[0], 0, tries_write, &result);
    pthread_join(threads[0], 0);
    IS(result == 0);

    int amount = 3;
    void *left;
    pthread_create(&threads[0], 0, cancelled, &amount);
    sleep_ms(10);
    IS(pthread_cancel(threads[0]) == 0);
    IS(pthread_join(threads[0], &left) == 0 && left == PTHREAD_CANCELED);
    say("cleaned up %d", cleaned);
    return 0;
}
