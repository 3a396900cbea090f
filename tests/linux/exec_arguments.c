/* execve: arguments and environment arrive whole; what is not executable is refused by name. */
#include "check.h"
#include <sys/resource.h>

extern char **environ;

static void exec_shown(const char *what, const char *path, char **arguments, char **environment)
{
    pid_t child = fork();
    if (child == 0) {
        execve(path, arguments, environment);
        say("%s: %s", what, error_name(errno));
        _exit(0);
    }
    reap(what, child);
}

static int show(int count, char **arguments)
{
    say("argc %d", count);
    size_t total = 0;
    for (int i = 0; i < count; i++) {
        total += strlen(arguments[i]);
        if (strlen(arguments[i]) < 100)
            say("argv[%d] \"%s\"", i, arguments[i]);
    }
    say("argument bytes %zu", total);
    IS(arguments[count] == 0);
    for (char **variable = environ; *variable; variable++)
        say("env \"%s\"", *variable);
    return 0;
}

int main(int count, char **arguments)
{
    if (count > 0 && !strcmp(arguments[0], "show"))
        return show(count, arguments);
    if (count > 0 && !strcmp(arguments[0], ""))
        return show(count, arguments);

    char *self = "/proc/self/exe";
    exec_shown("plain", self, (char *[]){"show", "one", "", "three words here", "\xc3\xa9\n", 0}, (char *[]){"A=1", "B=", "nothing", 0});
    exec_shown("no environment", self, (char *[]){"show", 0}, (char *[]){0});
    exec_shown("null environment", self, (char *[]){"show", 0}, 0);
    exec_shown("empty argv", self, (char *[]){0}, (char *[]){"E=1", 0});

    static char big[100000];
    memset(big, 'x', sizeof big - 1);
    exec_shown("a long argument", self, (char *[]){"show", big, "end", 0}, (char *[]){0});
    static char *many[4002];
    many[0] = "show";
    char *word = malloc(150);
    memset(word, 'y', 149);
    word[149] = 0;
    for (int i = 1; i < 4001; i++)
        many[i] = word;
    exec_shown("many arguments", self, many, (char *[]){0});
    char *huge = malloc(140000);
    memset(huge, 'z', 139999);
    huge[139999] = 0;
    exec_shown("an argument over 128 KiB", self, (char *[]){"show", huge, 0}, (char *[]){0});

    put("text", "not a program\n");
    put("empty", "");
    mkdir("directory", 0755);
    char *none[] = {"x", 0};
    exec_shown("missing", "./missing", none, none);
    exec_shown("not executable", "./text", none, none);
    chmod("text", 0755);
    chmod("empty", 0755);
    exec_shown("no known format", "./text", none, none);
    exec_shown("empty file", "./empty", none, none);
    exec_shown("a directory", "./directory", none, none);
    exec_shown("through a file", "./text/more", none, none);
    exec_shown("empty path", "", none, none);
    symlink("loop", "loop");
    exec_shown("a loop of links", "./loop", none, none);
    exec_shown("bad path", (char *)1, none, none);
    exec_shown("bad argv", self, (char **)1, none);
    exec_shown("bad string in argv", self, (char *[]){"show", (char *)1, 0}, none);
    return 0;
}
