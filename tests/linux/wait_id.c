/* waitid: the siginfo of each kind of change, WNOWAIT, and its errors. */
#include "check.h"

static const char *code_name(int code)
{
    static const char *names[] = {"?", "CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"};
    return code >= 1 && code <= 6 ? names[code] : "?";
}

static void wait_and_say(const char *what, idtype_t type, id_t id, int options, pid_t child)
{
    siginfo_t info;
    memset(&info, 0x5a, sizeof info);
    int result = waitid(type, id, &info, options);
    if (result < 0)
        say("%s: %s", what, error_name(errno));
    else if (info.si_pid == 0)
        say("%s: nothing, signal %d", what, info.si_signo);
    else
        say("%s: %s %s status %d pid %s uid %d", what, info.si_signo == SIGCHLD ? "SIGCHLD" : "?", code_name(info.si_code),
            info.si_status, info.si_pid == child ? "right" : "WRONG", info.si_uid);
}

int main(void)
{
    wait_and_say("no children", P_ALL, 0, WEXITED, 0);
    wait_and_say("no event named", P_ALL, 0, 0, 0);
    wait_and_say("only WNOHANG", P_ALL, 0, WNOHANG, 0);
    wait_and_say("unknown option", P_ALL, 0, WEXITED | 0x100, 0);
    wait_and_say("unknown type", 99, 0, WEXITED, 0);
    wait_and_say("pid 0", P_PID, 0, WEXITED, 0);

    int gate[2];
    char byte;
    NEED(pipe(gate) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(gate[1]);
        raise(SIGSTOP);
        read(gate[0], &byte, 1);
        _exit(6);
    }
    wait_and_say("stopped", P_PID, child, WSTOPPED, child);
    wait_and_say("nothing new", P_PID, child, WEXITED | WSTOPPED | WNOHANG, child);
    kill(child, SIGCONT);
    wait_and_say("continued, left", P_PID, child, WCONTINUED | WNOWAIT, child);
    wait_and_say("continued, taken", P_PID, child, WCONTINUED, child);
    close(gate[1]);
    wait_and_say("exited, left", P_ALL, 0, WEXITED | WNOWAIT, child);
    wait_and_say("exited, left again", P_PID, child, WEXITED | WNOWAIT, child);
    wait_and_say("stop only", P_PID, child, WSTOPPED | WNOHANG, child);
    wait_and_say("exited, taken", P_PGID, getpgrp(), WEXITED, child);
    wait_and_say("gone", P_PID, child, WEXITED, child);

    child = fork();
    if (child == 0)
        for (;;)
            pause();
    kill(child, SIGTERM);
    wait_and_say("killed", P_PID, child, WEXITED, child);

    child = fork();
    if (child == 0)
        _exit(200);
    IS(waitid(P_PID, child, 0, WEXITED) == 0);
    wait_and_say("null siginfo took it", P_PID, child, WEXITED | WNOHANG, child);
    return 0;
}
