/*
 * fuzz CALLS FIRST COUNT [trace] [alone|process|thread]
 *
 * Makes CALLS random system calls with random arguments for each of the seeds FIRST, FIRST + 1, ... The kernel must survive,
 * every call must end, who is killed must go, and the memory must come back. Call number i of a seed depends on the seed
 * and i alone, so a seed that brings a kernel down does so again. With `trace` every call is printed before it is made.
 *
 * The calls are made in a child, in a session of its own. Before each it tells its parent through a pipe which comes: the
 * parent shares no memory with it that a call could overwrite. When the child dies of its calls, stops, or loses its way,
 * another goes on after that call. A clock interrupts calls that wait. One that goes on all the same is a failure: `stuck`,
 * with the call.
 *
 * With `process` or `thread` a partner makes calls of its own beside the child, as a process with the same memory, files and
 * directory, or as a thread. What the two do to each other depends on who runs when.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "calls.h"

/* Descriptors of the child that calls seldom hit: what it reports through, and the console when tracing. */
#define REPORTS 127
#define CONSOLE 126
/* How a child ends that could not set itself up. */
#define UNREADY 99
/* Milliseconds after which a call that has not ended is stuck, and a killed process that has not gone stays. */
#define PATIENCE 20000
/* KiB that may be kept for good by what all seeds after the first do: a page of a heap, a longer table. */
#define KEPT 256

/* The index of a report that says who the partner is. */
#define PARTNER (-1)

static struct {
    int64_t calls;
    int tracing;
    enum { NONE, PROCESS, THREAD } partner;
} options;

/* ---- the child ---- */

/* A call in registers only: the stack may be anywhere, and so may what `errno` stands in. A new process or thread ends at
 * once. */
