/* Starting dynamic programs: exec of itself, through its interpreter by name, from many processes, by posix_spawn. */
#include "check.h"
#include <spawn.h>

extern char **environ;

int main(int count, char **arguments)
{
    if (count > 1) {
        say("started with %s", arguments[1]);
        return atoi(arguments[1]);
    }
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "dyn_exec", "11", (char *)0);
        _exit(1);
    }
    reap("exec", child);

    char self[512];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    NEED(length > 0);
    self[length] = 0;
    child = fork();
    if (child == 0) {
        execl("/lib64/ld-linux-x86-64.so.2", "ld.so", self, "12", (char *)0);
        _exit(1);
    }
    reap("through the interpreter", child);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "output", O_WRONLY | O_CREAT, 0644);
    IS(posix_spawn(&child, self, &actions, 0, (char *[]){"dyn_exec", "13", 0}, environ) == 0);
    reap("spawned", child);
    show_file("output");
    IS(posix_spawn(&child, "./missing", 0, 0, (char *[]){"x", 0}, environ) == ENOENT);

    pid_t many[20];
    for (int i = 0; i < 20; i++) {
        many[i] = fork();
        if (many[i] == 0) {
            close(1);
            open("/dev/null", O_WRONLY);
            execl(self, "dyn_exec", "30", (char *)0);
            _exit(1);
        }
    }
    int good = 0, status;
    for (int i = 0; i < 20; i++)
        good += waitpid(many[i], &status, 0) == many[i] && WIFEXITED(status) && WEXITSTATUS(status) == 30;
    say("of twenty at once %d came through", good);

    /* An interpreter that is not there is as if the program were not. */
    char *program = slurp(self), *name = memmem(program, length = lseek(open(self, O_RDONLY), 0, SEEK_END), "/lib64/ld-linux", 15);
    NEED(name);
    memcpy(name, "/nope!", 6);
    int fd = open("changed", O_WRONLY | O_CREAT, 0755);
    write(fd, program, length);
    close(fd);
    child = fork();
    if (child == 0) {
        execl("./changed", "changed", "14", (char *)0);
        say("%s", error_name(errno));
        _exit(0);
    }
    reap("without its interpreter", child);
    return 0;
}
