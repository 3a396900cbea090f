/* A pipe without a name, opened again through /proc/self/fd: that never waits for the other side. */
#include "check.h"

int main(void)
{
    int ends[2];
    char path[64], text[8];
    OK(pipe(ends));
    VALUE(write(ends[1], "ab", 2));
    OK(close(ends[1]));
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[0]);
    /* No writer is left: a fifo would wait for one here. */
    int again = open(path, O_RDONLY);
    say("opened again: %s", again >= 0 ? "yes" : "no");
    VALUE(read(again, text, 4));
    VALUE(read(ends[0], text, 4));
    OK(close(again));
    /* Both ends are readers: a fifo's writer who may not wait would be let in too, but not one without readers. */
    int writer = open(path, O_WRONLY | O_NONBLOCK);
    say("a writer: %s", writer >= 0 ? "yes" : "no");
    VALUE(write(writer, "c", 1));
    VALUE(read(ends[0], text, 4));
    snprintf(path, sizeof path, "/proc/self/fd/%d", writer);
    OK(close(ends[0]));
    int lonely = open(path, O_WRONLY | O_NONBLOCK);
    say("a writer without readers: %s", lonely >= 0 ? "yes" : "no");
    return 0;
}
