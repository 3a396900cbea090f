/* `#!` scripts: interpreter, its one argument, nesting, and what can be wrong with the line. */
#include "check.h"
#include <limits.h>

static void script(const char *path, const char *line)
{
    put(path, line);
    chmod(path, 0755);
}

static void run(const char *path)
{
    pid_t child = fork();
    if (child == 0) {
        execl(path, "zero", "first", "second", (char *)0);
        say("%s: %s", path, error_name(errno));
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        say_status(path, status);
}

int main(int count, char **arguments)
{
    if (getenv("SHOW")) {
        /* Argument 0 is whatever the line named: an absolute path, so only its last part is shown. */
        const char *slash = strrchr(arguments[0], '/');
        say("interpreter %s with %d arguments", slash ? slash + 1 : arguments[0], count);
        for (int i = 1; i < count; i++)
            say("  [%s]", arguments[i]);
        return 0;
    }
    setenv("SHOW", "1", 1);
    char self[PATH_MAX], text[PATH_MAX + 64];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    NEED(length > 0);
    self[length] = 0;
    symlink(self, "interpreter");

    script("relative", "#!./interpreter\nanything\n");
    run("./relative");
    script("option", "#!./interpreter -x\n");
    run("./option");
    script("spaces", "#!   ./interpreter   one two  three   \n");
    run("./spaces");
    script("tab", "#!\t./interpreter\t-t\n");
    run("./tab");
    script("no_newline", "#!./interpreter -n");
    run("./no_newline");
    snprintf(text, sizeof text, "#!%s abs\n", self);
    script("absolute", text);
    run("./absolute");
    script("nested", "#!./option outer\n");
    run("./nested");
    script("missing", "#!./not_there\n");
    run("./missing");
    script("empty", "#!\n");
    run("./empty");
    script("blank", "#!   \n");
    run("./blank");
    script("directory", "#!.\n");
    run("./directory");
    script("itself", "#!./itself\n");
    run("./itself");
    script("plain", "./interpreter\n");
    run("./plain");
    chmod("relative", 0644);
    run("./relative");

    char name[8] = "./s0", line[32];
    script("s0", "#!./interpreter deep\n");
    for (int i = 1; i < 7; i++) {
        name[3] = '0' + i;
        snprintf(line, sizeof line, "#!./s%d\n", i - 1);
        script(name, line);
        run(name);
    }
    return 0;
}
