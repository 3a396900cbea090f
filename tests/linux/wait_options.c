/* waitpid: WNOHANG, WUNTRACED, WCONTINUED, groups, and its errors. */
#include "check.h"

int main(void)
{
    int status;
    IS(waitpid(-1, 0, 0) == -1 && errno == ECHILD);
    IS(waitpid(1 << 22, 0, 0) == -1 && errno == ECHILD);
    IS(waitpid(-1, 0, 0x40000) == -1 && errno == EINVAL);
    IS(wait4(INT32_MIN, 0, 0, 0) == -1 && errno == ESRCH);

    int gate[2];
    NEED(pipe(gate) == 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(gate[1]);
        read(gate[0], &byte, 1);
        _exit(4);
    }
    IS(waitpid(child, &status, WNOHANG) == 0);
    kill(child, SIGSTOP);
    IS(waitpid(child, &status, WUNTRACED) == child);
    say_status("stop", status);
    IS(waitpid(child, &status, WUNTRACED | WNOHANG) == 0);
    kill(child, SIGCONT);
    IS(waitpid(child, &status, WCONTINUED) == child);
    say_status("continue", status);
    IS(waitpid(child, &status, WCONTINUED | WNOHANG) == 0);
    close(gate[1]);
    IS(waitpid(child, &status, 0) == child);
    say_status("end", status);
    IS(waitpid(child, &status, 0) == -1 && errno == ECHILD);

    /* By group: 0 is ours, -n another. */
    pid_t same = fork();
    if (same == 0)
        _exit(1);
    pid_t other = fork();
    if (other == 0) {
        setpgid(0, 0);
        _exit(2);
    }
    setpgid(other, other);
    IS(waitpid(0, &status, 0) == same);
    IS(waitpid(0, &status, 0) == -1 && errno == ECHILD);
    IS(waitpid(-other, &status, 0) == other);
    say_status("other group", status);

    /* A killed one that was stopped. */
    child = fork();
    if (child == 0)
        for (;;)
            pause();
    kill(child, SIGSTOP);
    waitpid(child, &status, WUNTRACED);
    kill(child, SIGTERM);
    IS(waitpid(child, &status, WNOHANG) == 0);
    kill(child, SIGKILL);
    reap("stopped, then killed", child);

    /* The status pointer may be bad only when there is something to write. */
    IS(waitpid(-1, (int *)1, WNOHANG) == -1 && errno == ECHILD);
    child = fork();
    if (child == 0)
        _exit(0);
    sleep_ms(20);
    IS(waitpid(child, (int *)1, 0) == -1 && errno == EFAULT);
    IS(waitpid(child, &status, WNOHANG) == -1 && errno == ECHILD);
    return 0;
}
