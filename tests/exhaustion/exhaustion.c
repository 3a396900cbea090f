/* Takes all there is of one thing, is refused, gives it back, and shows that all is as before.
 *
 * `exhaustion CASE` prints "refused after N (error)" and, when a new program could be run afterwards, "and still running".
 * The bounds are far above what any limit or machine of the suite has. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 400000

static int handles[MOST];

/* Children that do nothing. */
static long processes(void)
{
    long count = 0;
    for (; count < MOST; count++) {
        pid_t child = fork();
        if (child < 0)
            break;
        if (child == 0) {
            pause();
            _exit(0);
        }
        handles[count] = child;
    }
    int error = errno;
    for (long at = 0; at < count; at++)
        kill(handles[at], SIGKILL);
    while (wait(NULL) > 0)
        ;
    errno = error;
    return count;
}

static void *sleeper(void *gate)
{
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

static long threads(void)
{
    static pthread_t made[MOST];
    static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    pthread_mutex_lock(&gate);
    long count = 0;
    int error = 0;
    while (count < MOST && (error = pthread_create(&made[count], &small, sleeper, &gate)) == 0)
        count++;
    pthread_mutex_unlock(&gate);
    for (long at = 0; at < count; at++)
        pthread_join(made[at], NULL);
    errno = error;
    return count;
}

/* Memory that is used as soon as it is there, a MiB at a time. */
static long memory(void)
{
    static char *kept[MOST];
    long count = 0;
    for (; count < MOST; count++) {
        kept[count] = malloc(1 << 20);
        if (!kept[count])
            break;
        memset(kept[count], 1, 1 << 20);
    }
    int error = errno;
    for (long at = 0; at < count; at++)
        free(kept[at]);
    errno = error;
    return count;
}

/* As many areas as a process may have, and copies of them all. */
static long areas(void)
{
    char *start = mmap(NULL, 4096L * MOST, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    long count = 0;
    while (count < MOST && mprotect(start + 4096 * count, 4096, PROT_READ) == 0)
        count += 2;
    int error = errno;
    processes();
    munmap(start, 4096L * MOST);
    errno = error;
    return count / 2;
}

static long files(void)
{
    char name[32];
    mkdir("/tmp/files", 0700);
    long count = 0;
    for (; count < MOST; count++) {
        snprintf(name, sizeof name, "/tmp/files/%ld", count);
        int file = open(name, O_CREAT | O_WRONLY, 0600);
        if (file < 0)
            break;
        close(file);
    }
    int error = errno;
    for (long at = 0; at < count; at++) {
        snprintf(name, sizeof name, "/tmp/files/%ld", at);
        unlink(name);
    }
    errno = error;
    return count;
}

/* One file: what fits is written, and removing it gives all of it back. */
static long bytes(void)
{
    static char page[65536];
    int file = open("/tmp/bytes", O_CREAT | O_WRONLY, 0600);
    long count = 0;
    while (count < MOST && write(file, page, sizeof page) > 0)
        count++;
    int error = errno;
    close(file);
    unlink("/tmp/bytes");
    errno = error;
    return count;
}

static long close_all(long count)
{
    int error = errno;
    for (long at = 0; at < count; at++)
        close(handles[at]);
    errno = error;
    return count;
}

static void raise_limit(void)
{
    struct rlimit many = { MOST, MOST };
    setrlimit(RLIMIT_NOFILE, &many);
}

static long pipes(void)
{
    static char page[4096];
    raise_limit();
    long count = 0;
    for (int ends[2]; count + 2 < MOST && pipe2(ends, O_NONBLOCK) == 0; count += 2) {
        handles[count] = ends[0];
        handles[count + 1] = ends[1];
        while (write(ends[1], page, sizeof page) > 0)
            ;
        if (errno != EAGAIN) {
            count += 2;
            break;
        }
    }
    return close_all(count);
}

static long descriptors(void)
{
    raise_limit();
    long count = 0;
    while (count < MOST && (handles[count] = open("/dev/null", O_RDONLY)) >= 0)
        count++;
    return close_all(count);
}

static long polls(void)
{
    raise_limit();
    long count = 0;
    while (count < MOST && (handles[count] = epoll_create1(0)) >= 0)
        count++;
    return close_all(count);
}

static const struct {
    const char *name;
    long (*run)(void);
} CASES[] = {
    { "processes", processes }, { "threads", threads }, { "memory", memory }, { "areas", areas }, { "files", files },
    { "bytes", bytes }, { "pipes", pipes }, { "descriptors", descriptors }, { "polls", polls },
};

int main(int argc, char **argv)
{
    const char *wanted = argc > 1 ? argv[1] : "";
    if (strcmp(wanted, "again") == 0)
        return 7;
    for (size_t at = 0; at < sizeof CASES / sizeof *CASES; at++) {
        if (strcmp(wanted, CASES[at].name) != 0)
            continue;
        long count = CASES[at].run();
        printf("refused after %ld (%s)\n", count, strerror(errno));
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "exhaustion", "again", (char *)NULL);
            _exit(1);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 7)
            return 1;
        puts("and still running");
        return 0;
    }
    fprintf(stderr, "no case '%s'\n", wanted);
    return 2;
}
