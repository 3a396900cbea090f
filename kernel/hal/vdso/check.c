/*
 * Loads the vDSO behind a data page of its own choice and calls every function through the symbol table, as the C
 * library does. Run on the build host: check VDSO.SO. Prints what differs; the exit code says whether anything did.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

/* abi/src/vdso.rs */
struct data {
    uint32_t sequence, clock_mode;
    uint64_t counter_base, multiplier;
    uint32_t shift, cpu_mode;
    uint64_t monotonic_base_ns, realtime_offset_ns, boottime_offset_ns, coarse_resolution_ns, generation;
};

#define SECOND 1000000000ull
static int failures;
#define CHECK(what, condition) \
    do { \
        if (!(condition)) { \
            failures++; \
            printf("%s: %s\n", what, #condition); \
        } \
    } while (0)

static volatile struct data *page;
static char *base;

static const Elf64_Dyn *dynamic(Elf64_Sxword tag)
{
    const Elf64_Ehdr *header = (void *)base;
    const Elf64_Phdr *program = (void *)(base + header->e_phoff);
    for (int i = 0; i < header->e_phnum; i++)
        if (program[i].p_type == PT_DYNAMIC)
            for (const Elf64_Dyn *entry = (void *)(base + program[i].p_vaddr); entry->d_tag != DT_NULL; entry++)
                if (entry->d_tag == tag)
                    return entry;
    return NULL;
}

static uint32_t hash(const char *name)
{
    uint32_t value = 0;
    for (; *name; name++) {
        value = (value << 4) + (unsigned char)*name;
        value ^= (value >> 24) & 0xf0;
    }
    return value & 0x0fffffff;
}

/* Through DT_HASH and the version tables, as parse_vdso.c of the Linux sources does. */
static void *symbol(const char *name)
{
    const Elf64_Dyn *hashes = dynamic(DT_HASH), *symbols = dynamic(DT_SYMTAB), *strings = dynamic(DT_STRTAB);
    const Elf64_Dyn *versions = dynamic(DT_VERSYM), *definitions = dynamic(DT_VERDEF);
    if (!hashes || !symbols || !strings || !versions || !definitions)
        return NULL;
    const uint32_t *table = (void *)(base + hashes->d_un.d_ptr);
    const Elf64_Sym *symbol = (void *)(base + symbols->d_un.d_ptr);
    const char *text = base + strings->d_un.d_ptr;
    const uint16_t *version = (void *)(base + versions->d_un.d_ptr);
    for (uint32_t i = table[2 + hash(name) % table[0]]; i; i = table[2 + table[0] + i]) {
        if (strcmp(text + symbol[i].st_name, name) || ELF64_ST_TYPE(symbol[i].st_info) != STT_FUNC)
            continue;
        for (const Elf64_Verdef *def = (void *)(base + definitions->d_un.d_ptr);; def = (void *)((char *)def + def->vd_next)) {
            const Elf64_Verdaux *aux = (void *)((char *)def + def->vd_aux);
            if (def->vd_ndx == (version[i] & 0x7fff) && !strcmp(text + aux->vda_name, "LINUX_2.6"))
                return base + symbol[i].st_value;
            if (!def->vd_next)
                return NULL;
        }
    }
    return NULL;
}

static uint64_t expected(uint64_t counter)
{
    uint64_t ticks = counter < page->counter_base ? 0 : counter - page->counter_base;
    return page->monotonic_base_ns + (uint64_t)((unsigned __int128)ticks * page->multiplier >> page->shift);
}

int main(int argc, char **argv)
{
    struct stat file;
    int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
    if (fd < 0 || fstat(fd, &file)) {
        fprintf(stderr, "usage: check VDSO.SO\n");
        return 2;
    }
    char *area = mmap(NULL, 4096 + file.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    base = mmap(area + 4096, file.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0);
    if (area == MAP_FAILED || base == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    page = (void *)area;
    CHECK("tables", dynamic(DT_GNU_HASH) && dynamic(DT_SONAME));
    CHECK("tables", !dynamic(DT_RELA) && !dynamic(DT_REL) && !dynamic(DT_JMPREL) && !dynamic(DT_TEXTREL) && !dynamic(DT_NEEDED));

    int (*gettime)(int, struct timespec *) = symbol("__vdso_clock_gettime");
    int (*getres)(int, struct timespec *) = symbol("__vdso_clock_getres");
    int (*timeofday)(struct timeval *, struct timezone *) = symbol("__vdso_gettimeofday");
    time_t (*seconds)(time_t *) = symbol("__vdso_time");
    long (*cpu_node)(unsigned *, unsigned *, void *) = symbol("__vdso_getcpu");
    CHECK("names", (void *)gettime == symbol("clock_gettime") && (void *)getres == symbol("clock_getres"));
    CHECK("names", (void *)timeofday == symbol("gettimeofday") && (void *)seconds == symbol("time"));
    CHECK("names", (void *)cpu_node == symbol("getcpu") && !symbol("__ehdr_start"));
    if (!gettime || !getres || !timeofday || !seconds || !cpu_node) {
        printf("a symbol is missing\n");
        return 1;
    }

    /* Rates from a slow to a fast counter, bases that need all 128 bits, offsets that wrap. */
    const struct { uint64_t base, multiplier, monotonic, realtime; uint32_t shift; } cases[] = {
        { 0, 1ull << 32, 0, 1700000000 * SECOND, 32 },
        { 1, 1431655765, 17, 0, 32 },
        { 12345, (uint64_t)1 << 63, 5 * SECOND + 999999999, 1, 63 },
        { 0, 0x123456789abcull, 1ull << 60, -(1ull << 59), 44 },
    };
    page->coarse_resolution_ns = 4000000;
    page->clock_mode = 1;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        page->counter_base = __rdtsc() - cases[i].base;
        page->multiplier = cases[i].multiplier;
        page->shift = cases[i].shift;
        page->monotonic_base_ns = cases[i].monotonic;
        page->realtime_offset_ns = cases[i].realtime;
        page->boottime_offset_ns = 3 * SECOND;
        const struct { int clock; uint64_t offset; } clocks[] = {
            { CLOCK_MONOTONIC, 0 }, { CLOCK_MONOTONIC_RAW, 0 }, { CLOCK_MONOTONIC_COARSE, 0 },
            { CLOCK_REALTIME, cases[i].realtime }, { CLOCK_REALTIME_COARSE, cases[i].realtime },
            { CLOCK_TAI, cases[i].realtime }, { CLOCK_BOOTTIME, 3 * SECOND },
        };
        for (unsigned k = 0; k < sizeof clocks / sizeof *clocks; k++) {
            for (int round = 0; round < 1000; round++) {
                struct timespec now;
                uint64_t before = expected(__rdtsc()) + clocks[k].offset;
                CHECK("clock_gettime", gettime(clocks[k].clock, &now) == 0);
                uint64_t after = expected(__rdtsc()) + clocks[k].offset;
                uint64_t value = (uint64_t)now.tv_sec * SECOND + now.tv_nsec;
                CHECK("clock_gettime", before <= value && value <= after && now.tv_nsec < (long)SECOND);
            }
        }
        struct timeval day;
        struct timezone zone = { 1, 1 };
        time_t stored;
        uint64_t before = expected(__rdtsc()) + cases[i].realtime;
        CHECK("gettimeofday", timeofday(&day, &zone) == 0 && zone.tz_minuteswest == 0 && zone.tz_dsttime == 0);
        CHECK("gettimeofday", timeofday(NULL, NULL) == 0);
        CHECK("time", seconds(&stored) == stored && seconds(NULL) >= stored);
        uint64_t after = expected(__rdtsc()) + cases[i].realtime;
        uint64_t micro = (uint64_t)day.tv_sec * 1000000 + day.tv_usec;
        CHECK("gettimeofday", before / 1000 <= micro && micro <= after / 1000);
        CHECK("time", before / SECOND <= (uint64_t)stored && (uint64_t)stored <= after / SECOND);
    }
    page->counter_base = -1;
    struct timespec now;
    CHECK("counter before its base", gettime(CLOCK_MONOTONIC, &now) == 0 && (uint64_t)now.tv_sec * SECOND + now.tv_nsec == page->monotonic_base_ns);

    /* The page says nothing: the kernel is asked. */
    struct timespec kernel;
    for (int mode = 0; mode < 2; mode++) {
        page->clock_mode = mode;
        int clock = mode ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
        CHECK("fallback", gettime(clock, &now) == 0 && !clock_gettime(clock, &kernel));
        CHECK("fallback", kernel.tv_sec - now.tv_sec <= 1);
        CHECK("unknown clock", gettime(99, &now) == -22 && gettime(-1, &now) == -22 && getres(99, &now) == -22);
    }
    page->clock_mode = 0;
    struct timeval day;
    CHECK("fallback", timeofday(&day, NULL) == 0 && day.tv_sec - time(NULL) <= 1 && seconds(NULL) - time(NULL) <= 1);

    CHECK("clock_getres", getres(CLOCK_MONOTONIC, &now) == 0 && now.tv_sec == 0 && now.tv_nsec == 1);
    CHECK("clock_getres", getres(CLOCK_REALTIME_COARSE, &now) == 0 && now.tv_nsec == 4000000);
    CHECK("clock_getres", getres(CLOCK_MONOTONIC, NULL) == 0 && getres(CLOCK_THREAD_CPUTIME_ID, &now) == 0);

    unsigned cpu = 77, node = 77;
    page->cpu_mode = 1;
    CHECK("getcpu", cpu_node(&cpu, &node, NULL) == 0 && cpu == 0 && node == 0 && cpu_node(NULL, NULL, NULL) == 0);
    page->cpu_mode = 0;
    CHECK("getcpu", cpu_node(&cpu, &node, NULL) == 0 && (long)cpu < sysconf(_SC_NPROCESSORS_CONF));
    page->cpu_mode = 2;
    /* Linux keeps the same value in TSC_AUX. */
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (!sched_setaffinity(0, sizeof one, &one)) {
        unsigned same = 77;
        CHECK("getcpu", cpu_node(&same, &node, NULL) == 0 && same == cpu);
    }

    puts(failures ? "vdso: FAILED" : "vdso: ok");
    return failures != 0;
}
