/* rename and renameat2: replacing, exchanging, and the combinations that are refused. */
#include "check.h"

static void make(void)
{
    put("a", "A");
    put("b", "B");
    mkdir("d", 0755);
    mkdir("d/sub", 0755);
    mkdir("empty", 0755);
    mkdir("full", 0755);
    put("full/x", "X");
    symlink("a", "link");
}

int main(void)
{
    struct stat before, after;
    make();
    stat("a", &before);
    OK(rename("a", "c"));
    stat("c", &after);
    IS(before.st_ino == after.st_ino && access("a", F_OK) < 0);
    OK(rename("c", "b"));
    show_file("b");
    int fd = open("b", O_RDONLY);
    put("e", "E");
    OK(rename("e", "b"));
    char text[4] = "";
    read(fd, text, 1);
    say("the replaced file still reads %s, the name %s", text, slurp("b"));

    OK(rename("b", "d/sub/b"));
    OK(rename("d/sub/b", "d/b"));
    OK(rename("missing", "x"));
    OK(rename("d/b", "missing/x"));
    OK(rename("d/b", "d/b/x"));
    OK(rename("d/b", "d/b"));
    OK(rename("d/b/", "x"));
    OK(rename("d/b", "empty"));
    OK(rename("empty", "d/b"));
    OK(rename("d", "d/sub/inner"));
    OK(rename("d", "full"));
    OK(rename("d/sub", "empty"));
    IS(access("empty", F_OK) == 0 && access("d/sub", F_OK) < 0);
    OK(rename("full", "empty"));
    IS(access("empty/x", F_OK) == 0);
    OK(rename("empty", "full/"));
    OK(rename(".", "x"));
    OK(rename("full", "."));
    OK(rename("full", ".."));
    OK(rename("", "x"));
    OK(rename("full", ""));

    /* The link moves, not what it points to. */
    OK(rename("link", "moved"));
    IS(lstat("moved", &after) == 0 && S_ISLNK(after.st_mode));
    /* Two names of one file: nothing happens. */
    put("one", "1");
    link("one", "two");
    OK(rename("one", "two"));
    IS(access("one", F_OK) == 0 && access("two", F_OK) == 0);

    OK(renameat2(AT_FDCWD, "one", AT_FDCWD, "d/b", RENAME_NOREPLACE));
    OK(renameat2(AT_FDCWD, "one", AT_FDCWD, "fresh", RENAME_NOREPLACE));
    IS(access("fresh", F_OK) == 0 && access("one", F_OK) < 0);
    put("left", "L");
    OK(renameat2(AT_FDCWD, "left", AT_FDCWD, "full", RENAME_EXCHANGE));
    IS(stat("left", &after) == 0 && S_ISDIR(after.st_mode));
    show_file("full");
    OK(renameat2(AT_FDCWD, "left", AT_FDCWD, "nothing", RENAME_EXCHANGE));
    OK(renameat2(AT_FDCWD, "left", AT_FDCWD, "full", RENAME_EXCHANGE | RENAME_NOREPLACE));
    OK(renameat2(AT_FDCWD, "left", AT_FDCWD, "full", 0x80));
    OK(renameat2(99, "left", AT_FDCWD, "full", 0));
    int directory = open("d", O_RDONLY);
    OK(renameat(directory, "b", AT_FDCWD, "out"));
    IS(access("out", F_OK) == 0);

    /* An open directory that is renamed is still the same. */
    mkdir("walk", 0755);
    int walk = open("walk", O_RDONLY);
    rename("walk", "walked");
    IS(openat(walk, "made_inside", O_CREAT | O_WRONLY, 0600) >= 0 && access("walked/made_inside", F_OK) == 0);
    return 0;
}
