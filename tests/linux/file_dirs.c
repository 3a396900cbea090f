/* Directories: making, removing, listing while they change, large ones. */
#include "check.h"
#include <dirent.h>

static int compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Names and types, sorted, because their order is nobody's promise. */
static void list(const char *path)
{
    char *names[64], text[1024] = "";
    int count = 0;
    DIR *directory = opendir(path);
    if (!directory) {
        say("%s: %s", path, error_name(errno));
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(directory)) && count < 64)
        asprintf(&names[count++], "%s%s", entry->d_name, entry->d_type == DT_DIR ? "/" : entry->d_type == DT_LNK ? "@" : entry->d_type == DT_FIFO ? "|" : entry->d_type == DT_REG ? "" : "?");
    closedir(directory);
    qsort(names, count, sizeof *names, compare);
    for (int i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %s", names[i]);
    say("%s:%s", path, text);
}

int main(void)
{
    OK(mkdir("top", 0755));
    OK(mkdir("top", 0755));
    OK(mkdir("top/inner/", 0755));
    OK(mkdir("missing/inner", 0755));
    put("top/file", "");
    OK(mkdir("top/file", 0755));
    OK(mkdir("top/file/x", 0755));
    OK(mkdir("", 0755));
    OK(mkdir("/", 0755));
    OK(mkdir("top/.", 0755));
    symlink("nowhere", "top/link");
    OK(mkdir("top/link", 0755));
    mkfifo("top/fifo", 0644);
    list("top");
    list("top/inner");
    list("top/file");
    list("missing");

    OK(rmdir("top"));
    OK(rmdir("top/file"));
    OK(rmdir("top/link"));
    OK(rmdir("missing"));
    OK(rmdir("top/inner/."));
    OK(rmdir("top/inner/.."));
    OK(rmdir("."));
    OK(rmdir("/"));
    OK(rmdir(""));
    OK(rmdir("top/inner"));
    list("top");

    struct stat status;
    mkdir("count", 0755);
    mkdir("count/a", 0755), mkdir("count/b", 0755), rmdir("count/b");
    stat("count", &status);
    say("links of a directory with one inside: %ld", (long)status.st_nlink);

    /* getdents64 itself. */
    char buffer[4096];
    int fd = open("top", O_RDONLY);
    IS(syscall(SYS_getdents64, fd, buffer, 4) == -1 && errno == EINVAL);
    IS(syscall(SYS_getdents64, fd, buffer, sizeof buffer) > 0);
    IS(syscall(SYS_getdents64, fd, buffer, sizeof buffer) == 0);
    lseek(fd, 0, SEEK_SET);
    IS(syscall(SYS_getdents64, fd, buffer, sizeof buffer) > 0);
    IS(syscall(SYS_getdents64, open("top/file", O_RDONLY), buffer, sizeof buffer) == -1 && errno == ENOTDIR);
    IS(syscall(SYS_getdents64, 99, buffer, sizeof buffer) == -1 && errno == EBADF);

    /* A directory of 700 names, each listed once, half of them removed while listing. */
    mkdir("large", 0755);
    char name[300];
    for (int i = 0; i < 700; i++) {
        snprintf(name, sizeof name, "large/a_rather_long_file_name_%03d", i);
        put(name, "");
    }
    int seen[700] = {0}, others = 0, number;
    DIR *directory = opendir("large");
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (sscanf(entry->d_name, "a_rather_long_file_name_%d", &number) != 1) {
            others++;
            continue;
        }
        seen[number]++;
        if (number % 2) {
            snprintf(name, sizeof name, "large/%s", entry->d_name);
            unlink(name);
        }
    }
    int once = 0, left = 0;
    for (int i = 0; i < 700; i++)
        once += seen[i] == 1;
    say("listed once: %d, others: %d", once, others);
    rewinddir(directory);
    while (readdir(directory))
        left++;
    say("left: %d", left - 2);
    OK(rmdir("large"));

    /* An open directory that was removed lists nothing and takes nothing. */
    mkdir("gone", 0755);
    fd = open("gone", O_RDONLY);
    rmdir("gone");
    VALUE(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
    VALUE(openat(fd, "x", O_CREAT | O_WRONLY, 0600));
    VALUE(mkdirat(fd, "x", 0700));
    return 0;
}
