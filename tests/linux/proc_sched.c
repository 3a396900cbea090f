/* How threads were scheduled, as /proc and getrusage tell it: the shape of the files, and that counters count. */
#include "check.h"
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

static long long in_status(const char *path, const char *name)
{
    char *at = strstr(slurp(path), name);
    return at ? atoll(at + strlen(name)) : -1;
}

/* The value of a row of `sched`; -1 when there is none. */
static long long row(const char *table, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\n%s ", name);
    char *at = strstr(table, key);
    return at ? atoll(strchr(at, ':') + 1) : -1;
}

/* Rows are a name of 45 columns, a colon, and a value of 21, which for times has six digits after a point. */
static int is_table(char *table)
{
    int line_count = 0, fine = 1;
    for (char *line = strtok(table, "\n"); line; line = strtok(0, "\n"), line_count++) {
        int pid, threads;
        char name[32];
        if (line_count == 0)
            fine &= sscanf(line, "%31s (%d, #threads: %d)", name, &pid, &threads) == 3 && pid == getpid() && !strcmp(name, "proc_sched");
        else if (line_count == 1)
            fine &= strlen(line) == strspn(line, "-") && strlen(line) == 67;
        else if (!strncmp(line, "se.", 3) || !strncmp(line, "nr_", 3) || !strncmp(line, "prio", 4))
            fine &= strlen(line) == 67 && line[45] == ':';
    }
    return fine && line_count > 8;
}

static int burn(long milliseconds)
{
    struct timespec now;
    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < milliseconds);
    return 0;
}

static void doze(int times)
{
    for (int i = 0; i < times; i++)
        nanosleep(&(struct timespec){0, 200000}, 0);
}

static volatile int go_on = 1;

static void *other(void *unused)
{
    doze(20);
    struct rusage mine;
    getrusage(RUSAGE_THREAD, &mine);
    IS(mine.ru_nvcsw >= 20 && mine.ru_nvcsw < 60);
    while (go_on)
        doze(1);
    return unused;
}

int main(void)
{
    char path[64];
    setpriority(PRIO_PROCESS, 0, 0);
    IS(is_table(slurp("/proc/self/sched")));
    char *table = slurp("/proc/self/sched");
    IS(row(table, "se.exec_start") > 0 && row(table, "se.sum_exec_runtime") >= 0 && row(table, "se.nr_migrations") >= 0);
    IS(row(table, "nr_switches") == row(table, "nr_voluntary_switches") + row(table, "nr_involuntary_switches"));
    say("weight %lld policy %lld prio %lld", row(table, "se.load.weight"), row(table, "policy"), row(table, "prio"));
    setpriority(PRIO_PROCESS, 0, 5);
    table = slurp("/proc/self/sched");
    say("nice 5: weight %lld policy %lld prio %lld", row(table, "se.load.weight"), row(table, "policy"), row(table, "prio"));
    sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 10});
    table = slurp("/proc/self/sched");
    say("first in, first out: policy %lld prio %lld", row(table, "policy"), row(table, "prio"));
    sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});

    /* Waiting is counted as such, in all places alike. */
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    long long told = in_status("/proc/self/status", "\nvoluntary_ctxt_switches:\t");
    doze(50);
    getrusage(RUSAGE_SELF, &after);
    long long more = in_status("/proc/self/status", "\nvoluntary_ctxt_switches:\t") - told;
    IS(after.ru_nvcsw - before.ru_nvcsw >= 50 && after.ru_nvcsw - before.ru_nvcsw < 80);
    IS(more >= 50 && more < 80);
    IS(row(slurp("/proc/self/sched"), "nr_voluntary_switches") >= told + 50);

    /* Two that want one processor take turns against their will, and wait. */
    cpu_set_t set, one;
    sched_getaffinity(0, sizeof set, &set);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &set))
            CPU_SET(i, &one);
    sched_setaffinity(0, sizeof one, &one);
    pid_t child = fork();
    if (child == 0)
        _exit(burn(400));
    burn(400);
    unsigned long long ran = 0, waited = 0, turns = 0;
    IS(sscanf(slurp("/proc/self/schedstat"), "%llu %llu %llu\n", &ran, &waited, &turns) == 3);
    IS(ran >= 400000000 && waited > 50000000 && turns > 50);
    getrusage(RUSAGE_SELF, &after);
    IS(after.ru_nivcsw >= 2);
    IS(in_status("/proc/self/status", "\nnonvoluntary_ctxt_switches:\t") >= 2);
    struct rusage reaped;
    IS(wait4(child, 0, 0, &reaped) == child && reaped.ru_nivcsw >= 2);
    getrusage(RUSAGE_CHILDREN, &after);
    IS(after.ru_nivcsw == reaped.ru_nivcsw && after.ru_nvcsw == reaped.ru_nvcsw);
    sched_setaffinity(0, sizeof set, &set);

    /* Each thread tells of itself. */
    pthread_t thread;
    pthread_create(&thread, 0, other, 0);
    snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", getpid());
    IS(sscanf(slurp(path), "%llu %llu %llu\n", &ran, &waited, &turns) == 3 && turns > 50);
    snprintf(path, sizeof path, "/proc/self/task/%d/sched", getpid());
    IS(strstr(slurp(path), "#threads: 2)") != 0);
    go_on = 0;
    pthread_join(thread, 0);

    /* The machine. */
    double load[3];
    int running, tasks, last, from_library;
    char end;
    IS(sscanf(slurp("/proc/loadavg"), "%lf %lf %lf %d/%d %d%c", load, load + 1, load + 2, &running, &tasks, &last, &end) == 7);
    IS(end == '\n' && running >= 1 && tasks >= running && last >= 2);
    double averages[3];
    from_library = getloadavg(averages, 3);
    IS(from_library == 3 && averages[0] - load[0] < 0.5 && load[0] - averages[0] < 0.5);
    struct sysinfo info;
    sysinfo(&info);
    double fixed = info.loads[0] / 65536.0;
    IS(fixed - load[0] < 0.5 && load[0] - fixed < 0.5);
    long long made = in_status("/proc/stat", "\nprocesses "), switches = in_status("/proc/stat", "\nctxt ");
    if (fork() == 0)
        _exit(0);
    wait(0);
    doze(10);
    IS(in_status("/proc/stat", "\nprocesses ") >= made + 1);
    IS(in_status("/proc/stat", "\nctxt ") >= switches + 11);
    IS(in_status("/proc/stat", "\nprocs_running ") >= 1 && in_status("/proc/stat", "\nprocs_blocked ") >= 0);
    IS(in_status("/proc/vmstat", "nr_free_pages ") > 0 && in_status("/proc/vmstat", "\npswpin ") >= 0);
    return 0;
}
