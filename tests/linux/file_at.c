/* The *at calls: relative to a descriptor, to the current directory, absolute; wrong descriptors. */
#include "check.h"

int main(void)
{
    char text[32];
    mkdir("dir", 0755);
    put("file", "outside");
    int dir = open("dir", O_RDONLY | O_DIRECTORY), path_only = open("dir", O_PATH | O_DIRECTORY), file = open("file", O_RDONLY);
    OK(openat(dir, "made", O_CREAT | O_WRONLY, 0644));
    OK(access("dir/made", F_OK));
    OK(openat(dir, "../file", O_RDONLY));
    OK(openat(path_only, "made", O_RDONLY));
    OK(openat(AT_FDCWD, "dir/made", O_RDONLY));
    OK(openat(dir, "missing", O_RDONLY));
    OK(openat(file, "made", O_RDONLY));
    OK(openat(99, "made", O_RDONLY));
    OK(openat(-5, "made", O_RDONLY));
    OK(openat(99, "/dev/null", O_RDONLY));
    OK(openat(dir, "", O_RDONLY));
    OK(openat(dir, ".", O_RDONLY));
    OK(mkdirat(dir, "sub", 0700));
    OK(mkdirat(file, "sub", 0700));
    OK(mknodat(dir, "fifo", S_IFIFO | 0600, 0));
    OK(mknodat(dir, "plain", 0600, 0));
    OK(mknodat(dir, "strange", S_IFDIR | 0600, 0));
    OK(symlinkat("made", dir, "link"));
    VALUE(readlinkat(dir, "link", text, sizeof text));
    VALUE(readlinkat(dir, "made", text, sizeof text));
    VALUE(readlinkat(dir, "", text, sizeof text));
    int link_itself = openat(dir, "link", O_PATH | O_NOFOLLOW);
    VALUE(readlinkat(link_itself, "", text, sizeof text));
    OK(linkat(dir, "made", AT_FDCWD, "linked", 0));
    OK(renameat(dir, "made", dir, "renamed"));
    OK(renameat(dir, "renamed", AT_FDCWD, "moved"));
    OK(faccessat(dir, "sub", F_OK, 0));
    OK(faccessat(dir, "link", F_OK, 0));
    OK(fchmodat(dir, "sub", 0755, 0));
    OK(fchownat(dir, "link", 3, 4, AT_SYMLINK_NOFOLLOW));
    OK(fchownat(file, "", 3, 4, AT_EMPTY_PATH));
    struct stat status;
    IS(stat("file", &status) == 0 && status.st_uid == 3 && status.st_gid == 4);
    OK(unlinkat(dir, "sub", 0));
    OK(unlinkat(dir, "sub", AT_REMOVEDIR));
    OK(unlinkat(dir, "fifo", 0));

    /* A directory descriptor follows its directory, not its name. */
    rename("dir", "elsewhere");
    OK(openat(dir, "plain", O_RDONLY));
    OK(fchdir(path_only));
    OK(access("plain", F_OK));
    VALUE(read(path_only, text, 1));
    OK(fchmod(path_only, 0700));
    return 0;
}
