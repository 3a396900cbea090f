/* A static position-independent program: relocated by itself, somewhere else each time. */
#include "check.h"
#include <sys/auxv.h>
#include <sys/personality.h>

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
static int answer(void) { return 42; }
static int (*const functions[])(void) = {answer};
static const char *const strings[] = {"relocated", "pointers", "in constant data"};
static char *place = (char *)&place;

int main(int count, char **arguments)
{
    if (count > 1) {
        unsigned long base = (unsigned long)__ehdr_start;
        write(atoi(arguments[1]), &base, sizeof base);
        return 0;
    }
    IS(functions[0]() == 42);
    say("%s %s %s", strings[0], strings[1], strings[2]);
    IS(place == (char *)&place);
    IS((unsigned long)__ehdr_start >= 0x550000000000 && (unsigned long)__ehdr_start % PAGE == 0);
    IS(getauxval(AT_BASE) == 0);
    IS(getauxval(AT_PHDR) == (unsigned long)__ehdr_start + 64);

    unsigned long bases[6];
    int ends[2], different = 0;
    char text[16];
    NEED(pipe(ends) == 0);
    snprintf(text, sizeof text, "%d", ends[1]);
    for (int i = 0; i < 6; i++) {
        pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "pie_static", text, (char *)0);
            _exit(1);
        }
        waitpid(child, 0, 0);
        NEED(read(ends[0], &bases[i], sizeof bases[i]) == sizeof bases[i]);
        different += i && bases[i] != bases[0];
    }
    IS(different > 0);
    personality(ADDR_NO_RANDOMIZE);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            execl("/proc/self/exe", "pie_static", text, (char *)0);
            _exit(1);
        }
        waitpid(child, 0, 0);
        NEED(read(ends[0], &bases[i], sizeof bases[i]) == sizeof bases[i]);
    }
    IS(bases[0] == bases[1]);
    return 0;
}
