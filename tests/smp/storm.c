/*
 * Storms that only several processors can go wrong in: processes, threads, futexes, signals, pipes and mappings that come,
 * meet and go at the same time, with every result checked. Also what must hold between processors: no processor uses a
 * translation that was taken away, and no clock runs backwards from one to the next.
 *
 *   storm SECONDS [NAME ...]    each storm for so long; a line "NAME: N rounds" for each, and exit status 0 when all held
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define WORKERS 6

static double end_time;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static int more(void)
{
    return now() < end_time;
}

static void __attribute__((noreturn, format(printf, 1, 2))) broken(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    _exit(1);
}

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            broken("%s:%d: %s (errno %d)", __FILE__, __LINE__, #condition, errno);                                     \
    } while (0)

static uint32_t random_from(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Runs `count` threads of `work`, which gets its number, and adds up what they return. */
static long threads(int count, void *(*work)(void *))
{
    pthread_t thread[64];
    long sum = 0;
    for (intptr_t number = 0; number < count; number++)
        MUST(pthread_create(&thread[number], 0, work, (void *)number) == 0);
    for (int number = 0; number < count; number++) {
        void *result;
        MUST(pthread_join(thread[number], &result) == 0);
        sum += (long)result;
    }
    return sum;
}

/* Processes that fork, exec nothing, write to memory they share copy-on-write, and are waited for. */
static void *forker(void *argument)
{
    uint32_t seed = (uintptr_t)argument + 1;
    long rounds = 0;
    volatile uint32_t *block = mmap(0, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(block != MAP_FAILED);
    while (more()) {
        uint32_t mark = random_from(&seed);
        for (unsigned page = 0; page < 16; page++)
            block[page * PAGE / 4] = mark + page;
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) {
            for (unsigned page = 0; page < 16; page++) {
                if (block[page * PAGE / 4] != mark + page)
                    _exit(2);
                block[page * PAGE / 4] = 0;
            }
            _exit(mark % 5 == 0 ? 0 : 1);
        }
        /* The parent writes while the child does. */
        for (unsigned page = 0; page < 16; page++)
            block[page * PAGE / 4]++;
        int status;
        MUST(waitpid(child, &status, 0) == child);
        MUST(WIFEXITED(status) && WEXITSTATUS(status) == (mark % 5 != 0));
        for (unsigned page = 0; page < 16; page++)
            MUST(block[page * PAGE / 4] == mark + page + 1);
        rounds++;
    }
    munmap((void *)block, 16 * PAGE);
    return (void *)rounds;
}

static long storm_fork(void)
{
    return threads(WORKERS, forker);
}

/* Threads that come and go. */
static atomic_long born;

static void *mayfly(void *argument)
{
    atomic_fetch_add(&born, 1);
    return argument;
}

static void *breeder(void *argument)
{
    long rounds = 0;
    (void)argument;
    while (more()) {
        pthread_t thread[8];
        for (intptr_t number = 0; number < 8; number++)
            MUST(pthread_create(&thread[number], 0, mayfly, (void *)number) == 0);
        for (intptr_t number = 0; number < 8; number++) {
            void *result;
            MUST(pthread_join(thread[number], &result) == 0 && (intptr_t)result == number);
        }
        rounds += 8;
    }
    return (void *)rounds;
}

static long storm_thread(void)
{
    born = 0;
    long rounds = threads(4, breeder);
    MUST(born == rounds);
    return rounds;
}

/* A mutex made of one futex, a counter under it that is not atomic, and condition variables. */
static atomic_int word;
static long counter;

static void futex_lock(void)
{
    int free = 0;
    if (atomic_compare_exchange_strong(&word, &free, 1))
        return;
    while (atomic_exchange(&word, 2) != 0)
        syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 2, 0, 0, 0);
}

