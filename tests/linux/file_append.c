/* Offsets shared over fork, and appending from several processes at once. */
#include "check.h"

int main(void)
{
    char text[64];
    int fd = open("shared", O_RDWR | O_CREAT, 0644);
    for (int i = 0; i < 5; i++) {
        pid_t child = fork();
        if (child == 0) {
            char digit = '0' + i;
            write(fd, &digit, 1);
            _exit(0);
        }
        waitpid(child, 0, 0);
        write(fd, "-", 1);
    }
    show_file("shared");

    /* 8 processes append 200 lines of 16 bytes each; no line is torn or lost. */
    pid_t children[8];
    for (int i = 0; i < 8; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            int mine = open("log", O_WRONLY | O_CREAT | O_APPEND, 0644);
            for (int line = 0; line < 200; line++) {
                snprintf(text, sizeof text, "%d says line %03d\n", i, line);
                if (write(mine, text, 16) != 16)
                    _exit(1);
            }
            _exit(0);
        }
    }
    for (int i = 0; i < 8; i++)
        reap("appender", children[i]);
    char *log = slurp("log");
    int next[8] = {0}, lines = 0, torn = 0, who, number;
    for (char *line = log; *line; line += 16, lines++)
        if (sscanf(line, "%d says line %d\n", &who, &number) != 2 || line[15] != '\n' || who > 7 || next[who]++ != number)
            torn++;
    say("lines %d, torn %d", lines, torn);

    /* The same descriptor in all of them: the offset moves atomically. */
    fd = open("one", O_WRONLY | O_CREAT, 0644);
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            for (int line = 0; line < 200; line++)
                write(fd, "abcdefg\n", 8);
            _exit(0);
        }
    }
    for (int i = 0; i < 4; i++)
        waitpid(children[i], 0, 0);
    struct stat status;
    stat("one", &status);
    say("size %ld", (long)status.st_size);
    return 0;
}
