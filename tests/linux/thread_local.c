/* Thread-local storage: __thread variables, keys with destructors, one-time initialisation, fork. */
#include "check.h"
#include <pthread.h>

static __thread int zeroed;
static __thread int preset = 5;
static __thread char block[10000];
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int destroyed, initialised;

static void destructor(void *value)
{
    __atomic_fetch_add(&destroyed, (int)(uintptr_t)value, __ATOMIC_SEQ_CST);
}

static void initialise(void)
{
    initialised++;
}

static void *thread_main(void *argument)
{
    int number = (int)(uintptr_t)argument;
    pthread_once(&once, initialise);
    int fresh = zeroed == 0 && preset == 5 && block[9999] == 0 && errno == 0 && pthread_getspecific(key) == 0;
    zeroed = preset = number;
    errno = number;
    memset(block, number, sizeof block);
    pthread_setspecific(key, argument);
    sleep_ms(5);
    int kept = zeroed == number && preset == number && errno == number && block[5000] == number;
    return (void *)(uintptr_t)(fresh && kept);
}

int main(void)
{
    pthread_t threads[10];
    IS(pthread_key_create(&key, destructor) == 0);
    int good = 0;
    for (int i = 0; i < 10; i++)
        NEED(pthread_create(&threads[i], 0, thread_main, (void *)(uintptr_t)(i + 1)) == 0);
    for (int i = 0; i < 10; i++) {
        void *result;
        pthread_join(threads[i], &result);
        good += (uintptr_t)result;
    }
    say("threads with storage of their own: %d", good);
    say("sum seen by destructors: %d", destroyed);
    say("initialised %d time", initialised);
    IS(zeroed == 0 && preset == 5);
    zeroed = 9;
    pid_t child = fork();
    if (child == 0)
        _exit(zeroed + preset);
    reap("child keeps thread-local values", child);
    return 0;
}
