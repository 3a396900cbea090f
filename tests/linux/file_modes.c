/* Permissions: umask, chmod, chown, access, and what they mean for another user. */
#include "check.h"
#include <grp.h>

static void mode_of(const char *path)
{
    struct stat status;
    if (lstat(path, &status) < 0)
        say("%s: %s", path, error_name(errno));
    else
        say("%s: %04o %d:%d", path, status.st_mode & 07777, status.st_uid, status.st_gid);
}

static int somebody(void)
{
    NEED(setgroups(0, 0) == 0 && setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
    OK(open("mine", O_RDWR));
    OK(open("root_only", O_RDONLY));
    OK(open("readable", O_RDONLY));
    OK(open("readable", O_RDWR));
    OK(open("group", O_RDWR));
    OK(open("no_owner_rights", O_RDONLY));
    OK(access("mine", R_OK | W_OK));
    OK(access("mine", X_OK));
    OK(access("readable", W_OK));
    OK(chmod("mine", 0600));
    OK(chmod("readable", 0666));
    OK(chown("mine", 0, 0));
    OK(chown("mine", -1, 1000));
    OK(open("dir/new", O_CREAT | O_WRONLY, 0600));
    OK(open("open_dir/new", O_CREAT | O_WRONLY, 0600));
    mode_of("open_dir/new");
    OK(unlink("sticky/roots"));
    OK(rename("sticky/roots", "sticky/other"));
    OK(unlink("open_dir/roots"));
    OK(utimensat(AT_FDCWD, "readable", 0, 0));
    OK(truncate("readable", 0));
    OK(link("readable", "open_dir/linked"));
    OK(setuid(0));
    OK(mknod("open_dir/device", S_IFCHR | 0600, 0x103));
    return 0;
}

int main(void)
{
    umask(0);
    OK(close(open("u0", O_CREAT | O_WRONLY, 0666)));
    IS(umask(077) == 0);
    OK(close(open("u77", O_CREAT | O_WRONLY, 0777)));
    OK(mkdir("d77", 0777));
    IS(umask(07777) == 077);
    IS(umask(022) == 0777);
    OK(mkdir("d22", 01777));
    mode_of("u0"), mode_of("u77"), mode_of("d77"), mode_of("d22");

    OK(chmod("u0", 07755));
    mode_of("u0");
    OK(chmod("u0", 0170000 | 0111));
    mode_of("u0");
    int fd = open("u0", O_RDONLY);
    OK(fchmod(fd, 0400));
    mode_of("u0");
    OK(fchmodat(AT_FDCWD, "u0", 0644, 0));
    OK(chmod("missing", 0644));
    OK(chmod("u0/x", 0644));
    OK(fchmod(99, 0644));
    symlink("u0", "link");
    OK(chmod("link", 0600));
    mode_of("u0");
    OK(chown("u0", 5, 6));
    mode_of("u0");
    OK(chown("u0", -1, 7));
    mode_of("u0");
    OK(lchown("link", 8, 9));
    mode_of("link"), mode_of("u0");
    chmod("u0", 06777);
    OK(chown("u0", 10, 10));
    mode_of("u0");
    OK(fchown(99, 0, 0));
    OK(chown("missing", 0, 0));

    put("mine", ""), chown("mine", 1000, 1000);
    put("root_only", ""), chmod("root_only", 0600);
    put("readable", ""), chmod("readable", 0644);
    put("group", ""), chown("group", 0, 1000), chmod("group", 0660);
    put("no_owner_rights", ""), chown("no_owner_rights", 1000, 0), chmod("no_owner_rights", 0077);
    mkdir("dir", 0755), mkdir("open_dir", 0777), chmod("open_dir", 0777), mkdir("sticky", 0777), chmod("sticky", 01777);
    put("sticky/roots", ""), put("open_dir/roots", "");
    /* Root may read and write anything, but executes only what somebody may execute. */
    OK(access("no_owner_rights", R_OK | W_OK | X_OK));
    OK(access("root_only", X_OK));
    OK(access("dir", X_OK));
    OK(access("mine", 8));
    OK(faccessat(AT_FDCWD, "link", F_OK, AT_SYMLINK_NOFOLLOW));
    OK(faccessat(99, "x", F_OK, 0));
    in_child("another user", somebody);
    return 0;
}
