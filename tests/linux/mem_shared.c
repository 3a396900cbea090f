/* Memory shared between processes: anonymous and of a file, inherited, counted on by many. */
#include "check.h"

struct board {
    int turns, sum;
    char text[64];
};

int main(void)
{
    struct board *board = mmap(0, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    NEED(board != MAP_FAILED);
    IS(board->turns == 0);
    pid_t children[8];
    for (int i = 0; i < 8; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            for (int round = 0; round < 1000; round++)
                __atomic_fetch_add(&board->sum, i, __ATOMIC_SEQ_CST);
            _exit(0);
        }
    }
    for (int i = 0; i < 8; i++)
        waitpid(children[i], 0, 0);
    say("sum %d", board->sum);

    /* Two processes take turns by spinning on the shared word. */
    pid_t child = fork();
    if (child == 0) {
        while (board->turns < 200)
            if (__atomic_load_n(&board->turns, __ATOMIC_SEQ_CST) % 2)
                __atomic_fetch_add(&board->turns, 1, __ATOMIC_SEQ_CST);
            else
                usleep(0);
        _exit(0);
    }
    while (board->turns < 200)
        if (__atomic_load_n(&board->turns, __ATOMIC_SEQ_CST) % 2 == 0)
            __atomic_fetch_add(&board->turns, 1, __ATOMIC_SEQ_CST);
        else
            usleep(0);
    reap("player", child);
    IS(board->turns >= 200);

    /* Through three generations, and still there when the writers are gone. */
    child = fork();
    if (child == 0) {
        if (fork() == 0) {
            strcpy(board->text, "from the grandchild");
            _exit(0);
        }
        wait(0);
        _exit(0);
    }
    reap("generations", child);
    say("text: %s", board->text);

    /* Unmapping and protecting are each process's own. */
    child = fork();
    if (child == 0) {
        munmap(board, sizeof *board);
        _exit(0);
    }
    reap("child that unmapped", child);
    board->sum = 5;
    IS(board->sum == 5);

    /* Two processes that open the same file on their own. */
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    ftruncate(fd, PAGE);
    child = fork();
    if (child == 0) {
        int mine = open("file", O_RDWR);
        char *map = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, mine, 0);
        strcpy(map, "written through a map");
        _exit(0);
    }
    reap("writer", child);
    char text[32] = "";
    pread(fd, text, sizeof text - 1, 0);
    say("file: %s", text);
    return 0;
}
