/* open: what each flag does, and what the descriptor then says about itself. */
#include "check.h"

int main(void)
{
    char text[32];
    int fd = OK(open("new", O_RDWR | O_CREAT | O_EXCL, 0640));
    IS(fd == 3);
    OK(open("new", O_RDWR | O_CREAT | O_EXCL, 0640));
    NEED(write(fd, "0123456789", 10) == 10);
    IS((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK)) == O_RDWR);
    IS(fcntl(fd, F_GETFD) == 0);
    close(fd);

    /* The lowest free number, always. */
    int a = open("new", O_RDONLY), b = open("new", O_RDONLY), c = open("new", O_RDONLY);
    say("descriptors %d %d %d", a, b, c);
    close(b);
    close(a);
    say("reused %d", open("new", O_WRONLY));
    close(3), close(c);

    int reading = open("new", O_RDONLY), writing = open("new", O_WRONLY);
    VALUE(write(reading, "x", 1));
    VALUE(read(writing, text, 1));
    OK(ftruncate(reading, 0));
    VALUE(write(writing, "ABC", 3));
    VALUE(read(reading, text, 5));
    say("read %.5s", text);
    close(writing);

    writing = open("new", O_WRONLY | O_APPEND);
    VALUE(lseek(writing, 0, SEEK_CUR));
    VALUE(write(writing, "end", 3));
    VALUE(lseek(writing, 0, SEEK_CUR));
    lseek(writing, 2, SEEK_SET);
    VALUE(write(writing, "!", 1));
    show_file("new");
    VALUE(pwrite(writing, "?", 1, 0));
    show_file("new");
    close(writing);

    OK(open("new", O_WRONLY | O_TRUNC));
    show_file("new");
    put("new", "kept");
    OK(open("new", O_RDONLY | O_CREAT | O_TRUNC, 0600));
    show_file("new");

    mkdir("directory", 0755);
    symlink("new", "link");
    symlink("nowhere", "dangling");
    symlink("directory", "dirlink");
    OK(open("directory", O_RDONLY));
    OK(open("directory", O_WRONLY));
    OK(open("directory", O_RDWR));
    OK(open("directory", O_RDONLY | O_CREAT, 0600));
    OK(open("directory", O_RDONLY | O_DIRECTORY));
    OK(open("new", O_RDONLY | O_DIRECTORY));
    OK(open("missing", O_RDONLY | O_DIRECTORY));
    OK(open("dirlink", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    OK(open("dirlink", O_RDONLY | O_DIRECTORY));
    OK(open("link", O_RDONLY | O_NOFOLLOW));
    OK(open("link", O_RDONLY | O_CREAT | O_EXCL, 0600));
    OK(open("dangling", O_RDONLY));
    OK(open("dangling", O_RDONLY | O_CREAT | O_EXCL, 0600));
    OK(open("dangling", O_RDONLY | O_CREAT, 0600));
    IS(access("nowhere", F_OK) == 0);
    OK(open("new/", O_RDONLY));
    OK(open("other/", O_RDONLY | O_CREAT, 0600));
    OK(open("", O_RDONLY));

    fd = open("new", O_RDONLY | O_CLOEXEC);
    IS(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    fd = open("new", O_RDWR | O_APPEND | O_NONBLOCK);
    IS((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK)) == (O_RDWR | O_APPEND | O_NONBLOCK));
    fd = open("link", O_PATH | O_NOFOLLOW);
    struct stat status;
    IS(fstat(fd, &status) == 0 && S_ISLNK(status.st_mode));
    VALUE(read(fd, text, 1));
    fd = creat("created", 0604);
    IS(fd >= 0 && fstat(fd, &status) == 0 && (status.st_mode & 07777) == 0604);
    fd = open("created", O_RDONLY | O_CREAT, 0777);
    IS(fstat(fd, &status) == 0 && (status.st_mode & 07777) == 0604);
    fd = open("no_rights", O_RDWR | O_CREAT, 0);
    VALUE(write(fd, "still", 5));
    return 0;
}
