/* Copy-on-write: neither side of a fork sees the other's writes, however deep and in whatever order. */
#include "check.h"

enum { PAGES = 1024 };

static int count_not(const char *area, char value)
{
    int wrong = 0;
    for (int i = 0; i < PAGES; i++)
        wrong += area[i * PAGE] != value || area[i * PAGE + PAGE - 1] != value;
    return wrong;
}

static void fill(char *area, char value)
{
    for (int i = 0; i < PAGES; i++)
        area[i * PAGE] = area[i * PAGE + PAGE - 1] = value;
}

int main(void)
{
    char *area = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int gate[2], back[2];
    char byte;
    NEED(area != MAP_FAILED && pipe(gate) == 0 && pipe(back) == 0);
    fill(area, 'A');

    pid_t child = fork();
    if (child == 0) {
        read(gate[0], &byte, 1);
        int wrong = count_not(area, 'A');
        fill(area, 'C');
        write(back[1], "x", 1);
        read(gate[0], &byte, 1);
        _exit(wrong + count_not(area, 'C') ? 1 : 0);
    }
    fill(area, 'P');
    write(gate[1], "x", 1);
    read(back[0], &byte, 1);
    say("parent pages wrong: %d", count_not(area, 'P'));
    fill(area, 'Q');
    write(gate[1], "x", 1);
    reap("child", child);
    say("parent pages wrong: %d", count_not(area, 'Q'));

    /* A chain of forks, each changing one page in eight. */
    fill(area, 0);
    child = fork();
    if (child == 0) {
        for (char generation = 1; generation <= 6; generation++) {
            for (int i = generation; i < PAGES; i += 8)
                area[i * PAGE] = generation;
            pid_t next = fork();
            if (next > 0) {
                int status, wrong = 0;
                waitpid(next, &status, 0);
                for (int i = 0; i < PAGES; i++)
                    wrong += area[i * PAGE] != (i % 8 >= 1 && i % 8 <= generation && i >= i % 8 ? i % 8 : 0);
                _exit(wrong || WEXITSTATUS(status) ? 1 : 0);
            }
        }
        _exit(0);
    }
    reap("chain of forks", child);
    say("parent pages wrong: %d", count_not(area, 0));

    /* The kernel's writes are copies as well. */
    child = fork();
    if (child == 0) {
        write(back[1], "kernel write", 12);
        read(back[0], area, 12);
        _exit(memcmp(area, "kernel write", 12) ? 1 : 0);
    }
    reap("read into shared pages", child);
    IS(area[0] == 0);

    /* Pages never written are zero on both sides. */
    char *fresh = mmap(0, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    IS(count_not(fresh, 0) == 0);
    child = fork();
    if (child == 0) {
        fill(fresh, 'z');
        _exit(0);
    }
    reap("writes to zero pages", child);
    IS(count_not(fresh, 0) == 0);
    fill(fresh, 'y');
    IS(count_not(fresh, 'y') == 0);
    return 0;
}
