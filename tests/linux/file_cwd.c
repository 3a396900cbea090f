/* The current directory: chdir, fchdir, getcwd; what happens when it moves or goes; chroot-less dots. */
#include "check.h"
#include <limits.h>

static char start[PATH_MAX];

/* The current directory relative to where the program started. */
static void where(const char *what)
{
    char path[PATH_MAX];
    if (!getcwd(path, sizeof path))
        say("%s: %s", what, error_name(errno));
    else if (!strncmp(path, start, strlen(start)))
        say("%s: .%s", what, path + strlen(start));
    else
        say("%s: %s", what, path);
}

static int moves_child(void)
{
    chdir("/");
    return 0;
}

int main(void)
{
    char path[PATH_MAX];
    NEED(getcwd(start, sizeof start) != 0);
    mkdir("a", 0755);
    mkdir("a/b", 0755);
    put("file", "");
    symlink("a/b", "link");
    OK(chdir("a/b"));
    where("after chdir");
    OK(chdir(".."));
    where("after ..");
    OK(chdir("../link"));
    where("through a link");
    OK(chdir("missing"));
    OK(chdir(""));
    OK(chdir("../../file"));
    where("unchanged");
    int fd = open("../..", O_RDONLY | O_DIRECTORY);
    OK(fchdir(fd));
    where("after fchdir");
    OK(fchdir(open("file", O_RDONLY)));
    OK(fchdir(99));
    in_child("child that moves", moves_child);
    where("unchanged");

    IS(syscall(SYS_getcwd, path, sizeof path) == (long)strlen(start) + 1);
    IS(syscall(SYS_getcwd, path, strlen(start)) == -1 && errno == ERANGE);
    IS(syscall(SYS_getcwd, path, strlen(start) + 1) == (long)strlen(start) + 1);
    IS(syscall(SYS_getcwd, path, 0) == -1 && errno == ERANGE);
    IS(syscall(SYS_getcwd, 1, 4096) == -1 && errno == EFAULT);

    chdir("a/b");
    rename("../../a/b", "../../a/c");
    where("renamed under us");
    OK(rename("../../a", "../../z"));
    where("and the parent");
    OK(rmdir("../c"));
    where("removed");
    OK(access(".", F_OK));
    OK(open("new", O_CREAT | O_WRONLY, 0600));
    OK(open(".", O_RDONLY));
    ssize_t length = readlink("/proc/self/cwd", path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    say("proc says %s", strstr(path, "/z/c") ? strstr(path, "/z/c") : path);
    OK(chdir(".."));
    where("out again");
    OK(chdir("/"));
    where("root");
    OK(chdir("../.."));
    where("above root");
    return 0;
}
