/* A zombie is there until it is waited for: visible, signalable, empty. */
#include "check.h"

static char state_of(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    char *text = slurp(path), *end = strrchr(text, ')');
    return end ? end[2] : '-';
}

int main(void)
{
    int ends[2];
    NEED(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0)
        _exit(5);
    close(ends[1]);
    char byte;
    /* End of file: the child has closed its descriptors, so it has left. */
    IS(read(ends[0], &byte, 1) == 0);
    for (int i = 0; i < 200 && state_of(child) != 'Z'; i++)
        sleep_ms(5);
    say("state %c", state_of(child));
    IS(kill(child, 0) == 0);
    IS(kill(child, SIGKILL) == 0);
    IS(getpgid(child) == getpgrp());
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/%d/cwd", child);
    IS(readlink(path, target, sizeof target) == -1 && errno == ENOENT);
    snprintf(path, sizeof path, "/proc/%d/maps", child);
    IS(strlen(slurp(path)) == 0);
    snprintf(path, sizeof path, "/proc/%d/status", child);
    IS(strstr(slurp(path), "State:\tZ (zombie)") != 0);
    reap("zombie", child);
    say("state %c", state_of(child));
    IS(kill(child, 0) == -1 && errno == ESRCH);
    IS(access(path, F_OK) == -1 && errno == ENOENT);
    return 0;
}
