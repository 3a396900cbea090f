/* membarrier: who must register, what a fork and an exec do to that, and a store that the other thread must see. */
#include "check.h"
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>

static int barrier(int command, unsigned flags)
{
    return syscall(SYS_membarrier, command, flags, 0);
}

/* Dekker's game: of two threads that each write their own word and read the other's, one must see a write. One side
 * pays with a compiler barrier only, the other with the system call. */
static volatile int mine, theirs, round_number, seen_mine, seen_theirs, stop;

static void *fast(void *unused)
{
    int done = 0;
    (void)unused;
    while (!stop) {
        int now = round_number;
        if (now == done) {
            sched_yield();
            continue;
        }
        theirs = now;
        __asm__ volatile("" ::: "memory");
        seen_mine = mine == now;
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        done = now;
        __atomic_store_n(&seen_theirs, now, __ATOMIC_RELEASE);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        IS(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == -1 && errno == EPERM);
        return 0;
    }
    int known = barrier(MEMBARRIER_CMD_QUERY, 0);
    IS((known & MEMBARRIER_CMD_GLOBAL) && (known & MEMBARRIER_CMD_PRIVATE_EXPEDITED));
    IS(barrier(MEMBARRIER_CMD_QUERY, 7) == -1 && errno == EINVAL);
    IS(barrier(1 << 30, 0) == -1 && errno == EINVAL);
    IS(barrier(3, 0) == -1 && errno == EINVAL);
    IS(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == -1 && errno == EPERM);
    IS(barrier(MEMBARRIER_CMD_GLOBAL, 0) == 0);
    IS(barrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0) == 0);
    IS(barrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0) == 0);
    IS(barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0) == 0);
    IS(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == 0);
    pid_t child = fork();
    if (child == 0) {
        IS(barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) == 0);
        execl("/proc/self/exe", argv[0], "child", (char *)0);
        _exit(9);
    }
    int status;
    IS(waitpid(child, &status, 0) == child && status == 0);

    pthread_t thread;
    IS(pthread_create(&thread, 0, fast, 0) == 0);
    int missed = 0;
    for (int round = 1; round <= 300; round++) {
        round_number = round;
        mine = round;
        barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
        int saw = theirs == round;
        while (__atomic_load_n(&seen_theirs, __ATOMIC_ACQUIRE) != round)
            sched_yield();
        missed += !saw && !seen_mine;
    }
    stop = 1;
    pthread_join(thread, 0);
    IS(missed == 0);
    return 0;
}
