/* Clocks: which exist, how they relate, resolution, and the vDSO that answers without a system call. */
#include "check.h"
#include <elf.h>
#include <sys/auxv.h>
#include <sys/times.h>

static double seconds(struct timespec time)
{
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double read_clock(clockid_t clock)
{
    struct timespec time = {0, 0};
    return clock_gettime(clock, &time) < 0 ? -1 : seconds(time);
}

/* Looks a function up in the vDSO's own symbol table. */
static void *vdso_symbol(const char *wanted)
{
    const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
    if (!base)
        return 0;
    const Elf64_Ehdr *header = (const void *)base;
    const Elf64_Phdr *segments = (const void *)(base + header->e_phoff);
    const Elf64_Dyn *dynamic = 0;
    const char *bias = 0;
    for (int i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD && !bias)
            bias = base + segments[i].p_offset - segments[i].p_vaddr;
        if (segments[i].p_type == PT_DYNAMIC)
            dynamic = (const void *)(base + segments[i].p_offset);
    }
    const Elf64_Sym *symbols = 0;
    const char *strings = 0;
    const uint32_t *hash = 0;
    for (; dynamic && dynamic->d_tag; dynamic++) {
        if (dynamic->d_tag == DT_SYMTAB)
            symbols = (const void *)(bias + dynamic->d_un.d_ptr);
        if (dynamic->d_tag == DT_STRTAB)
            strings = bias + dynamic->d_un.d_ptr;
        if (dynamic->d_tag == DT_HASH)
            hash = (const void *)(bias + dynamic->d_un.d_ptr);
    }
    for (uint32_t i = 0; symbols && strings && hash && i < hash[1]; i++)
        if (!strcmp(strings + symbols[i].st_name, wanted) && symbols[i].st_shndx != SHN_UNDEF)
            return (void *)(bias + symbols[i].st_value);
    return 0;
}

int main(void)
{
    struct timespec resolution;
    static const struct {
        clockid_t clock;
        const char *name;
    } clocks[] = {
        {CLOCK_REALTIME, "REALTIME"}, {CLOCK_MONOTONIC, "MONOTONIC"}, {CLOCK_PROCESS_CPUTIME_ID, "PROCESS_CPUTIME"},
        {CLOCK_THREAD_CPUTIME_ID, "THREAD_CPUTIME"}, {CLOCK_MONOTONIC_RAW, "MONOTONIC_RAW"}, {CLOCK_REALTIME_COARSE, "REALTIME_COARSE"},
        {CLOCK_MONOTONIC_COARSE, "MONOTONIC_COARSE"}, {CLOCK_BOOTTIME, "BOOTTIME"},
    };
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++)
        say("%s: %s, resolution %s", clocks[i].name, read_clock(clocks[i].clock) >= 0 ? "there" : "missing",
            clock_getres(clocks[i].clock, &resolution) == 0 && resolution.tv_sec == 0 && resolution.tv_nsec > 0 ? "given" : "missing");
    IS(clock_getres(CLOCK_MONOTONIC, &resolution) == 0 && resolution.tv_nsec == 1);
    IS(clock_getres(CLOCK_MONOTONIC, 0) == 0);
    OK(clock_gettime(55, &resolution));
    OK(clock_getres(-100, &resolution));

    double last = 0;
    int backwards = 0;
    for (int i = 0; i < 20000; i++) {
        double now = read_clock(CLOCK_MONOTONIC);
        backwards += now < last;
        last = now;
    }
    IS(backwards == 0);
    double real = read_clock(CLOCK_REALTIME), mono = read_clock(CLOCK_MONOTONIC);
    IS(real > 1.6e9);
    sleep_ms(50);
    double real_passed = read_clock(CLOCK_REALTIME) - real, passed = read_clock(CLOCK_MONOTONIC) - mono;
    IS(passed >= 0.05 && passed < 10 && real_passed > 0.045 && real_passed < 10);
    IS(read_clock(CLOCK_MONOTONIC) - read_clock(CLOCK_MONOTONIC_COARSE) < 0.5);
    IS(read_clock(CLOCK_BOOTTIME) + 0.001 >= read_clock(CLOCK_MONOTONIC));

    struct timeval day;
    IS(gettimeofday(&day, 0) == 0 && (double)day.tv_sec - real < 20 && (double)day.tv_sec - real > -2 && day.tv_usec < 1000000);
    time_t second = 0, returned = time(&second);
    IS(returned == second && second >= day.tv_sec);

    /* Processor time: stands while sleeping, moves while working. */
    double before = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    sleep_ms(100);
    IS(read_clock(CLOCK_PROCESS_CPUTIME_ID) - before < 0.09);
    before = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    double thread_before = read_clock(CLOCK_THREAD_CPUTIME_ID);
    for (double end = read_clock(CLOCK_MONOTONIC) + 0.1; read_clock(CLOCK_MONOTONIC) < end;)
        ;
    IS(read_clock(CLOCK_PROCESS_CPUTIME_ID) > before);
    IS(read_clock(CLOCK_THREAD_CPUTIME_ID) > thread_before);
    struct tms used;
    IS(times(&used) != (clock_t)-1 && used.tms_utime >= 0 && used.tms_cutime == 0);

    IS(vdso_symbol("__vdso_clock_gettime") != 0);
    IS(vdso_symbol("__vdso_gettimeofday") != 0);
    IS(vdso_symbol("__vdso_time") != 0);
    IS(vdso_symbol("__vdso_getcpu") != 0);
    int (*direct)(clockid_t, struct timespec *) = vdso_symbol("__vdso_clock_gettime");
    struct timespec from_call, from_vdso, from_call_after;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &from_call);
    IS(direct && direct(CLOCK_MONOTONIC, &from_vdso) == 0);
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &from_call_after);
    IS(seconds(from_call) <= seconds(from_vdso) && seconds(from_vdso) <= seconds(from_call_after));
    return 0;
}
