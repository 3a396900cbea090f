/* Hard and symbolic links, unlinking what is still open. */
#include "check.h"

static long links(const char *path)
{
    struct stat status;
    return lstat(path, &status) < 0 ? -1 : (long)status.st_nlink;
}

int main(void)
{
    char text[64];
    struct stat status;
    put("file", "content");
    mkdir("directory", 0755);
    OK(link("file", "hard"));
    OK(link("file", "directory/hard"));
    say("links %ld", links("file"));
    put("hard", "changed");
    show_file("directory/hard");
    OK(unlink("file"));
    say("links %ld", links("hard"));
    show_file("hard");
    OK(link("hard", "hard"));
    OK(link("hard", "directory/hard"));
    OK(link("missing", "x"));
    OK(link("directory", "x"));
    OK(link("hard", "missing/x"));
    OK(link("hard", "hard/x"));
    OK(link("hard", ""));

    OK(symlink("hard", "soft"));
    VALUE(readlink("soft", text, sizeof text));
    say("target %.4s", text);
    lstat("soft", &status);
    say("size %ld mode %o", (long)status.st_size, status.st_mode & 07777);
    VALUE(readlink("soft", text, 2));
    VALUE(readlink("soft", text, 0));
    VALUE(readlink("hard", text, sizeof text));
    VALUE(readlink("directory", text, sizeof text));
    VALUE(readlink("missing", text, sizeof text));
    OK(symlink("x", "soft"));
    OK(symlink("", "empty"));
    OK(symlink("anything at all, it is only text", "directory/text"));
    show_file("soft");
    OK(unlink("soft"));
    show_file("hard");

    /* linkat: of a link itself, or of what it points to. */
    symlink("hard", "soft");
    OK(linkat(AT_FDCWD, "soft", AT_FDCWD, "soft2", 0));
    IS(lstat("soft2", &status) == 0 && S_ISLNK(status.st_mode));
    OK(linkat(AT_FDCWD, "soft", AT_FDCWD, "hard2", AT_SYMLINK_FOLLOW));
    IS(lstat("hard2", &status) == 0 && S_ISREG(status.st_mode));
    OK(linkat(AT_FDCWD, "soft", AT_FDCWD, "x", 0x8000));
    OK(linkat(99, "soft", AT_FDCWD, "x", 0));

    /* Open and unlinked: the file lives on without a name. */
    int fd = open("hard", O_RDWR);
    unlink("hard"), unlink("hard2"), unlink("directory/hard");
    fstat(fd, &status);
    say("links %ld size %ld", (long)status.st_nlink, (long)status.st_size);
    VALUE(write(fd, "nameless", 8));
    VALUE(pread(fd, text, 8, 0));
    OK(open("hard", O_RDONLY));
    put("hard", "another file");
    VALUE(pread(fd, text, 64, 0));
    say("old content %.8s", text);

    OK(unlink("directory"));
    OK(unlink("missing"));
    OK(unlink("hard/x"));
    OK(unlink("hard/"));
    OK(unlink(""));
    OK(unlink("."));
    OK(unlinkat(AT_FDCWD, "hard", 0x1000));
    OK(unlinkat(AT_FDCWD, "hard", AT_REMOVEDIR));
    OK(unlinkat(AT_FDCWD, "directory", AT_REMOVEDIR));
    OK(unlinkat(AT_FDCWD, "directory/text", 0));
    OK(unlinkat(AT_FDCWD, "directory", AT_REMOVEDIR));
    return 0;
}
