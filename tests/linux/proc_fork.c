/* fork: return values, memory that is separate afterwards, exit codes. */
#include "check.h"

static int global = 1;

static int child_changes(void)
{
    global = 2;
    say("child sees its own change: %d", global);
    return 7;
}

int main(void)
{
    pid_t parent = getpid();
    int local = 10;
    pid_t child = fork();
    NEED(child >= 0);
    if (child == 0) {
        local++;
        IS(getppid() == parent);
        IS(getpid() != parent);
        IS(local == 11);
        _exit(3);
    }
    reap("first child", child);
    IS(child > 0 && child != parent);
    IS(local == 10);

    in_child("second child", child_changes);
    IS(global == 1);

    int codes[] = {0, 1, 127, 128, 255, 256, 257, -1};
    for (unsigned i = 0; i < sizeof codes / sizeof *codes; i++) {
        child = fork();
        if (child == 0)
            _exit(codes[i]);
        reap("exit code", child);
    }

    /* Three generations, each reporting the one below it. */
    child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0)
            _exit(42);
        int status = 0;
        waitpid(grandchild, &status, 0);
        _exit(WEXITSTATUS(status) + 1);
    }
    reap("grandchild through child", child);
    IS(waitpid(-1, 0, 0) == -1 && errno == ECHILD);
    return 0;
}
