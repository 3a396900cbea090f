/* What the C library builds on fork and exec: system, popen, posix_spawn with attributes, a shell's pipelines. */
#include "check.h"
#include <spawn.h>

extern char **environ;

int main(void)
{
    char line[64] = "";
    say_status("system", system("exit 3"));
    say_status("system", system("kill -TERM $$"));
    say_status("system", system("/nowhere/at/all 2>/dev/null"));
    IS(system(0) != 0);
    FILE *pipe_from = popen("echo one; echo two", "r");
    NEED(pipe_from);
    while (fgets(line, sizeof line, pipe_from))
        say("popen gave %.3s", line);
    say_status("pclose", pclose(pipe_from));
    FILE *pipe_to = popen("read word; test \"$word\" = hello && exit 5", "w");
    NEED(pipe_to);
    fputs("hello\n", pipe_to);
    say_status("pclose", pclose(pipe_to));
    say_status("pipeline", system("echo a b c | (read x y; test \"$y\" = 'b c') && exit 9"));
    say_status("redirections", system("echo text >file; read word <file; test $word = text"));
    say_status("background", system("sleep 0 & wait; exit 7"));
    say_status("substitution", system("test \"$(echo inner)\" = inner"));
    show_file("file");

    posix_spawnattr_t attributes;
    sigset_t mask, defaults;
    sigemptyset(&mask), sigemptyset(&defaults);
    sigaddset(&mask, SIGUSR1), sigaddset(&defaults, SIGTERM);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &mask);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    signal(SIGTERM, SIG_IGN);
    pid_t child;
    IS(posix_spawn(&child, "/bin/sh", 0, &attributes, (char *[]){"sh", "-c", "kill -TERM $$; exit 1", 0}, environ) == 0);
    reap("spawned with default signals", child);
    IS(posix_spawnp(&child, "sh", 0, 0, (char *[]){"sh", "-c", "kill -TERM $$; exit 4", 0}, environ) == 0);
    reap("spawned with an ignored signal", child);

    FILE *temporary = tmpfile();
    IS(temporary && fprintf(temporary, "%d", 12345) == 5 && fseek(temporary, 1, SEEK_SET) == 0 && fgetc(temporary) == '2');
    char name[] = "made-XXXXXX";
    int fd = mkstemp(name);
    IS(fd >= 0 && access(name, F_OK) == 0);
    return 0;
}
