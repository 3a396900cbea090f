/* Path walking: dots, slashes, links, and each way for it to fail. */
#include "check.h"
#include <limits.h>

static int as_somebody(void)
{
    NEED(setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0);
    OK(access("closed/inside", F_OK));
    OK(open("closed/inside", O_RDONLY));
    OK(open("closed", O_RDONLY));
    OK(open("searchable/inside", O_RDONLY));
    OK(open("searchable", O_RDONLY));
    OK(open("searchable/missing", O_RDONLY));
    OK(open("readable", O_RDONLY));
    OK(open("readable/inside", O_RDONLY));
    OK(open("secret", O_RDONLY));
    OK(mkdir("readable/new", 0755));
    OK(unlink("searchable/inside"));
    return 0;
}

int main(void)
{
    mkdir("a", 0755);
    mkdir("a/b", 0755);
    put("a/b/file", "f");
    put("plain", "p");
    OK(access("a/b/file", F_OK));
    OK(access("./a/../a/./b/../b/file", F_OK));
    OK(access("a//b///file", F_OK));
    OK(access("a/b/", F_OK));
    OK(access("a/b/file/", F_OK));
    OK(access("a/b/file/.", F_OK));
    OK(access("a/b/file/..", F_OK));
    OK(access("plain/x", F_OK));
    OK(access("missing/x", F_OK));
    OK(access("a/missing/../b", F_OK));
    OK(access("/../../..", F_OK));
    OK(access("", F_OK));

    symlink("a/b", "to_b");
    symlink("b/file", "a/to_file");
    symlink("../plain", "a/up");
    symlink("self", "self");
    symlink("two", "one");
    symlink("one", "two");
    OK(access("to_b/file", F_OK));
    OK(access("a/to_file", F_OK));
    OK(access("a/up", F_OK));
    OK(access("to_b/../to_file", F_OK));
    OK(access("self", F_OK));
    OK(access("one/x", F_OK));
    OK(open("self", O_RDONLY | O_NOFOLLOW));
    struct stat status;
    OK(lstat("self", &status));
    OK(lstat("to_b/", &status));
    IS(S_ISDIR(status.st_mode));

    /* Forty links are followed, forty-one are not. */
    put("l0", "");
    char name[8], target[8];
    for (int i = 1; i <= 41; i++) {
        snprintf(name, sizeof name, "l%d", i);
        snprintf(target, sizeof target, "l%d", i - 1);
        symlink(target, name);
    }
    OK(access("l39", F_OK));
    OK(access("l40", F_OK));
    OK(access("l41", F_OK));

    char *longest = malloc(300);
    memset(longest, 'n', 299);
    longest[255] = 0;
    OK(open(longest, O_WRONLY | O_CREAT, 0600));
    OK(unlink(longest));
    longest[255] = 'n';
    longest[256] = 0;
    OK(open(longest, O_WRONLY | O_CREAT, 0600));
    OK(mkdir(longest, 0700));
    OK(access(longest, F_OK));
    char *deep = malloc(PATH_MAX + 10);
    memset(deep, '/', PATH_MAX + 9);
    memcpy(deep + PATH_MAX - 7, "plain", 6);
    deep[0] = '.';
    say("a path of %zu bytes", strlen(deep));
    OK(access(deep, F_OK));
    memset(deep, '/', PATH_MAX + 9);
    deep[0] = '.';
    memcpy(deep + PATH_MAX - 5, "plain", 6);
    say("a path of %zu bytes", strlen(deep));
    OK(access(deep, F_OK));

    /* Names are bytes. */
    OK(mkdir("sp ace", 0755));
    OK(mkdir("\xff\xfe", 0755));
    OK(mkdir("new\nline", 0755));
    OK(access("\xff\xfe/../sp ace", F_OK));

    const char *directories[] = {"closed", "searchable", "readable"};
    int modes[] = {0700, 0711, 0744};
    for (int i = 0; i < 3; i++) {
        char inside[32];
        mkdir(directories[i], 0755);
        snprintf(inside, sizeof inside, "%s/inside", directories[i]);
        put(inside, "");
        chmod(directories[i], modes[i]);
    }
    put("secret", "");
    chmod("secret", 0600);
    in_child("another user", as_somebody);
    return 0;
}
