/* The system-wide files of /proc, /proc/self/maps and mountinfo: their shape, not their numbers. */
#include "check.h"

static long number_after(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? atol(at + strlen(name)) : -1;
}

int main(void)
{
    char *meminfo = slurp("/proc/meminfo");
    long total = number_after(meminfo, "MemTotal:"), available = number_after(meminfo, "MemAvailable:"), unused = number_after(meminfo, "MemFree:");
    IS(total > 16384 && unused > 0 && unused < total && available > 0 && available < total);
    IS(!strncmp(meminfo, "MemTotal:", 9) && strstr(meminfo, " kB\n"));
    double up = 0, idle = 0;
    IS(sscanf(slurp("/proc/uptime"), "%lf %lf", &up, &idle) == 2 && up > 0);
    struct timespec boot;
    clock_gettime(CLOCK_BOOTTIME, &boot);
    IS(boot.tv_sec - (long)up >= 0 && boot.tv_sec - (long)up < 5);
    char *cpus = slurp("/proc/cpuinfo");
    IS(strstr(cpus, "processor\t: 0\n") && strstr(cpus, "vendor_id\t: ") && strstr(cpus, "flags\t\t: "));
    IS(strstr(cpus, " fpu ") && strstr(cpus, " sse2 ") && strstr(cpus, " lm "));
    char *mounts = slurp("/proc/mounts");
    IS(strstr(mounts, " / ") && strstr(mounts, " /proc proc "));
    IS(strlen(slurp("/proc/self/mounts")) == strlen(mounts));
    IS(strstr(slurp("/proc/self/mountinfo"), " - proc ") != 0);
    char *stat = slurp("/proc/stat");
    IS(!strncmp(stat, "cpu  ", 5) && strstr(stat, "\nbtime ") && strstr(stat, "\ncpu0 "));
    double load[3];
    int running, tasks, last;
    IS(sscanf(slurp("/proc/loadavg"), "%lf %lf %lf %d/%d %d", load, load + 1, load + 2, &running, &tasks, &last) == 6);
    IS(strstr(slurp("/proc/filesystems"), "tmpfs\n") && strstr(slurp("/proc/filesystems"), "nodev\tproc\n"));
    IS(!strncmp(slurp("/proc/version"), "Linux version ", 14));
    IS(number_after(slurp("/proc/sys/kernel/pid_max"), "") >= 300);
    IS(strlen(slurp("/proc/sys/kernel/hostname")) > 1);
    IS(!strcmp(slurp("/proc/sys/kernel/ostype"), "Linux\n"));

    /* The program's own areas, in ascending order and with the right names. */
    char *maps = slurp("/proc/self/maps");
    unsigned long low, high, previous = 0;
    int ordered = 1, program = 0, code = 0, stack = 0, heap = 0, vdso = 0, line_count = 0, here;
    char rights[5];
    malloc(1000);
    for (char *line = strtok(maps, "\n"); line; line = strtok(0, "\n"), line_count++) {
        if (sscanf(line, "%lx-%lx %4s", &low, &high, rights) != 3 || low < previous || high <= low)
            ordered = 0;
        previous = high;
        if (strstr(line, "/proc_system")) {
            program++;
            code += (unsigned long)main >= low && (unsigned long)main < high && !strcmp(rights, "r-xp");
        }
        stack += strstr(line, "[stack]") && (unsigned long)&here >= low && (unsigned long)&here < high && !strcmp(rights, "rw-p");
        heap += strstr(line, "[heap]") && !strcmp(rights, "rw-p");
        vdso += strstr(line, "[vdso]") && !strcmp(rights, "r-xp");
    }
    IS(ordered && line_count > 5);
    say("program lines %d, code %d, stack %d, heap %d, vdso %d", program > 2, code, stack, heap, vdso);

    /* Files of /proc can be read in pieces and from the middle. */
    char whole[512] = "", pieces[512] = "";
    int fd = open("/proc/version", O_RDONLY);
    ssize_t length = read(fd, whole, sizeof whole), at = 0, got;
    lseek(fd, 0, SEEK_SET);
    while ((got = read(fd, pieces + at, 7)) > 0)
        at += got;
    IS(at == length && !strcmp(whole, pieces));
    IS(pread(fd, pieces, 10, 6) == 10 && !memcmp(pieces, whole + 6, 10));
    struct stat status;
    fstat(fd, &status);
    say("size %ld mode %o", (long)status.st_size, status.st_mode);
    return 0;
}
