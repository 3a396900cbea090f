/* The default action of every signal: end, core, stop, continue or nothing. */
#include "check.h"
#include <sys/resource.h>

int main(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    for (int number = 1; number <= 64; number++) {
        if (number == 32 || number == 33)
            continue; /* kept by the C library */
        int ready[2];
        char byte;
        NEED(pipe(ready) == 0);
        pid_t child = fork();
        if (child == 0) {
            write(ready[1], "r", 1);
            close(ready[1]);
            close(ready[0]);
            kill(getpid(), number);
            _exit(0);
        }
        close(ready[1]);
        read(ready[0], &byte, 1);
        close(ready[0]);
        int status = 0;
        waitpid(child, &status, WUNTRACED);
        if (WIFSTOPPED(status)) {
            say("%d %s stops (%s)", number, signal_name(number), signal_name(WSTOPSIG(status)));
            kill(child, SIGCONT);
            waitpid(child, &status, 0);
            say("   then exited %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
        } else if (WIFSIGNALED(status)) {
            say("%d %s ends, core %d", number, signal_name(number), !!WCOREDUMP(status));
        } else {
            say("%d %s does nothing", number, signal_name(number));
        }
    }
    return 0;
}
