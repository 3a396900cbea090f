/* What a handler is told: siginfo of each way to send a signal, and the context. */
#include "check.h"
#include <ucontext.h>

static volatile int count;
static siginfo_t last;
static int last_number;

static void handler(int number, siginfo_t *info, void *context)
{
    last_number = number;
    last = *info;
    count += ((ucontext_t *)context)->uc_mcontext.gregs[REG_RSP] != 0;
}

static void show(const char *how)
{
    const char *code = last.si_code == SI_USER ? "SI_USER" : last.si_code == SI_TKILL ? "SI_TKILL" : last.si_code == SI_QUEUE ? "SI_QUEUE" : last.si_code == SI_KERNEL ? "SI_KERNEL" : "?";
    say("%s: %s, %s, from %s, uid %d, errno %d", how, signal_name(last_number), code,
        last.si_pid == getpid() ? "self" : last.si_pid == getppid() ? "parent" : last.si_pid ? "another" : "nobody", last.si_uid, last.si_errno);
}

static int from_child(void)
{
    kill(getppid(), SIGUSR2);
    return 0;
}

int main(void)
{
    struct sigaction old;
    on_signal(SIGUSR1, handler, 0);
    on_signal(SIGUSR2, handler, 0);
    on_signal(SIGALRM, handler, 0);
    on_signal(SIGPIPE, handler, 0);
    on_signal(SIGRTMIN + 3, handler, 0);

    kill(getpid(), SIGUSR1);
    show("kill");
    raise(SIGUSR1);
    show("raise");
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 4711});
    show("sigqueue");
    say("value %d", last.si_value.sival_int);
    sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_ptr = (void *)0x123456789a});
    say("pointer %lx", (long)last.si_value.sival_ptr);
    in_child("sender", from_child);
    show("from a child");
    alarm(1);
    pause();
    show("alarm");
    int ends[2];
    NEED(pipe(ends) == 0);
    close(ends[0]);
    IS(write(ends[1], "x", 1) == -1 && errno == EPIPE);
    show("broken pipe");
    say("handled %d", count);

    /* What sigaction reports and refuses. */
    IS(sigaction(SIGUSR1, 0, &old) == 0 && old.sa_sigaction == handler && (old.sa_flags & SA_SIGINFO));
    IS(sigaction(SIGHUP, 0, &old) == 0 && old.sa_handler == SIG_DFL);
    struct sigaction action = {.sa_handler = SIG_IGN};
    IS(sigaction(SIGKILL, &action, 0) == -1 && errno == EINVAL);
    IS(sigaction(SIGSTOP, &action, 0) == -1 && errno == EINVAL);
    IS(sigaction(SIGKILL, 0, &old) == 0 && old.sa_handler == SIG_DFL);
    IS(sigaction(0, &action, 0) == -1 && errno == EINVAL);
    IS(sigaction(65, &action, 0) == -1 && errno == EINVAL);
    IS(syscall(SYS_rt_sigaction, SIGUSR1, 0, &old, 4) == -1 && errno == EINVAL);

    /* A process may not send with a code that pretends to be the kernel's to somebody else. */
    siginfo_t forged = {.si_signo = SIGUSR1, .si_code = SI_USER};
    IS(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &forged) == -1 && errno == EPERM);
    return 0;
}
