/* sigwaitinfo and sigtimedwait: taking blocked signals without handlers. */
#include "check.h"

int main(void)
{
    sigset_t set, pending;
    siginfo_t info;
    struct timespec none = {0, 0}, brief = {0, 20000000}, bad = {0, 1000000000};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, 0);

    IS(sigtimedwait(&set, &info, &none) == -1 && errno == EAGAIN);
    long begin = now_ms();
    IS(sigtimedwait(&set, &info, &brief) == -1 && errno == EAGAIN);
    IS(now_ms() - begin >= 19);
    IS(sigtimedwait(&set, &info, &bad) == -1 && errno == EINVAL);

    raise(SIGUSR1);
    IS(sigwaitinfo(&set, &info) == SIGUSR1);
    /* The C library says SI_USER where the kernel said SI_TKILL. */
    IS(info.si_signo == SIGUSR1 && info.si_code == SI_USER && info.si_pid == getpid());
    sigpending(&pending);
    IS(sigisemptyset(&pending));

    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 5});
    kill(getpid(), SIGUSR1);
    IS(sigwaitinfo(&set, &info) == SIGUSR1);
    IS(sigwaitinfo(&set, &info) == SIGRTMIN && info.si_value.sival_int == 5 && info.si_code == SI_QUEUE);

    pid_t child = fork();
    if (child == 0) {
        sleep_ms(20);
        _exit(3);
    }
    IS(sigwaitinfo(&set, &info) == SIGCHLD);
    IS(info.si_pid == child && info.si_status == 3 && info.si_code == CLD_EXITED);
    reap("child", child);

    raise(SIGUSR1);
    IS(sigwaitinfo(&set, 0) == SIGUSR1);
    int number = 0;
    raise(SIGUSR1);
    IS(sigwait(&set, &number) == 0 && number == SIGUSR1);

    /* A signal that is not in the set and ends the process still does. */
    child = fork();
    if (child == 0) {
        sigwaitinfo(&set, &info);
        _exit(0);
    }
    sleep_ms(20);
    kill(child, SIGTERM);
    reap("waiting child", child);
    IS(syscall(SYS_rt_sigtimedwait, &set, 0, &none, 4) == -1 && errno == EINVAL);
    return 0;
}