static void futex_unlock(void)
{
    if (atomic_exchange(&word, 0) == 2)
        syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

static void *locker(void *argument)
{
    long rounds = 0;
    (void)argument;
    while (rounds % 64 || more()) {
        futex_lock();
        long before = counter;
        if (rounds % 16 == 0)
            sched_yield();
        counter = before + 1;
        futex_unlock();
        rounds++;
    }
    return (void *)rounds;
}

static long storm_futex(void)
{
    counter = 0;
    long rounds = threads(WORKERS, locker);
    MUST(counter == rounds);
    return rounds;
}

/* A ring of threads that hand a token on through condition variables. */
static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ring_turn[WORKERS];
static int turn, ring_over;

static void *runner(void *argument)
{
    int me = (intptr_t)argument;
    long rounds = 0;
    pthread_mutex_lock(&ring_lock);
    for (;;) {
        while (turn != me && !ring_over)
            pthread_cond_wait(&ring_turn[me], &ring_lock);
        if (ring_over)
            break;
        rounds++;
        turn = (me + 1) % WORKERS;
        if (me == 0 && !more())
            ring_over = 1;
        for (int other = 0; other < WORKERS; other++)
            if (ring_over || other == turn)
                pthread_cond_signal(&ring_turn[other]);
    }
    pthread_mutex_unlock(&ring_lock);
    return (void *)rounds;
}

static long storm_ring(void)
{
    turn = ring_over = 0;
    for (int number = 0; number < WORKERS; number++)
        pthread_cond_init(&ring_turn[number], 0);
    return threads(WORKERS, runner);
}

/* Signals to threads that compute and to threads that sleep: each is taken exactly once. */
static atomic_long taken;
static pthread_t target[4];
static atomic_int ready, signal_over;

static void take(int number)
{
    (void)number;
    atomic_fetch_add(&taken, 1);
}

static void *receiver(void *argument)
{
    int me = (intptr_t)argument;
    target[me] = pthread_self();
    atomic_fetch_add(&ready, 1);
    while (!signal_over) {
        if (me % 2)
            usleep(300);
        else
            for (volatile int spin = 0; spin < 2000; spin++)
                ;
    }
    return 0;
}

static long storm_signal(void)
{
    struct sigaction action = {.sa_handler = take};
    pthread_t thread[4];
    long sent = 0;
    sigaction(SIGUSR1, &action, 0);
    taken = ready = signal_over = 0;
    for (intptr_t number = 0; number < 4; number++)
        MUST(pthread_create(&thread[number], 0, receiver, (void *)number) == 0);
    while (ready != 4)
        sched_yield();
    while (more()) {
        MUST(pthread_kill(target[sent % 4], SIGUSR1) == 0);
        sent++;
        double limit = now() + 20;
        /* A thread that computes makes no call: the signal must reach it by an interrupt. */
        while (taken != sent)
            if (now() > limit)
                broken("signal %ld was not taken", sent);
    }
    signal_over = 1;
    for (int number = 0; number < 4; number++)
        pthread_join(thread[number], 0);
    return sent;
}

/* Pipes between processes: every byte arrives once and in order. */
static void *piper(void *argument)
{
    uint32_t seed = (uintptr_t)argument + 77;
    long rounds = 0;
    while (more()) {
        int ends[2];
        MUST(pipe(ends) == 0);
        uint32_t total = 1 + random_from(&seed) % 200000, begin = seed;
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) {
            unsigned char buffer[8192];
            uint32_t left = total, value = begin;
            close(ends[0]);
            while (left) {
                uint32_t count = 1 + random_from(&value) % sizeof buffer;
                if (count > left)
                    count = left;
                for (uint32_t at = 0; at < count; at++)
                    buffer[at] = (total - left + at) * 31;
                ssize_t done = write(ends[1], buffer, count);
                if (done <= 0)
                    _exit(3);
                left -= done;
            }
            _exit(0);
        }
        close(ends[1]);
        unsigned char buffer[5000];
        uint32_t got = 0;
        ssize_t count;
        while ((count = read(ends[0], buffer, 1 + random_from(&seed) % sizeof buffer)) > 0) {
            for (ssize_t at = 0; at < count; at++)
                MUST(buffer[at] == (unsigned char)((got + at) * 31));
            got += count;
        }
        MUST(count == 0 && got == total);
        close(ends[0]);
        int status;
        MUST(waitpid(child, &status, 0) == child && status == 0);
        rounds++;
    }
    return (void *)rounds;
}

static long storm_pipe(void)
{
    return threads(4, piper);
}

