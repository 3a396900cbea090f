/*
 * The benchmark program: one static binary that is /init on Linux and on AIOS alike.
 *
 * Under QEMU's instruction counting a nanosecond of guest time is one instruction, so what is printed is the number
 * of instructions an operation takes, kernel and library together; runs are identical to the byte. Each row prints
 * one JSON line {"name", "unit", "value"}; `cargo xtask bench` makes the table of them.
 *
 * To add a row: write a function that does the operation `rounds` times, and a line in `rows`. What has to be made
 * first goes into a set-up function; a row whose set-up fails is left out.
 *
 * Which rows to run is in the file /rows of the initramfs, one name a line; without it all are.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define MIB (1ul << 20)
#define FILE_PATH "/tmp/bench/file"

static void fail(const char *what)
{
    dprintf(1, "bench: %s: %s\n", what, strerror(errno));
    _exit(1);
}

static void check(long result, const char *what)
{
    if (result < 0)
        fail(what);
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* ---- system calls alone ---- */

static int null_fd, file_fd, directory_fd;
static char block[65536];

static void row_getpid(long rounds)
{
    while (rounds--)
        syscall(SYS_getpid);
}

static int open_null(void)
{
    return null_fd = open("/dev/null", O_RDWR);
}

static void row_write_null(long rounds)
{
    while (rounds--)
        write(null_fd, "x", 1);
}

static int make_file(void)
{
    file_fd = open(FILE_PATH, O_RDWR | O_CREAT | O_TRUNC, 0644);
    for (unsigned long at = 0; at < MIB; at += sizeof block)
        check(write(file_fd, block, sizeof block), "write");
    return file_fd;
}

static void row_open_close(long rounds)
{
    while (rounds--)
        close(open(FILE_PATH, O_RDONLY));
}

static void row_stat(long rounds)
{
    struct stat status;
    while (rounds--)
        check(stat(FILE_PATH, &status), "stat");
}

static void row_read_4k(long rounds)
{
    for (; rounds--;)
        check(pread(file_fd, block, 4096, rounds % 256 * 4096), "pread");
}

static void row_read_64k(long rounds)
{
    for (; rounds--;)
        check(pread(file_fd, block, 65536, rounds % 16 * 65536), "pread");
}

static void row_write_4k(long rounds)
{
    for (; rounds--;)
        check(pwrite(file_fd, block, 4096, rounds % 256 * 4096), "pwrite");
}

static int make_directory(void)
{
    char name[64];
    check(mkdir("/tmp/bench/many", 0755), "mkdir");
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "/tmp/bench/many/file-%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0644));
    }
    return directory_fd = open("/tmp/bench/many", O_RDONLY | O_DIRECTORY);
}

/* One hundred names. */
static void row_list_directory(long rounds)
{
    while (rounds--) {
        lseek(directory_fd, 0, SEEK_SET);
        while (syscall(SYS_getdents64, directory_fd, block, sizeof block) > 0)
            ;
    }
}

static void row_create_unlink(long rounds)
{
    while (rounds--) {
        close(open("/tmp/bench/fresh", O_CREAT | O_WRONLY, 0644));
        check(unlink("/tmp/bench/fresh"), "unlink");
    }
}

static volatile long handled;

static void handler(int number)
{
    handled += number;
}

static int install_handler(void)
{
    return signal(SIGUSR1, handler) == SIG_ERR ? -1 : 0;
}

static void row_signal_self(long rounds)
{
    pid_t self = getpid();
    while (rounds--)
        kill(self, SIGUSR1);
}

/* ---- two at a time ---- */

static pid_t partner(void (*body)(long), long rounds)
{
    pid_t child = fork();
    check(child, "fork");
    if (child == 0) {
        body(rounds);
        _exit(0);
    }
    return child;
}

static void yields(long rounds)
{
    while (rounds--)
        sched_yield();
}

/*
 * Two processes that only yield, half of the rounds each. In the real-time class of Linux a yield always switches; in
 * its fair class often nothing happens, which is no switch to measure.
 */
static void row_yield_switch(long rounds)
{
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 1});
    pid_t child = partner(yields, rounds / 2);
    yields(rounds / 2);
    waitpid(child, 0, 0);
    sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){.sched_priority = 0});
}

