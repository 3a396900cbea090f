/* Resource limits: getting, setting, inheriting, and what running into one does. */
#include "check.h"
#include <sys/resource.h>

static struct rlimit get(int resource)
{
    struct rlimit limit = {7, 7};
    NEED(getrlimit(resource, &limit) == 0);
    return limit;
}

static int file_size(void)
{
    int fd = open("limited", O_RDWR | O_CREAT, 0644);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){1000, RLIM_INFINITY});
    char block[600] = {0};
    VALUE(write(fd, block, 600));
    VALUE(write(fd, block, 600));
    VALUE(write(fd, block, 1));
    OK(ftruncate(fd, 1001));
    OK(ftruncate(fd, 10));
    signal(SIGXFSZ, SIG_DFL);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    VALUE(pwrite(fd, block, 1, 5000));
    return 0;
}

static int address_space(void)
{
    setrlimit(RLIMIT_AS, &(struct rlimit){64 << 20, 64 << 20});
    IS(mmap(0, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == ENOMEM);
    IS(mmap(0, 16 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    IS(malloc(100 << 20) == 0 && errno == ENOMEM);
    return 0;
}

static _Noreturn int processor_time(void)
{
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    setrlimit(RLIMIT_CPU, &(struct rlimit){1, 2});
    for (volatile long i = 0;; i++)
        ;
}

static int somebody(void)
{
    NEED(setresuid(1000, 1000, 1000) == 0);
    struct rlimit limit = get(RLIMIT_NOFILE);
    IS(setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit.rlim_cur, limit.rlim_max}) == 0);
    IS(setrlimit(RLIMIT_NOFILE, &(struct rlimit){50, limit.rlim_max + 1}) == -1 && errno == EPERM);
    IS(setrlimit(RLIMIT_NOFILE, &(struct rlimit){50, 60}) == 0);
    IS(setrlimit(RLIMIT_NOFILE, &(struct rlimit){50, 70}) == -1 && errno == EPERM);
    return 0;
}

int main(void)
{
    IS(get(RLIMIT_NOFILE).rlim_cur >= 256);
    IS(get(RLIMIT_STACK).rlim_cur >= 1 << 20);
    IS(get(RLIMIT_AS).rlim_max == RLIM_INFINITY);
    IS(setrlimit(RLIMIT_NOFILE, &(struct rlimit){100, 200}) == 0);
    struct rlimit limit = get(RLIMIT_NOFILE);
    say("descriptors %lu %lu", limit.rlim_cur, limit.rlim_max);
    IS(setrlimit(RLIMIT_NOFILE, &(struct rlimit){300, 200}) == -1 && errno == EINVAL);
    IS(getrlimit(99, &limit) == -1 && errno == EINVAL);
    IS(setrlimit(-1, &limit) == -1 && errno == EINVAL);
    IS(prlimit(0, RLIMIT_NOFILE, &(struct rlimit){120, 200}, &limit) == 0 && limit.rlim_cur == 100);
    IS(prlimit(getpid(), RLIMIT_NOFILE, 0, &limit) == 0 && limit.rlim_cur == 120);
    IS(prlimit(1 << 22, RLIMIT_NOFILE, 0, &limit) == -1 && errno == ESRCH);
    IS(getrlimit(RLIMIT_NOFILE, (struct rlimit *)1) == -1 && errno == EFAULT);

    pid_t child = fork();
    if (child == 0)
        _exit((int)get(RLIMIT_NOFILE).rlim_cur);
    reap("inherited", child);
    in_child("file size", file_size);
    in_child("address space", address_space);
    in_child("processor time", processor_time);
    in_child("not root", somebody);

    struct rusage usage;
    IS(getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss > 0 && usage.ru_utime.tv_sec >= 0);
    IS(getrusage(RUSAGE_CHILDREN, &usage) == 0 && usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec > 300000);
    IS(getrusage(99, &usage) == -1 && errno == EINVAL);
    child = fork();
    if (child == 0)
        _exit(0);
    int status;
    memset(&usage, 0x77, sizeof usage);
    IS(wait4(child, &status, 0, &usage) == child && usage.ru_utime.tv_sec < 100);
    return 0;
}
