/* A dynamically linked program: its interpreter, its libraries, constructors, and what the C library does with them. */
#include "check.h"
#include <link.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <sys/auxv.h>

static int constructed;
static __thread int thread_local_value = 3;

static void __attribute__((constructor)) construct(void)
{
    constructed++;
}

static void at_exit(void)
{
    say("at exit, after %d", constructed);
}

static int count_object(struct dl_phdr_info *info, size_t size, void *names)
{
    (void)size;
    const char *slash = strrchr(info->dlpi_name, '/');
    char *text = names;
    strcat(strcat(text, " "), slash ? slash + 1 : info->dlpi_name[0] ? info->dlpi_name : "(main)");
    return 0;
}

static int compare(const void *left, const void *right)
{
    return *(const int *)left - *(const int *)right;
}

static void *thread_main(void *argument)
{
    (void)argument;
    return (void *)(uintptr_t)(thread_local_value++ + 10);
}

int main(void)
{
    char names[512] = "";
    IS(constructed == 1);
    IS(getauxval(AT_BASE) != 0);
    dl_iterate_phdr(count_object, names);
    say("objects:%s", names);
    IS(strstr(slurp("/proc/self/maps"), "ld-linux-x86-64.so.2") && strstr(slurp("/proc/self/maps"), "libc.so.6"));
    volatile double two = 2;
    say("sqrt %.6f sin %.6f pow %.1f", sqrt(two), sin(two), pow(two, 10));
    int numbers[] = {5, 3, 9, 1, 7};
    qsort(numbers, 5, sizeof *numbers, compare);
    say("sorted %d %d %d %d %d", numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]);
    say("locale %s", setlocale(LC_ALL, "") ? setlocale(LC_ALL, 0) : "none");
    setenv("MADE", "here", 1);
    say("environment %s %s", getenv("MADE"), getenv("CHECK"));
    pthread_t thread;
    void *result;
    pthread_create(&thread, 0, thread_main, 0);
    pthread_join(thread, &result);
    say("thread-local %lu %d", (unsigned long)(uintptr_t)result, thread_local_value);
    time_t zero = 86400 * 365;
    char date[64];
    strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S", gmtime(&zero));
    say("%s", date);
    printf("buffered output, kept until the end\n");
    pid_t child = fork();
    if (child == 0)
        _exit(thread_local_value);
    reap("child", child);
    atexit(at_exit);
    return 0;
}
