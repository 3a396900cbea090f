/* Many children at once, each with its own memory, all of them waited for. */
#include "check.h"
#include <sched.h>

enum { CHILDREN = 60 };

int main(void)
{
    pid_t children[CHILDREN];
    char *block = malloc(64 * PAGE);
    memset(block, 1, 64 * PAGE);
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        NEED(children[i] >= 0);
        if (children[i] == 0) {
            memset(block, i, 64 * PAGE);
            sched_yield();
            for (unsigned long at = 0; at < 64 * PAGE; at += 512)
                if (block[at] != i)
                    _exit(255);
            _exit(i);
        }
    }
    int seen[CHILDREN] = {0}, wrong = 0, left = CHILDREN, status;
    for (pid_t got; (got = wait(&status)) > 0; left--)
        for (int i = 0; i < CHILDREN; i++)
            if (children[i] == got) {
                seen[i]++;
                wrong += !WIFEXITED(status) || WEXITSTATUS(status) != i;
            }
    IS(errno == ECHILD);
    IS(left == 0);
    IS(wrong == 0);
    int once = 0;
    for (int i = 0; i < CHILDREN; i++)
        once += seen[i] == 1;
    say("children seen exactly once: %d", once);
    IS(block[0] == 1 && block[64 * PAGE - 1] == 1);

    /* One after another: nothing may be used up. */
    for (int i = 0; i < 300; i++) {
        pid_t child = fork();
        NEED(child >= 0);
        if (child == 0)
            _exit(i & 127);
        NEED(waitpid(child, &status, 0) == child);
        wrong += WEXITSTATUS(status) != (i & 127);
    }
    IS(wrong == 0);
    return 0;
}