/* Mappings of one address space that threads make, fill, change and remove side by side. */
static void *mapper(void *argument)
{
    uint32_t seed = (uintptr_t)argument + 5;
    long rounds = 0;
    while (more()) {
        size_t pages = 1 + random_from(&seed) % 40;
        uint32_t *block = mmap(0, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        MUST(block != MAP_FAILED);
        uint32_t mark = random_from(&seed);
        for (size_t page = 0; page < pages; page++)
            block[page * PAGE / 4] = mark + page;
        MUST(mprotect(block, pages * PAGE, PROT_READ) == 0);
        for (size_t page = 0; page < pages; page++)
            MUST(block[page * PAGE / 4] == mark + page);
        size_t cut = random_from(&seed) % pages;
        MUST(mprotect(block, pages * PAGE, PROT_READ | PROT_WRITE) == 0);
        MUST(madvise((char *)block + cut * PAGE, PAGE, MADV_DONTNEED) == 0);
        MUST(block[cut * PAGE / 4] == 0);
        char *moved = mremap(block, pages * PAGE, (pages + 3) * PAGE, MREMAP_MAYMOVE);
        MUST(moved != MAP_FAILED);
        for (size_t page = 0; page < pages; page++)
            MUST(((uint32_t *)moved)[page * PAGE / 4] == (page == cut ? 0 : mark + page));
        MUST(munmap(moved, (pages + 3) * PAGE) == 0);
        rounds++;
    }
    return (void *)rounds;
}

static long storm_mmap(void)
{
    return threads(WORKERS, mapper);
}

/*
 * Translations. Writers write to a page again and again; its right to write is taken away. Whoever still writes after
 * that call has returned uses a stale translation: the value must not change any more. Then the page is replaced by
 * another, and readers must never see the old one again.
 */
static volatile uint64_t *_Atomic page_of_writers;
static atomic_int writers_over;
static __thread sigjmp_buf out;

static void escape(int number)
{
    (void)number;
    siglongjmp(out, 1);
}

static void *writer(void *argument)
{
    long faults = 0;
    int slot = (intptr_t)argument;
    if (sigsetjmp(out, 1))
        faults++;
    while (!writers_over) {
        volatile uint64_t *page = page_of_writers;
        for (int times = 0; times < 50; times++)
            page[slot]++;
    }
    return (void *)faults;
}

static long storm_tlb(void)
{
    struct sigaction action = {.sa_handler = escape};
    sigaction(SIGSEGV, &action, 0);
    volatile uint64_t *page = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(page != MAP_FAILED);
    page_of_writers = page;
    writers_over = 0;
    pthread_t thread[3];
    for (intptr_t number = 0; number < 3; number++)
        MUST(pthread_create(&thread[number], 0, writer, (void *)number) == 0);
    long rounds = 0;
    while (more()) {
        usleep(50);
        uint64_t copy[3], again[3];
        MUST(mprotect((void *)page, PAGE, PROT_READ) == 0);
        for (int slot = 0; slot < 3; slot++)
            copy[slot] = page[slot];
        for (volatile int spin = 0; spin < 3000; spin++)
            ;
        for (int slot = 0; slot < 3; slot++)
            again[slot] = page[slot];
        if (memcmp(copy, again, sizeof copy))
            broken("round %ld: a page changed after the right to write was taken away", rounds);
        /* A new page in its place: all zeros, and what is written to the old one must not show up. */
        MUST(mmap((void *)page, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == (void *)page);
        for (int times = 0; times < 100; times++)
            for (int slot = 0; slot < 3; slot++)
                if (page[slot] != 0)
                    broken("round %ld: an unmapped page is still seen", rounds);
        MUST(mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE) == 0);
        rounds++;
    }
    writers_over = 1;
    for (int number = 0; number < 3; number++)
        pthread_join(thread[number], 0);
    signal(SIGSEGV, SIG_DFL);
    munmap((void *)page, PAGE);
    return rounds;
}

/* The clock as threads on all processors see it: a time that one has read is not later than what another reads next. */
static _Atomic uint64_t latest;

static void *watcher(void *argument)
{
    long rounds = 0;
    (void)argument;
    while (rounds % 256 || more()) {
        uint64_t before = atomic_load(&latest);
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        uint64_t mine = time.tv_sec * 1000000000ull + time.tv_nsec;
        if (mine < before)
            broken("the clock went back by %lu ns between processors", (unsigned long)(before - mine));
        while (before < mine && !atomic_compare_exchange_weak(&latest, &before, mine))
            ;
        rounds++;
    }
    return (void *)rounds;
}

static long storm_clock(void)
{
    latest = 0;
    return threads(WORKERS, watcher);
}

/* Processes that are killed at any point of what they do, with their threads. */
static void *killer(void *argument)
{
    uint32_t seed = (uintptr_t)argument + 9;
    long rounds = 0;
    while (more()) {
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0) {
            end_time = now() + 60;
            pthread_t thread[3];
            pthread_create(&thread[0], 0, mapper, (void *)1);
            pthread_create(&thread[1], 0, locker, (void *)2);
            pthread_create(&thread[2], 0, forker, (void *)3);
            locker((void *)4);
            _exit(0);
        }
        usleep(random_from(&seed) % 4000);
        MUST(kill(child, SIGKILL) == 0);
        int status;
        MUST(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        rounds++;
    }
    return (void *)rounds;
}

static long storm_kill(void)
{
    return threads(3, killer);
}

/*
 * What threads are scheduled by, changed at any point of what they do: where they may run, class and weight, while
 * others interrupt all processors for barriers and for translations, and look at what processor time was used.
 */
struct scheduled {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static void *bound(void *argument)
{
    uint32_t seed = (uintptr_t)argument + 1;
    long rounds = 0;
    while (more()) {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        for (int cpu = 0; cpu < 8; cpu++)
            if (random_from(&seed) & 1)
                CPU_SET(cpu, &cpus);
        int done = sched_setaffinity(random_from(&seed) & 1 ? 0 : getpid(), sizeof cpus, &cpus);
        MUST(done == 0 || errno == EINVAL || errno == EBUSY);
        rounds++;
    }
    return (void *)rounds;
}

static void *classed(void *argument)
{
    uint32_t seed = (uintptr_t)argument + 7;
    long rounds = 0;
    while (more()) {
        struct scheduled wanted = {.size = sizeof wanted};
        wanted.policy = random_from(&seed) % 8;
        wanted.flags = random_from(&seed) & 7;
        wanted.nice = (int)(random_from(&seed) % 60) - 30;
        wanted.priority = random_from(&seed) % 120;
        wanted.runtime = (uint64_t)random_from(&seed) << (random_from(&seed) & 31);
        wanted.deadline = (uint64_t)random_from(&seed) << (random_from(&seed) & 31);
        wanted.period = random_from(&seed) & 1 ? 0 : ~0ull >> (random_from(&seed) & 31);
        syscall(SYS_sched_setattr, 0, &wanted, 0);
        syscall(SYS_setpriority, random_from(&seed) % 3, 0, (int)(random_from(&seed) % 50) - 25);
        sched_yield();
        rounds++;
    }
    return (void *)rounds;
}

static void *barring(void *argument)
{
    long rounds = 0;
    (void)argument;
    MUST(syscall(SYS_membarrier, 16, 0, 0) == 0);
    while (more()) {
        MUST(syscall(SYS_membarrier, 8, 0, 0) == 0);
        if (rounds % 16 == 0)
            MUST(syscall(SYS_membarrier, 1, 0, 0) == 0);
        rounds++;
    }
    return (void *)rounds;
}

static void *clocked(void *argument)
{
    uint64_t last[2] = {0, 0};
    long rounds = 0;
    (void)argument;
    while (more()) {
        for (int which = 0; which < 2; which++) {
            struct timespec time;
            MUST(clock_gettime(which ? CLOCK_THREAD_CPUTIME_ID : CLOCK_PROCESS_CPUTIME_ID, &time) == 0);
            uint64_t used = time.tv_sec * 1000000000ull + time.tv_nsec;
            if (used < last[which])
                broken("processor time went back by %lu ns", (unsigned long)(last[which] - used));
            last[which] = used;
        }
        rounds++;
    }
    return (void *)rounds;
}

static void *any_of_sched(void *argument)
{
    static void *(*const work[])(void *) = {bound, classed, barring, mapper, clocked};
    intptr_t number = (intptr_t)argument;
    return work[number % 5](argument);
}

/* Apart, so that nothing of this is inherited by the next storm. */
static long storm_sched(void)
{
    int ends[2];
    long rounds = 0;
    MUST(pipe(ends) == 0);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        rounds = threads(10, any_of_sched);
        fflush(stdout);
        _exit(write(ends[1], &rounds, sizeof rounds) != sizeof rounds);
    }
    int status;
    MUST(waitpid(child, &status, 0) == child && status == 0);
    MUST(read(ends[0], &rounds, sizeof rounds) == sizeof rounds);
    close(ends[0]);
    close(ends[1]);
    return rounds;
}

static const struct {
    const char *name;
    long (*run)(void);
} storms[] = {
    {"fork", storm_fork},     {"thread", storm_thread}, {"futex", storm_futex}, {"ring", storm_ring},
    {"signal", storm_signal}, {"pipe", storm_pipe},     {"mmap", storm_mmap},   {"tlb", storm_tlb},
    {"clock", storm_clock},   {"kill", storm_kill},     {"sched", storm_sched},
};

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    setvbuf(stdout, 0, _IOLBF, 0);
    printf("%ld processors\n", sysconf(_SC_NPROCESSORS_ONLN));
    for (size_t index = 0; index < sizeof storms / sizeof *storms; index++) {
        int wanted = argc <= 2;
        for (int argument = 2; argument < argc; argument++)
            wanted |= !strcmp(argv[argument], storms[index].name);
        if (!wanted)
            continue;
        end_time = now() + seconds;
        printf("%s: %ld rounds\n", storms[index].name, storms[index].run());
    }
    printf("all storms held\n");
    return 0;
}
