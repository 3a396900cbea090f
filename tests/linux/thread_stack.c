/* Thread stacks: sizes, guard pages, and a fault in one thread that ends the whole process. */
#include "check.h"
#include <pthread.h>

static void *uses(void *argument)
{
    volatile char block[200000];
    for (unsigned i = 0; i < sizeof block; i += 1000)
        block[i] = 1;
    return (void *)(uintptr_t)(block[1000] == 1 && argument == 0);
}

static int depth(int left)
{
    volatile char block[4096];
    block[0] = (char)left;
    return left <= 0 ? block[0] : depth(left - 1) + block[0];
}

static void *overflows(void *argument)
{
    (void)argument;
    return (void *)(uintptr_t)depth(1 << 20);
}

static void *null_write(void *argument)
{
    *(volatile int *)argument = 1;
    return 0;
}

static int with_thread(void *(*body)(void *), size_t size)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, size);
    NEED(pthread_create(&thread, &attributes, body, 0) == 0);
    void *result = 0;
    pthread_join(thread, &result);
    return (int)(uintptr_t)result;
}

static int overflow_thread(void)
{
    return with_thread(overflows, 256 * 1024);
}

static int null_thread(void)
{
    return with_thread(null_write, 256 * 1024);
}

static void *measure(void *argument)
{
    (void)argument;
    pthread_attr_t attributes;
    void *stack;
    size_t size, guard;
    int here;
    NEED(pthread_getattr_np(pthread_self(), &attributes) == 0);
    pthread_attr_getstack(&attributes, &stack, &size);
    pthread_attr_getguardsize(&attributes, &guard);
    IS((char *)&here > (char *)stack && (char *)&here < (char *)stack + size);
    say("stack %zu KiB, guard %zu", size / 1024, guard);
    return 0;
}

int main(void)
{
    IS(with_thread(uses, 1 << 20) == 1);
    with_thread(measure, 512 * 1024);
    in_child("stack overflow in a thread", overflow_thread);
    in_child("null write in a thread", null_thread);
    return 0;
}
