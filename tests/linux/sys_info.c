/* uname, sysinfo, getrandom, prctl, arch_prctl, getcpu: what a program asks its system. */
#include "check.h"
#include <asm/prctl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

int main(void)
{
    struct utsname name;
    IS(uname(&name) == 0);
    say("%s on %s", name.sysname, name.machine);
    int major = 0, minor = 0;
    IS(sscanf(name.release, "%d.%d", &major, &minor) == 2 && major >= 5);
    IS(name.nodename[0] != 0 && name.version[0] != 0);
    char host[65];
    IS(gethostname(host, sizeof host) == 0 && !strcmp(host, name.nodename));

    struct sysinfo info;
    memset(&info, 0xff, sizeof info);
    IS(sysinfo(&info) == 0);
    IS(info.uptime >= 0 && info.procs > 0 && info.mem_unit > 0);
    IS(info.totalram * info.mem_unit > 16 << 20 && info.freeram < info.totalram);
    IS(sysconf(_SC_NPROCESSORS_ONLN) >= 1 && sysconf(_SC_PAGESIZE) == 4096);

    unsigned char first[64] = {0}, second[64] = {0};
    VALUE(getrandom(first, 64, 0));
    VALUE(getrandom(second, 64, GRND_NONBLOCK));
    IS(memcmp(first, second, 64) != 0);
    VALUE(getrandom(first, 0, 0));
    VALUE(getrandom(first, 16, GRND_RANDOM));
    VALUE(getrandom(first, 16, 0x100));
    VALUE(getrandom((void *)1, 16, 0));
    VALUE(getrandom(malloc(100000), 100000, 0));

    char text[16];
    OK(prctl(PR_SET_NAME, "short"));
    OK(prctl(PR_GET_NAME, text));
    say("name %s", text);
    OK(prctl(PR_SET_NAME, "0123456789abcdefXYZ"));
    prctl(PR_GET_NAME, text);
    say("name %s", text);
    VALUE(prctl(PR_GET_DUMPABLE));
    OK(prctl(PR_SET_DUMPABLE, 0));
    VALUE(prctl(PR_GET_DUMPABLE));
    OK(prctl(PR_SET_DUMPABLE, 7));
    OK(prctl(PR_SET_DUMPABLE, 1));
    VALUE(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    VALUE(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    OK(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    int number = -1;
    OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    IS(prctl(PR_GET_PDEATHSIG, &number) == 0 && number == SIGUSR1);
    OK(prctl(PR_SET_PDEATHSIG, 65));
    OK(prctl(PR_SET_PDEATHSIG, 0));
    OK(prctl(9999));
    OK(prctl(PR_SET_NAME, 1));

    unsigned long fs = 0, gs = 1;
    IS(syscall(SYS_arch_prctl, ARCH_GET_FS, &fs) == 0 && fs == *(unsigned long *)fs);
    IS(syscall(SYS_arch_prctl, ARCH_GET_GS, &gs) == 0 && gs == 0);
    unsigned long block[4] = {1, 2, 0xabcdef, 4}, loaded = 0;
    IS(syscall(SYS_arch_prctl, ARCH_SET_GS, block) == 0);
    __asm__ volatile("mov %%gs:16, %0" : "=r"(loaded));
    say("through gs %lx", loaded);
    sched_yield();
    sleep_ms(2);
    __asm__ volatile("mov %%gs:8, %0" : "=r"(loaded));
    say("through gs after a switch %lx", loaded);
    IS(syscall(SYS_arch_prctl, ARCH_SET_FS, 0xffff800000000000) == -1 && errno == EPERM);
    IS(syscall(SYS_arch_prctl, 0x9999, 0) == -1 && errno == EINVAL);

    unsigned cpu = 99999, node = 99999;
    IS(getcpu(&cpu, &node) == 0 && cpu < 4096 && node < 1024);
    IS(sched_getcpu() >= 0);
    /* Numbers that no call has. */
    IS(syscall(9999) == -1 && errno == ENOSYS);
    IS(syscall(-1) == -1 && errno == ENOSYS);
    IS(syscall(0x7fffffff) == -1 && errno == ENOSYS);
    return 0;
}
