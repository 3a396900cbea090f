/* Orphans: who becomes the parent, and that subreapers can wait for them. */
#include "check.h"
#include <sys/prctl.h>

int main(void)
{
    /* Without a subreaper the new parent is somebody else (init). */
    int report[2], gate[2];
    NEED(pipe(report) == 0 && pipe(gate) == 0);
    pid_t middle = fork();
    if (middle == 0) {
        pid_t mine = getpid();
        if (fork() == 0) {
            char byte;
            close(gate[1]);
            read(gate[0], &byte, 1);
            for (int i = 0; i < 400 && getppid() == mine; i++)
                sleep_ms(5);
            byte = getppid() != mine && getppid() >= 1;
            write(report[1], &byte, 1);
            _exit(0);
        }
        _exit(1);
    }
    reap("middle", middle);
    close(gate[1]);
    char moved = 0;
    IS(read(report[0], &moved, 1) == 1);
    IS(moved == 1);
    IS(waitpid(-1, 0, WNOHANG) == -1 && errno == ECHILD);

    int is = -1;
    IS(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    IS(prctl(PR_GET_CHILD_SUBREAPER, &is, 0, 0, 0) == 0 && is == 1);
    NEED(pipe(gate) == 0);
    pid_t self = getpid();
    middle = fork();
    if (middle == 0) {
        pid_t mine = getpid(), orphan = fork();
        if (orphan == 0) {
            char byte;
            close(gate[1]);
            read(gate[0], &byte, 1);
            for (int i = 0; i < 400 && getppid() == mine; i++)
                sleep_ms(5);
            _exit(getppid() == self ? 33 : 34);
        }
        write(report[1], &orphan, sizeof orphan);
        _exit(2);
    }
    reap("middle", middle);
    close(gate[1]);
    pid_t orphan = 0;
    IS(read(report[0], &orphan, sizeof orphan) == sizeof orphan);
    reap("adopted orphan", orphan);

    /* An orphan that is a zombie already comes over, too. */
    middle = fork();
    if (middle == 0) {
        if (fork() == 0)
            _exit(8);
        sleep_ms(30);
        _exit(9);
    }
    reap("middle", middle);
    int status = 0;
    IS(waitpid(-1, &status, 0) > 0);
    say_status("adopted zombie", status);
    IS(waitpid(-1, 0, 0) == -1 && errno == ECHILD);
    return 0;
}