static int there[2], back[2], pair[2];

static int make_pipes(void)
{
    return pipe(there) < 0 ? -1 : pipe(back);
}

static void pipe_echo(long rounds)
{
    char byte;
    while (rounds--) {
        check(read(there[0], &byte, 1), "read");
        check(write(back[1], &byte, 1), "write");
    }
}

static void row_pipe_round_trip(long rounds)
{
    char byte = 0;
    pid_t child = partner(pipe_echo, rounds);
    while (rounds--) {
        check(write(there[1], &byte, 1), "write");
        check(read(back[0], &byte, 1), "read");
    }
    waitpid(child, 0, 0);
}

static int make_sockets(void)
{
    return socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
}

static void socket_echo(long rounds)
{
    char byte;
    while (rounds--) {
        check(read(pair[1], &byte, 1), "read");
        check(write(pair[1], &byte, 1), "write");
    }
}

static void row_unix_socket_round_trip(long rounds)
{
    char byte = 0;
    pid_t child = partner(socket_echo, rounds);
    while (rounds--) {
        check(write(pair[0], &byte, 1), "write");
        check(read(pair[0], &byte, 1), "read");
    }
    waitpid(child, 0, 0);
}

static uint32_t turn;

/* Waits until it is our turn, and gives the turn to the other. */
static void take_turns(uint32_t mine, long rounds)
{
    while (rounds--) {
        uint32_t value;
        while ((value = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) != mine)
            syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, value, 0);
        __atomic_store_n(&turn, !mine, __ATOMIC_RELEASE);
        syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1);
    }
}

static void *futex_partner(void *rounds)
{
    take_turns(1, (long)(intptr_t)rounds);
    return 0;
}

static void row_futex_round_trip(long rounds)
{
    pthread_t thread;
    turn = 0;
    check(-pthread_create(&thread, 0, futex_partner, (void *)(intptr_t)rounds), "pthread_create");
    take_turns(0, rounds);
    pthread_join(thread, 0);
}

/* ---- processes and threads ---- */

static void row_fork_wait(long rounds)
{
    while (rounds--) {
        pid_t child = fork();
        check(child, "fork");
        if (child == 0)
            _exit(0);
        waitpid(child, 0, 0);
    }
}