static long call(uint64_t number, const uint64_t *a, int forks)
{
    long result;
    register uint64_t r10 __asm__("r10") = a[3];
    register uint64_t r8 __asm__("r8") = a[4];
    register uint64_t r9 __asm__("r9") = a[5];
    __asm__ volatile("syscall; test %%ebx, %%ebx; jz 1f; test %%rax, %%rax; jnz 1f; xor %%edi, %%edi; mov $60, %%eax; syscall; 1:"
                     : "=a"(result)
                     : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9), "b"(forks)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

static long plain(uint64_t number, uint64_t first, const void *second, void *third, uint64_t fourth)
{
    uint64_t a[6] = {first, (uint64_t)(uintptr_t)second, (uint64_t)(uintptr_t)third, fourth};
    return call(number, a, 0);
}

/* What rt_sigaction takes. */
struct action {
    void (*handler)(int);
    uint64_t flags;
    void (*restorer)(void);
    uint64_t mask;
};

static struct action clock_action;

static void tick(int number)
{
    (void)number;
}

/* Sets what is to interrupt a call that waits; every time, because the calls before may have undone it. */
static void wind_clock(void)
{
    uint64_t set = 1ul << (SIGALRM - 1);
    struct itimerval every = {{0, 4000}, {0, 4000}};
    plain(SYS_rt_sigprocmask, SIG_UNBLOCK, &set, 0, 8);
    plain(SYS_rt_sigaction, SIGALRM, &clock_action, 0, 8);
    plain(SYS_setitimer, ITIMER_REAL, &every, 0, 0);
}

/* Tells the parent which call comes, or that all are made (`index` is their number). */
static void report(const struct call *next)
{
    long wrote;
    while ((wrote = plain(SYS_write, REPORTS, next, (void *)sizeof *next, 0)) == -EINTR || wrote == -EAGAIN)
        if (wrote == -EAGAIN)
            plain(SYS_sched_yield, 0, 0, 0, 0);
    if (wrote != sizeof *next) /* a call has closed it */
        plain(SYS_exit_group, 1, 0, 0, 0);
}

static void make(const struct call *next)
{
    uint32_t number = (uint32_t)next->number;
    call(next->number, next->a, number == SYS_fork || number == SYS_vfork || number == SYS_clone || number == SYS_clone3);
    /* A handler for faults might return to the fault, for ever. */
    uint64_t faults = 1ul << SIGSEGV | 1ul << SIGBUS | 1ul << SIGILL | 1ul << SIGFPE | 1ul << SIGTRAP | 1ul << SIGSYS;
    uint32_t handled = (uint32_t)next->a[0];
    struct action none = {0};
    if (number == SYS_rt_sigaction && handled < 64 && faults >> handled & 1)
        plain(SYS_rt_sigaction, handled, &none, 0, 8);
}

/* Files of every kind, and descriptors of them. */
static int make_places(void)
{
    int ends[2], fd = open("file", O_RDWR | O_CREAT, 0755);
    int bad = write(fd, "#!./file\n0123456789", 19) != 19;
    bad |= close(open("script", O_RDWR | O_CREAT, 0755));
    bad |= mkdir("directory", 0755);
    bad |= symlink("file", "link");
    bad |= symlink("loop", "loop");
    bad |= mkfifo("fifo", 0644);
    bad |= open("directory", O_RDONLY);
    bad |= pipe(ends);
    bad |= pipe2(ends, O_NONBLOCK);
    bad |= open("/dev/zero", O_RDWR);
    bad |= eventfd(1, EFD_NONBLOCK);
    bad |= open("/proc/self/status", O_RDONLY);
    bad |= open("fifo", O_RDWR | O_NONBLOCK);
    return bad < 0 ? -1 : 0;
}

static int limit(int resource, rlim_t value)
{
    return setrlimit(resource, &(struct rlimit){value, value});
}

static int prepare(const char *work, int reports)
{
    self = partner = getpid();
    int bad = setsid() < 0 || chdir(work) < 0;
    bad |= dup2(reports, REPORTS) < 0 || fcntl(REPORTS, F_SETFD, FD_CLOEXEC) < 0;
    bad |= options.tracing && (dup2(1, CONSOLE) < 0 || fcntl(CONSOLE, F_SETFD, FD_CLOEXEC) < 0);
    for (int fd = 0; fd < (options.tracing ? CONSOLE : REPORTS); fd++)
        close(fd);
    for (int fd = 0; fd < 3; fd++)
        bad |= open("/dev/null", O_RDWR) != fd;
    bad |= make_places();
    signal(SIGALRM, tick);
    bad |= (int)syscall(SYS_rt_sigaction, SIGALRM, 0, &clock_action, 8);
    clock_action.flags &= ~(uint64_t)SA_RESTART;
    bad |= limit(RLIMIT_AS, 96 << 20) | limit(RLIMIT_FSIZE, 1 << 20) | limit(RLIMIT_NOFILE, 128) | limit(RLIMIT_CORE, 0);
    int shared = options.partner == PROCESS ? MAP_SHARED : MAP_PRIVATE;
    void *arena = mmap(ARENA, ARENA_SIZE, PROT_READ | PROT_WRITE, shared | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return bad || arena != ARENA ? -1 : 0;
}

/* Makes the calls from number `first` on. */
static void make_all(uint64_t seed, int64_t first, int reporting)
{
    struct call next;
    for (int64_t index = first; index < options.calls; index++) {
        if (!draw(seed, index, &next))
            continue;
        if (reporting)
            report(&next);
        if (reporting && options.tracing)
            dprintf(CONSOLE, "%ld: %lu(%lx, %lx, %lx, %lx, %lx, %lx)\n", (long)index, next.number, next.a[0], next.a[1], next.a[2],
                    next.a[3], next.a[4], next.a[5]);
        wind_clock();
        make(&next);
    }
}

/* What the partner does: the calls of another seed, told to nobody. */
static int accompany(void *start)
{
    struct call *from = start;
    if (options.partner == PROCESS) {
        partner = self;
        self = (pid_t)plain(SYS_getpid, 0, 0, 0, 0);
    }
    make_all(from->number ^ 1ul << 32, from->index, 0);
    plain(options.partner == PROCESS ? SYS_exit_group : SYS_exit, 0, 0, 0, 0);
    return 0;
}

static void start_partner(uint64_t seed, int64_t first)
{
    static char stack[1 << 16] __attribute__((aligned(16)));
    static struct call start;
    int shared = CLONE_FILES | CLONE_FS;
    start = (struct call){.index = first, .number = seed};
    if (options.partner == PROCESS)
        shared |= CLONE_PARENT | SIGCHLD;
    else
        shared |= CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    pid_t pid = clone(accompany, stack + sizeof stack, shared, &start);
    if (pid < 0)
        _exit(UNREADY);
    if (options.partner == PROCESS) {
        partner = pid;
        report(&(struct call){.index = PARTNER, .number = (uint64_t)pid});
    }
}

static void child(const char *work, int reports, uint64_t seed, int64_t first)
{
    if (prepare(work, reports) < 0)
        _exit(UNREADY);
    state = seed;
    for (unsigned long at = 0; at < ARENA_SIZE; at += 8)
        *(uint64_t *)(ARENA + at) = below(2) ? below(256) : any();
    if (options.partner != NONE)
        start_partner(seed, first);
    make_all(seed, first, 1);
    report(&(struct call){.index = options.calls});
    plain(SYS_exit_group, 0, 0, 0, 0);
}

/* ---- the parent ---- */

static long milliseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* How a child came to its end. */
enum end { DONE, DIED, UNREADY_CHILD, STOPPED, ASTRAY, STUCK, STAYS };

/* Kills the child's whole session group and waits for it; STAYS when it does not go, else what it was killed for. */
static enum end put_down(pid_t pid, enum end why)
{
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
    for (long since = milliseconds(); milliseconds() - since < PATIENCE;) {
        if (waitpid(pid, 0, WNOHANG) == pid)
            return why;
        nanosleep(&(struct timespec){0, 1000000}, 0);
    }
    return STAYS;
}

/* Takes the reports that have come: the last call, and the partner's number. Returns whether they make sense. */
static int listen(int reports, struct call *last, pid_t *with)
{
    struct call got;
    long length;
    while ((length = read(reports, &got, sizeof got)) > 0) {
        if (length == sizeof got && got.index == PARTNER && *with == 0 && got.number > 1 && got.number < NOBODY) {
            *with = (pid_t)got.number;
            continue;
        }
        if (length != sizeof got || got.index <= last->index || got.index > options.calls)
            return 0;
        *last = got;
    }
    return 1;
}

/* Follows a child to its end. */
static enum end watch(pid_t pid, int reports, struct call *last, pid_t *with)
{
    struct pollfd ready = {reports, POLLIN, 0};
    int64_t none = last->index;
    for (long since = milliseconds();;) {
        int64_t before = last->index;
        int status, gone = waitpid(pid, &status, WNOHANG | WUNTRACED) == pid;
        int sense = listen(reports, last, with);
        if (gone && !WIFSTOPPED(status)) {
            if (last->index == options.calls)
                return DONE;
            return WIFEXITED(status) && WEXITSTATUS(status) == UNREADY && last->index == none ? UNREADY_CHILD : DIED;
        }
        if (gone)
            return put_down(pid, STOPPED);
        if (!sense)
            return put_down(pid, ASTRAY);
        if (last->index != before)
            since = milliseconds();
        else if (milliseconds() - since > PATIENCE)
            return put_down(pid, STUCK);
        /* An end that some other process holds open does not wake us: look now and then. */
        if (poll(&ready, 1, 20) == 1 && ready.revents & POLLHUP && !(ready.revents & POLLIN))
            nanosleep(&(struct timespec){0, 1000000}, 0);
    }
}

/* Removes a file or tree; at most a few levels deep, because nothing deeper can be made. */
static void remove_tree(int place, const char *name)
{
    if (unlinkat(place, name, 0) == 0 || errno == ENOENT)
        return;
    int fd = openat(place, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? 0 : fdopendir(fd);
    struct dirent *entry;
    while (directory && (entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            remove_tree(fd, entry->d_name);
    if (directory)
        closedir(directory);
    unlinkat(place, name, AT_REMOVEDIR);
}

/* Removes what a child left in its directory, and in those that it can change to. */
static void tidy(const char *work)
{
    static const char *const names[] = {"file", "other", "directory", "link", "loop", "fifo", "missing", "script"};
    static const char *const places[] = {"/", "/tmp", "/tmp/fuzz"};
    remove_tree(AT_FDCWD, work);
    for (size_t place = 0; place < sizeof places / sizeof *places; place++) {
        int fd = open(places[place], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t name = 0; name < sizeof names / sizeof *names; name++)
            remove_tree(fd, names[name]);
        close(fd);
    }
}

/* Takes the ends of all processes that the child left; returns whether some do not end. */
static int reap(void)
{
    for (long since = milliseconds(); milliseconds() - since < PATIENCE;) {
        pid_t pid = waitpid(-1, 0, WNOHANG | __WALL);
        if (pid < 0)
            return 0;
        if (pid == 0)
            nanosleep(&(struct timespec){0, 1000000}, 0);
    }
    return 1;
}

static int fail(uint64_t seed, const struct call *last, const char *what)
{
    printf("FAILED seed %lu: %s; the last call was %ld: %lu(%lx, %lx, %lx, %lx, %lx, %lx)\n", seed, what, (long)last->index, last->number,
           last->a[0], last->a[1], last->a[2], last->a[3], last->a[4], last->a[5]);
    return 1;
}

/* Makes the calls of one seed. Returns the number of failures; those after which nothing can go on end the program. */
static int run(uint64_t seed)
{
    int ends[STAYS + 1] = {0}, failures = 0;
    for (int64_t first = 0; first < options.calls;) {
        struct call last = {.index = first - 1};
        char work[64];
        int reports[2];
        snprintf(work, sizeof work, "%lu-%ld", seed, (long)first);
        if (mkdir(work, 0755) < 0 || pipe2(reports, O_CLOEXEC) < 0 || fcntl(reports[0], F_SETFL, O_NONBLOCK) < 0)
            exit(fail(seed, &last, strerror(errno)));
        pid_t pid = fork();
        if (pid < 0)
            exit(fail(seed, &last, strerror(errno)));
        if (pid == 0)
            child(work, reports[1], seed, first);
        close(reports[1]);
        pid_t with = 0;
        enum end end = watch(pid, reports[0], &last, &with);
        if (with > 0)
            kill(with, SIGKILL);
        close(reports[0]);
        ends[end]++;
        if (end == STAYS)
            exit(fail(seed, &last, "a killed process does not go"));
        if (end == UNREADY_CHILD)
            exit(fail(seed, &last, "the next process could not be prepared"));
        if (end == STUCK)
            failures += fail(seed, &last, "stuck");
        if (reap())
            exit(fail(seed, &last, "a process that was left does not end"));
        tidy(work);
        /* One that did not come to its first call must not be the start of an endless row. */
        first = last.index < first ? first + 1 : last.index + 1;
    }
    printf("seed %lu: %d ended, %d died, %d stopped, %d astray, %d stuck\n", seed, ends[DONE], ends[DIED], ends[STOPPED], ends[ASTRAY],
           ends[STUCK]);
    return failures;
}

/* Memory that is free, in KiB. In AIOS: what the agent has left. */
static long free_memory(void)
{
    struct sysinfo info;
    return sysinfo(&info) < 0 ? -1 : (long)(info.freeram * info.mem_unit / 1024);
}

int main(int count, char **arguments)
{
    if (count < 4) {
        fprintf(stderr, "usage: fuzz CALLS FIRST COUNT [trace] [alone|process|thread]\n");
        return 2;
    }
    setvbuf(stdout, 0, _IOLBF, 0);
    options.calls = atol(arguments[1]);
    for (int i = 4; i < count; i++) {
        options.tracing |= !strcmp(arguments[i], "trace");
        if (!strcmp(arguments[i], "process"))
            options.partner = PROCESS;
        if (!strcmp(arguments[i], "thread"))
            options.partner = THREAD;
    }
    long first = atol(arguments[2]), seeds = atol(arguments[3]);
    long before = 0;
    int failures = 0;
    /* What children leave comes to us also where we are not the first process. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    mkdir("/tmp/fuzz", 0755);
    if (chdir("/tmp/fuzz") < 0) {
        perror("/tmp/fuzz");
        return 2;
    }
    for (long seed = first; seed < first + seeds; seed++) {
        failures += run((uint64_t)seed);
        if (seed == first)
            before = free_memory();
    }
    long lost = before - free_memory();
    if (lost > KEPT) {
        printf("FAILED %ld KiB of memory did not come back\n", lost);
        failures++;
    }
    printf("fuzz: %ld seeds, %d failures\n", seeds, failures);
    return failures != 0;
}
