/* munmap and mprotect in the middle of mappings, as /proc/self/maps tells it. */
#include "check.h"

/* Prints the mappings inside [start, start + pages) as page ranges. */
static void show(const char *what, char *start, unsigned pages)
{
    char *maps = slurp("/proc/self/maps"), text[512] = "";
    for (char *line = strtok(maps, "\n"); line; line = strtok(0, "\n")) {
        unsigned long low, high;
        char rights[5];
        if (sscanf(line, "%lx-%lx %4s", &low, &high, rights) != 3)
            continue;
        unsigned long base = (unsigned long)start, end = base + pages * PAGE;
        if (high <= base || low >= end)
            continue;
        low = low < base ? base : low;
        high = high > end ? end : high;
        snprintf(text + strlen(text), sizeof text - strlen(text), " %lu-%lu:%s", (low - base) / PAGE, (high - base) / PAGE, rights);
    }
    free(maps);
    say("%s:%s", what, text);
}

int main(void)
{
    int private = MAP_PRIVATE | MAP_ANONYMOUS;
    char *area = mmap(0, 34 * PAGE, PROT_NONE, private, -1, 0);
    NEED(area != MAP_FAILED);
    /* Unmapped fences on both sides keep neighbours away. */
    munmap(area, PAGE);
    munmap(area + 33 * PAGE, PAGE);
    area += PAGE;
    NEED(mmap(area, 32 * PAGE, PROT_READ | PROT_WRITE, private | MAP_FIXED, -1, 0) == area);
    show("whole", area, 32);
    for (int i = 0; i < 32; i++)
        area[i * PAGE] = (char)i;
    munmap(area + 10 * PAGE, 2 * PAGE);
    show("hole", area, 32);
    mprotect(area + 4 * PAGE, 2 * PAGE, PROT_READ);
    show("read-only middle", area, 32);
    mprotect(area + 5 * PAGE, 4 * PAGE, PROT_NONE);
    show("overlapping", area, 32);
    mprotect(area + 4 * PAGE, 5 * PAGE, PROT_READ | PROT_WRITE);
    show("merged again", area, 32);
    IS(mprotect(area + 8 * PAGE, 8 * PAGE, PROT_READ) == -1 && errno == ENOMEM);
    show("up to the hole", area, 32);
    mprotect(area, 10 * PAGE, PROT_READ | PROT_WRITE);
    mprotect(area + 12 * PAGE, 20 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    show("executable tail", area, 32);
    munmap(area + 8 * PAGE, 6 * PAGE);
    show("unmap across the hole", area, 32);
    mmap(area + 30 * PAGE, 2 * PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    show("shared end", area, 32);
    int kept = 0;
    for (int i = 0; i < 30; i++)
        if (i < 8 || i >= 14)
            kept += area[i * PAGE] == (char)i;
    say("pages kept: %d", kept);
    munmap(area, 32 * PAGE);
    show("nothing", area, 32);
    IS(munmap(area, 32 * PAGE) == 0);

    IS(mprotect(area, PAGE, PROT_READ) == -1 && errno == ENOMEM);
    IS(mprotect(area, 0, PROT_READ) == 0);
    IS(mprotect(area + 1, PAGE, PROT_READ) == -1 && errno == EINVAL);
    IS(mprotect(area, PAGE, 0x40) == -1 && errno == EINVAL);

    /* A thousand small mappings come and go. */
    char *pieces[1000];
    int wrong = 0;
    for (int i = 0; i < 1000; i++) {
        pieces[i] = mmap(0, PAGE, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ, private, -1, 0);
        NEED(pieces[i] != MAP_FAILED);
    }
    for (int i = 1; i < 1000; i += 2)
        *pieces[i] = (char)i;
    for (int i = 0; i < 1000; i += 2)
        wrong += munmap(pieces[i], PAGE) != 0;
    for (int i = 1; i < 1000; i += 2)
        wrong += *pieces[i] != (char)i || munmap(pieces[i], PAGE) != 0;
    IS(wrong == 0);
    return 0;
}
