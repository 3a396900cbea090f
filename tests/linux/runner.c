/*
 * runner BIN OUT SCRATCH SECONDS NAME...|@FILE
 *
 * Runs the programs BIN/NAME one after the other, each in a fresh directory under SCRATCH, in a session of its
 * own, with standard input from /dev/null and both outputs to one file, which ends with a line saying how the
 * program ended and is then copied to OUT/NAME.out. One that takes longer than SECONDS is killed with its
 * group. A line per program on standard output, before and after, says where a hang or a panic happened.
 *
 * Static, and needs as little of the kernel as it can: it is what finds out what does not work.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void remove_tree(const char *path)
{
    struct stat status;
    if (lstat(path, &status) < 0)
        return;
    if (S_ISDIR(status.st_mode)) {
        chmod(path, 0700);
        DIR *directory = opendir(path);
        struct dirent *entry;
        while (directory && (entry = readdir(directory))) {
            char inner[4096];
            if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
                continue;
            snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
            remove_tree(inner);
        }
        if (directory)
            closedir(directory);
        rmdir(path);
    } else {
        unlink(path);
    }
}

static void copy(const char *from, const char *to)
{
    static char buffer[65536];
    ssize_t got;
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    while (in >= 0 && out >= 0 && (got = read(in, buffer, sizeof buffer)) > 0) {
        if (write(out, buffer, got) != got) {
            printf("runner: write %s: %s\n", to, strerror(errno));
            break;
        }
    }
    if (in < 0 || out < 0)
        printf("runner: copy %s to %s: %s\n", from, to, strerror(errno));
    close(in);
    close(out);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

/* Waits for `child` up to `limit` seconds; returns whether it had to be killed. */
static int await(pid_t child, double limit, int *status)
{
    double end = now() + limit;
    long pause_ns = 500000;
    for (;;) {
        if (waitpid(child, status, WNOHANG) == child)
            return 0;
        if (now() > end)
            break;
        nanosleep(&(struct timespec){0, pause_ns}, 0);
        if (pause_ns < 10000000)
            pause_ns += pause_ns / 2;
    }
    kill(-child, SIGKILL);
    kill(child, SIGKILL);
    waitpid(child, status, 0);
    return 1;
}

static void start(const char *program, const char *name, const char *scratch, const char *output)
{
    char *arguments[] = {(char *)name, 0};
    char *environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", "LC_ALL=C", "CHECK=1", 0};
    /* What whoever started us has set must not show. */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, 0);
    for (int number = 1; number <= 64; number++)
        signal(number, SIG_DFL);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){1024, 4096});
    setrlimit(RLIMIT_STACK, &(struct rlimit){8 << 20, RLIM_INFINITY});
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, RLIM_INFINITY});
    setsid();
    umask(022);
    int null = open("/dev/null", O_RDONLY), out = open(output, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
    if (null < 0 || out < 0 || chdir(scratch) < 0)
        _exit(126);
    dup2(null, 0);
    dup2(out, 1);
    dup2(out, 2);
    for (int fd = 3; fd < 64; fd++)
        close(fd);
    execve(program, arguments, environment);
    dprintf(1, "cannot start: %s\n", strerror(errno));
    _exit(127);
}

/* Runs one program; 0 when it exited with 0. */
static int run(const char *bin, const char *out, const char *scratch, double limit, const char *name)
{
    char program[1024], directory[1024], output[1024], result[1024], ending[64];
    snprintf(program, sizeof program, "%s/%s", bin, name);
    snprintf(directory, sizeof directory, "%s/%s.d", scratch, name);
    snprintf(output, sizeof output, "%s/%s.out", scratch, name);
    snprintf(result, sizeof result, "%s/%s.out", out, name);
    remove_tree(directory);
    if (mkdir(directory, 0755) < 0)
        printf("runner: mkdir %s: %s\n", directory, strerror(errno));

    printf("run %s\n", name);
    double begin = now();
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        start(program, name, directory, output);
    if (child < 0) {
        printf("runner: fork: %s\n", strerror(errno));
        return 1;
    }
    if (await(child, limit, &status))
        snprintf(ending, sizeof ending, "== time limit\n");
    else if (WIFSIGNALED(status))
        snprintf(ending, sizeof ending, "== signal %d\n", WTERMSIG(status));
    else
        snprintf(ending, sizeof ending, "== exit %d\n", WEXITSTATUS(status));
    kill(-child, SIGKILL);
    while (waitpid(-1, 0, WNOHANG) > 0)
        ;

    int fd = open(output, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, ending, strlen(ending)) < 0)
        printf("runner: %s: %s\n", output, strerror(errno));
    close(fd);
    copy(output, result);
    unlink(output);
    remove_tree(directory);
    printf("ran %s %.2f s %s", name, now() - begin, ending);
    return status != 0;
}

int main(int count, char **arguments)
{
    if (count < 6) {
        fprintf(stderr, "usage: runner BIN OUT SCRATCH SECONDS NAME...|@FILE\n");
        return 2;
    }
    setvbuf(stdout, 0, _IOLBF, 0);
    /* However this was started: programs print their nice level. */
    setpriority(PRIO_PROCESS, 0, 0);
    mkdir(arguments[3], 0777);
    chmod(arguments[3], 0777);
    double limit = atof(arguments[4]);
    int bad = 0, total = 0;
    for (int i = 5; i < count; i++) {
        if (arguments[i][0] != '@') {
            bad += run(arguments[1], arguments[2], arguments[3], limit, arguments[i]);
            total++;
            continue;
        }
        char name[256];
        FILE *list = fopen(arguments[i] + 1, "re");
        if (!list) {
            printf("runner: %s: %s\n", arguments[i] + 1, strerror(errno));
            return 2;
        }
        while (fscanf(list, "%255s", name) == 1) {
            bad += run(arguments[1], arguments[2], arguments[3], limit, name);
            total++;
        }
        fclose(list);
    }
    printf("runner: %d programs, %d did not exit with 0\n", total, bad);
    return 0;
}
