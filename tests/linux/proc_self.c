/* /proc/self and /proc/PID: what programs read there about themselves. */
#include "check.h"
#include <dirent.h>
#include <limits.h>
#include <pthread.h>
#include <sys/prctl.h>

static const char *link_name(const char *path)
{
    static char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0)
        return error_name(errno);
    target[length] = 0;
    char *slash = strrchr(target, '/');
    return slash && slash[1] ? slash + 1 : target;
}

static int field(const char *status, const char *name)
{
    const char *at = strstr(status, name);
    return at ? atoi(at + strlen(name)) : -1;
}

static void *idle(void *argument)
{
    (void)argument;
    sleep_ms(100000);
    return 0;
}

static int count_entries(const char *path)
{
    int count = 0;
    DIR *directory = opendir(path);
    while (directory && readdir(directory))
        count++;
    if (directory)
        closedir(directory);
    return count - 2;
}

int main(int count, char **arguments)
{
    char path[64], text[256];
    (void)count, (void)arguments;
    IS(atoi(link_name("/proc/self")) == getpid());
    say("exe %s", link_name("/proc/self/exe"));
    IS(!strcmp(link_name("/proc/self/root"), "/"));
    getcwd(text, sizeof text);
    IS(!strcmp(link_name("/proc/self/cwd"), strrchr(text, '/') + 1));
    show_file("/proc/self/comm");
    prctl(PR_SET_NAME, "a-new-name-that-is-too-long");
    show_file("/proc/self/comm");

    int fd = open("/proc/self/cmdline", O_RDONLY);
    ssize_t length = read(fd, text, sizeof text);
    say("cmdline of %zd bytes: %s", length, text);
    close(fd);
    fd = open("/proc/self/environ", O_RDONLY);
    length = read(fd, text, sizeof text);
    IS(length > 8 && !memcmp(text, "PATH=", 5) && memmem(text, length, "\0CHECK=1", 9) != 0);
    close(fd);

    char *status = slurp("/proc/self/status");
    IS(field(status, "\nPid:\t") == getpid() && field(status, "\nPPid:\t") == getppid() && field(status, "\nTgid:\t") == getpid());
    IS(strstr(status, "Name:\ta-new-name-that\n") == status);
    IS(strstr(status, "\nUid:\t0\t0\t0\t0\n") && strstr(status, "\nGid:\t0\t0\t0\t0\n"));
    IS(strstr(status, "\nState:\tR (running)\n") != 0);
    IS(field(status, "\nThreads:\t") == 1);
    IS(field(status, "\nVmRSS:\t") > 0 && field(status, "\nVmSize:\t") >= field(status, "\nVmRSS:\t"));
    int before = count_entries("/proc/self/fd");
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], 0, idle, 0);
    IS(field(slurp("/proc/self/status"), "\nThreads:\t") == 4);
    IS(count_entries("/proc/self/task") == 4);
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", gettid());
    IS(access(path, F_OK) == 0);

    int pid, ppid, group, session;
    char state, name[64];
    IS(sscanf(slurp("/proc/self/stat"), "%d (%63[^)]) %c %d %d %d", &pid, name, &state, &ppid, &group, &session) == 6);
    IS(pid == getpid() && ppid == getppid() && group == getpgrp() && session == getsid(0) && state == 'R');
    long size = 0, resident = 0;
    IS(sscanf(slurp("/proc/self/statm"), "%ld %ld", &size, &resident) == 2 && size >= resident && resident > 0);

    put("opened", "text");
    fd = open("opened", O_RDONLY);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    say("descriptor points to %s", link_name(path));
    int again = open(path, O_RDONLY);
    IS(again >= 0 && read(again, text, 4) == 4 && !memcmp(text, "text", 4));
    IS(!strcmp(link_name("/proc/self/fd/0"), "null"));
    int ends[2];
    pipe(ends);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    IS(!strncmp(link_name(path), "pipe:[", 6));
    IS(count_entries("/proc/self/fd") == before + 4);
    unlink("opened");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    say("then to %s", link_name(path));
    OK(open("/proc/self/fd/99", O_RDONLY));

    pid_t child = fork();
    if (child == 0)
        sleep_ms(100000);
    snprintf(path, sizeof path, "/proc/%d/status", child);
    IS(field(slurp(path), "\nPPid:\t") == getpid());
    snprintf(path, sizeof path, "/proc/%d/exe", child);
    say("child's exe %s", link_name(path));
    kill(child, SIGKILL);
    waitpid(child, 0, 0);
    OK(access(path, F_OK));
    OK(access("/proc/4194304", F_OK));
    OK(open("/proc/self/nothing", O_RDONLY));
    OK(mkdir("/proc/new", 0755));
    OK(unlink("/proc/self/stat"));
    OK(open("/proc/new", O_CREAT | O_WRONLY, 0600));
    struct stat info;
    IS(stat("/proc/self", &info) == 0 && S_ISDIR(info.st_mode) && lstat("/proc/self", &info) == 0 && S_ISLNK(info.st_mode));
    return 0;
}