static int touch_64_mib(void)
{
    char *area = mmap(0, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        return -1;
    for (unsigned long at = 0; at < 64 * MIB; at += PAGE)
        area[at] = 1;
    return 0;
}

static void row_fork_exec(long rounds)
{
    while (rounds--) {
        pid_t child = fork();
        check(child, "fork");
        if (child == 0) {
            execl("/init", "init", "exit", (char *)0);
            fail("exec");
        }
        waitpid(child, 0, 0);
    }
}

static void *nothing(void *argument)
{
    return argument;
}

static void row_thread_create_join(long rounds)
{
    while (rounds--) {
        pthread_t thread;
        check(-pthread_create(&thread, 0, nothing, 0), "pthread_create");
        pthread_join(thread, 0);
    }
}

/* ---- memory ---- */

static char *fresh;

static int map_fresh(void)
{
    fresh = mmap(0, 17 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return fresh == MAP_FAILED ? -1 : 0;
}

/* One page a round, of memory not touched before. */
static void row_page_fault(long rounds)
{
    for (; rounds--; fresh += PAGE)
        *fresh = 1;
}

/* Sixteen pages. */
static void row_mmap_touch_munmap(long rounds)
{
    while (rounds--) {
        char *area = mmap(0, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (unsigned long at = 0; at < 16 * PAGE; at += PAGE)
            area[at] = 1;
        munmap(area, 16 * PAGE);
    }
}

static int map_file(void)
{
    return make_file();
}

/* A shared mapping of sixteen cached pages, read. */
static void row_mmap_file(long rounds)
{
    while (rounds--) {
        volatile char *area = mmap(0, 16 * PAGE, PROT_READ, MAP_SHARED, file_fd, 0);
        for (unsigned long at = 0; at < 16 * PAGE; at += PAGE)
            (void)area[at];
        munmap((void *)area, 16 * PAGE);
    }
}

/* ---- the table ---- */

static const struct row {
    const char *name;
    long rounds;
    void (*body)(long rounds);
    int (*set_up)(void);
} rows[] = {
    {"getpid", 20000, row_getpid, 0},
    {"write-null", 10000, row_write_null, open_null},
    {"open-close", 5000, row_open_close, make_file},
    {"stat", 5000, row_stat, make_file},
    {"read-4k", 5000, row_read_4k, make_file},
    {"read-64k", 1000, row_read_64k, make_file},
    {"write-4k", 5000, row_write_4k, make_file},
    {"list-directory", 500, row_list_directory, make_directory},
    {"create-unlink", 2000, row_create_unlink, 0},
    {"signal-self", 5000, row_signal_self, install_handler},
    {"yield-switch", 10000, row_yield_switch, 0},
    {"pipe-round-trip", 4000, row_pipe_round_trip, make_pipes},
    {"futex-round-trip", 4000, row_futex_round_trip, 0},
    {"unix-socket-round-trip", 4000, row_unix_socket_round_trip, make_sockets},
    {"fork-wait", 300, row_fork_wait, 0},
    {"fork-exec", 150, row_fork_exec, 0},
    {"thread-create-join", 1000, row_thread_create_join, 0},
    {"page-fault", 3800, row_page_fault, map_fresh},
    {"mmap-touch-munmap", 500, row_mmap_touch_munmap, 0},
    {"mmap-file", 500, row_mmap_file, map_file},
    /* Last: from here on the process is large. */
    {"fork-wait-64m", 20, row_fork_wait, touch_64_mib},
};

static void report(const char *name, const char *unit, double value)
{
    printf("{\"name\":\"%s\",\"unit\":\"%s\",\"value\":%.0f}\n", name, unit, value);
    fflush(stdout);
}

static void measure(const struct row *row)
{
    if (row->set_up && row->set_up() < 0)
        return;
    row->body(row->rounds / 20 + 2);
    uint64_t begin = now();
    row->body(row->rounds);
    report(row->name, "ns", (double)(now() - begin) / (double)row->rounds);
}

/* Memory before anything was done. What the kernel took for itself at boot is in neither number. */
static void memory(void)
{
    char text[4096] = "";
    int fd = open("/proc/meminfo", O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return;
    close(fd);
    const char *total = strstr(text, "MemTotal:"), *unused = strstr(text, "MemFree:");
    if (total)
        report("memory-total", "KiB", atof(total + 9));
    if (unused)
        report("memory-free", "KiB", atof(unused + 8));
}

/* Whether a row was asked for. */
static int wanted(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; (at = strstr(at, name)); at++)
        if ((at == list || at[-1] == '\n') && (at[length] == '\n' || at[length] == 0))
            return 1;
    return !*list;
}

/* As the first process, makes the places that the rows need; in a running system they are there. */
static void prepare(void)
{
    mkdir("/proc", 0755), mkdir("/dev", 0755), mkdir("/tmp", 01777);
    mount("proc", "/proc", "proc", 0, 0);
    mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
    mount("tmpfs", "/tmp", "tmpfs", 0, 0);
    if (fcntl(1, F_GETFD) < 0) {
        int console = open("/dev/console", O_RDWR);
        dup2(console, 0), dup2(console, 1), dup2(console, 2);
    }
}

int main(int count, char **arguments)
{
    /* The counter starts with the machine, so this is the time from reset to here. */
    uint64_t reset = __builtin_ia32_rdtsc();
    if (count > 1 && !strcmp(arguments[1], "exit"))
        return 0;
    if (getpid() == 1)
        prepare();
    memory();
    report("boot", "cycles", (double)reset);
    mkdir("/tmp/bench", 0755);
    char list[4096] = "";
    int fd = open("/rows", O_RDONLY);
    if (fd >= 0 && read(fd, list, sizeof list - 1) < 0)
        fail("/rows");
    close(fd);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++)
        if (wanted(list, rows[i].name))
            measure(&rows[i]);
    printf("bench: done\n");
    fflush(stdout);
    if (getpid() == 1)
        reboot(RB_POWER_OFF);
    return 0;
}
