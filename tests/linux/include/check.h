/*
 * What every conformance program is written with.
 *
 * A program does things and says what happened, one line each; the same binary runs on Linux and on AIOS and
 * the two texts must be equal. So nothing that may rightly differ is ever printed: no process ids, addresses,
 * times, kernel versions, inode numbers. Lines are written with one write(2), unbuffered, so that a fork never
 * repeats them and a crash never loses them.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define UNUSED __attribute__((unused))

/* Prints one formatted line (without its newline in `format`) in one write. Keeps errno. */
static void UNUSED __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
    char line[4096];
    int saved = errno;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    if (write(1, line, length) != length)
        _exit(99);
    errno = saved;
}

/* The name of an error number: "ENOENT". */
static const char UNUSED *error_name(int error)
{
    const char *name = strerrorname_np(error);
    return name ? name : "E?";
}

/* The name of a signal: "SIGSEGV"; real-time ones count from SIGRTMIN. */
static const char UNUSED *signal_name(int number)
{
    static char text[32];
    const char *name = sigabbrev_np(number);
    if (name)
        snprintf(text, sizeof text, "SIG%s", name);
    else
        snprintf(text, sizeof text, "SIG#%d", number);
    return text;
}

static long UNUSED show_result(const char *what, long result, int numeric)
{
    int error = errno;
    if (result == -1)
        say("%s: %s", what, error_name(error));
    else if (numeric)
        say("%s: %ld", what, result);
    else
        say("%s: ok", what);
    errno = error;
    return result;
}

/* Evaluates a call that returns -1 and errno on failure; says "ok" or the error's name. */
#define OK(call) (errno = 0, show_result(#call, (long)(call), 0))
/* The same, but says the value. */
#define VALUE(call) (errno = 0, show_result(#call, (long)(call), 1))
/* For mmap and friends, whose -1 is a pointer. */
#define MAP(call) ((void *)(errno = 0, show_result(#call, (long)(call), 0)))
/* Says whether a condition holds. */
#define IS(condition) say("%s: %s", #condition, (condition) ? "yes" : "NO")
/* A step that has to work for the program to make sense: ends the program when it does not. */
#define NEED(condition)                                                                                       \
    do {                                                                                                      \
        if (!(condition)) {                                                                                   \
            say("line %d: needed %s: %s", __LINE__, #condition, error_name(errno));                           \
            exit(98);                                                                                         \
        }                                                                                                     \
    } while (0)

/* Says how a process ended, from the status of wait(2). */
static void UNUSED say_status(const char *who, int status)
{
    if (WIFEXITED(status))
        say("%s: exited %d", who, WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        say("%s: killed by %s", who, signal_name(WTERMSIG(status)));
    else if (WIFSTOPPED(status))
        say("%s: stopped by %s", who, signal_name(WSTOPSIG(status)));
    else if (WIFCONTINUED(status))
        say("%s: continued", who);
    else
        say("%s: strange status %#x", who, status);
}

/* Waits for one child, through signals, and says how it ended. */
static int UNUSED reap(const char *who, pid_t child)
{
    int status = 0;
    pid_t got;
    do
        got = waitpid(child, &status, 0);
    while (got < 0 && errno == EINTR);
    if (got != child)
        say("%s: waitpid: %s", who, error_name(errno));
    else
        say_status(who, status);
    return status;
}

/* Runs `body` in a child and says how the child ended. `body`'s value is the exit code. */
static int UNUSED in_child(const char *who, int (*body)(void))
{
    pid_t child = fork();
    NEED(child >= 0);
    if (child == 0)
        _exit(body());
    return reap(who, child);
}

static void UNUSED sleep_ms(long milliseconds)
{
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

/* Milliseconds on the monotonic clock. */
static long UNUSED now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Creates `path` with the given text. */
static void UNUSED put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    NEED(fd >= 0);
    NEED(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

/* Says what a file holds (up to 4000 bytes, for short texts). */
static void UNUSED show_file(const char *path)
{
    char text[4001];
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        say("%s: %s", path, error_name(errno));
        return;
    }
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length < 0 ? 0 : length] = 0;
    say("%s: \"%s\"", path, text);
}

/* Reads a whole (small) file into a fresh string; empty when it cannot be read. */
static char UNUSED *slurp(const char *path)
{
    size_t room = 1 << 20, length = 0;
    char *text = calloc(1, room);
    int fd = open(path, O_RDONLY);
    ssize_t got;
    while (fd >= 0 && length < room - 1 && (got = read(fd, text + length, room - 1 - length)) > 0)
        length += got;
    if (fd >= 0)
        close(fd);
    return text;
}

/* Installs a three-argument handler. */
static void UNUSED on_signal(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | flags;
    NEED(sigaction(number, &action, 0) == 0);
}

#endif
