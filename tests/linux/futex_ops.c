/* futex(2): each operation's value, and its errors. */
#include "check.h"
#include <linux/futex.h>
#include <pthread.h>

static uint32_t word, other;

static long futex(uint32_t *address, int operation, uint32_t value, const void *timeout, uint32_t *second, uint32_t third)
{
    return syscall(SYS_futex, address, operation, value, timeout, second, third);
}

static void *waits(void *argument)
{
    return (void *)futex(&word, FUTEX_WAIT_PRIVATE, 0, 0, 0, (uint32_t)(uintptr_t)argument);
}

static void *waits_for_bits(void *argument)
{
    return (void *)futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, 0, 0, (uint32_t)(uintptr_t)argument);
}

static pthread_t threads[8];

static void start(int count, void *(*body)(void *), uintptr_t argument)
{
    static int used;
    if (count < 0) {
        while (used)
            pthread_join(threads[--used], 0);
        return;
    }
    while (count--)
        NEED(pthread_create(&threads[used++], 0, body, (void *)argument) == 0);
    sleep_ms(60);
}

int main(void)
{
    IS(futex(&word, FUTEX_WAIT, 1, 0, 0, 0) == -1 && errno == EAGAIN);
    IS(futex(&word, FUTEX_WAKE, 1, 0, 0, 0) == 0);
    struct timespec brief = {0, 20000000}, negative = {-1, 0}, large = {0, 1000000000};
    long begin = now_ms();
    IS(futex(&word, FUTEX_WAIT, 0, &brief, 0, 0) == -1 && errno == ETIMEDOUT);
    IS(now_ms() - begin >= 19);
    IS(futex(&word, FUTEX_WAIT, 0, &negative, 0, 0) == -1 && errno == EINVAL);
    IS(futex(&word, FUTEX_WAIT, 0, &large, 0, 0) == -1 && errno == EINVAL);
    IS(futex(&word, FUTEX_WAIT, 0, (void *)1, 0, 0) == -1 && errno == EFAULT);
    IS(futex((uint32_t *)((char *)&word + 1), FUTEX_WAIT, 0, 0, 0, 0) == -1 && errno == EINVAL);
    IS(futex((uint32_t *)((char *)&word + 2), FUTEX_WAKE, 0, 0, 0, 0) == -1 && errno == EINVAL);
    IS(futex((uint32_t *)16, FUTEX_WAIT, 0, 0, 0, 0) == -1 && errno == EFAULT);
    IS(futex(0, FUTEX_WAKE, 1, 0, 0, 0) == -1 && errno == EFAULT);
    IS(futex((uint32_t *)16, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0) == 0);
    IS(futex(&word, 99, 0, 0, 0, 0) == -1 && errno == ENOSYS);
    IS(futex(&word, FUTEX_FD, 0, 0, 0, 0) == -1 && errno == ENOSYS);
    IS(futex(&word, FUTEX_WAIT_BITSET, 0, 0, 0, 0) == -1 && errno == EINVAL);
    IS(futex(&word, FUTEX_WAKE_BITSET, 1, 0, 0, 0) == -1 && errno == EINVAL);

    start(3, waits, 0);
    IS(futex(&word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0) == 1);
    IS(futex(&word, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0) == 2);
    IS(futex(&word, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0) == 0);
    start(-1, 0, 0);

    start(2, waits_for_bits, 1);
    start(2, waits_for_bits, 6);
    IS(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, 0, 0, 8) == 0);
    IS(futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 10, 0, 0, 4) == 2);
    IS(futex(&word, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0) == 2);
    start(-1, 0, 0);

    /* Requeue: one woken, the rest moved to the other word. */
    start(4, waits, 0);
    IS(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &other, 5) == -1 && errno == EAGAIN);
    IS(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)2, &other, 0) == 3);
    IS(futex(&word, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0) == 1);
    IS(futex(&other, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0) == 2);
    start(-1, 0, 0);
    start(3, waits, 0);
    IS(futex(&word, FUTEX_REQUEUE_PRIVATE, 1, (void *)10, &other, 0) == 3);
    IS(futex(&other, FUTEX_WAKE_PRIVATE, 10, 0, 0, 0) == 2);
    start(-1, 0, 0);
    IS(futex(&word, FUTEX_CMP_REQUEUE, -1, (void *)1, &other, 0) == -1 && errno == EINVAL);

    /* Wake-op: changes the second word and wakes there too when its old value compares. */
    other = 3;
    start(1, waits, 0);
    IS(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other, FUTEX_OP(FUTEX_OP_ADD, 4, FUTEX_OP_CMP_EQ, 3)) == 1);
    say("second word %u", other);
    start(-1, 0, 0);
    return 0;
}
