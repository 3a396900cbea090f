/* Robust mutexes: the next owner learns that the last one died, in threads and between processes. */
#include "check.h"
#include <pthread.h>

struct shared {
    pthread_mutex_t mutex, second;
};

static void *dies_with_lock(void *argument)
{
    pthread_mutex_lock(argument);
    return 0;
}

static void init(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    NEED(pthread_mutex_init(mutex, &attributes) == 0);
}

int main(void)
{
    struct shared *shared = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    NEED(shared != MAP_FAILED);
    init(&shared->mutex);
    init(&shared->second);

    pthread_t thread;
    pthread_create(&thread, 0, dies_with_lock, &shared->mutex);
    pthread_join(thread, 0);
    IS(pthread_mutex_lock(&shared->mutex) == EOWNERDEAD);
    IS(pthread_mutex_consistent(&shared->mutex) == 0);
    IS(pthread_mutex_unlock(&shared->mutex) == 0);
    IS(pthread_mutex_lock(&shared->mutex) == 0 && pthread_mutex_unlock(&shared->mutex) == 0);

    /* A process that holds two and is killed while the parent waits for one of them. */
    int ready[2], seen[2];
    char byte;
    NEED(pipe(ready) == 0 && pipe(seen) == 0);
    pid_t child = fork();
    if (child == 0) {
        pthread_mutex_lock(&shared->mutex);
        pthread_mutex_lock(&shared->second);
        write(ready[1], "x", 1);
        read(seen[0], &byte, 1);
        sleep_ms(40);
        raise(SIGKILL);
    }
    IS(read(ready[0], &byte, 1) == 1);
    IS(pthread_mutex_trylock(&shared->mutex) == EBUSY);
    IS(write(seen[1], "x", 1) == 1);
    IS(pthread_mutex_lock(&shared->mutex) == EOWNERDEAD);
    IS(pthread_mutex_lock(&shared->second) == EOWNERDEAD);
    reap("owner", child);
    IS(pthread_mutex_consistent(&shared->mutex) == 0);
    IS(pthread_mutex_unlock(&shared->mutex) == 0);

    /* Not made consistent: nobody can have it any more. */
    IS(pthread_mutex_unlock(&shared->second) == 0);
    IS(pthread_mutex_lock(&shared->second) == ENOTRECOVERABLE);

    void *head = 0;
    size_t length = 0;
    IS(syscall(SYS_get_robust_list, 0, &head, &length) == 0 && head && length == 24);
    IS(syscall(SYS_set_robust_list, head, 23) == -1 && errno == EINVAL);
    IS(syscall(SYS_get_robust_list, 1 << 22, &head, &length) == -1 && errno == ESRCH);
    return 0;
}
