//! Signals.

use super::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

wire! {
    /// `struct sigaction` as `rt_sigaction(2)` takes it (not the C library's order).
    Sigaction[32] {
        /// `SIG_DFL`, `SIG_IGN` or the address of the handler.
        handler: u64,
        flags: u64,
        /// Where the handler returns to.
        restorer: u64,
        /// Signal `n` is bit `n - 1`.
        mask: u64,
    }
    /// `stack_t` of `sigaltstack(2)`.
    Sigaltstack[24] {
        sp: u64,
        flags: u32,
        pad0: u32,
        size: u64,
    }
    /// `siginfo_t`. What `fields` holds depends on the cause: the builders below write it.
    Siginfo[128] {
        signo: i32,
        errno: i32,
        code: i32,
        pad0: u32,
        fields: [u64; 14],
    }
    /// `struct sigevent` of `timer_create(2)`.
    Sigevent[64] {
        value: u64,
        signo: i32,
        notify: i32,
        /// For `SIGEV_THREAD_ID`.
        tid: i32,
        pad0: [u32; 11],
    }
    /// `struct signalfd_siginfo`: what `read` on a signal descriptor returns.
    SignalfdSiginfo[128] {
        signo: u32,
        errno: i32,
        code: i32,
        pid: u32,
        uid: u32,
        fd: i32,
        tid: u32,
        band: u32,
        overrun: u32,
        trapno: u32,
        status: i32,
        int: i32,
        ptr: u64,
        utime: u64,
        stime: u64,
        addr: u64,
        addr_lsb: u16,
        pad0: u16,
        syscall: i32,
        call_addr: u64,
        arch: u32,
        pad1: [u32; 7],
    }
}

/// `AUDIT_ARCH_X86_64`, for `SIGSYS`.
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;

const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

impl Siginfo {
    fn new(signo: u32, code: i32, head: &[u64]) -> Siginfo {
        let mut info = Siginfo { signo: signo as i32, code, ..Siginfo::default() };
        for (to, from) in info.fields.iter_mut().zip(head) {
            *to = *from;
        }
        info
    }

    /// Sent by the kernel without a sender (`SI_KERNEL`).
    pub fn kernel(signo: u32) -> Siginfo {
        Siginfo::new(signo, super::super::consts::si_code::SI_KERNEL, &[])
    }

    /// Sent by `kill` (`SI_USER`) or `tgkill` (`SI_TKILL`).
    pub fn kill(signo: u32, code: i32, pid: u32, uid: u32) -> Siginfo {
        Siginfo::new(signo, code, &[pair(pid, uid)])
    }

    /// Sent by `sigqueue` (`SI_QUEUE`) with a value.
    pub fn queue(signo: u32, code: i32, pid: u32, uid: u32, value: u64) -> Siginfo {
        Siginfo::new(signo, code, &[pair(pid, uid), value])
    }

    /// Raised by an instruction: `SIGSEGV`, `SIGBUS`, `SIGILL`, `SIGFPE`, `SIGTRAP` with the address at fault.
    pub fn fault(signo: u32, code: i32, addr: u64) -> Siginfo {
        Siginfo::new(signo, code, &[addr])
    }

    /// `SIGCHLD`: a child changed state. Times are in ticks of `USER_HZ`; `status` is the exit code or the signal.
    pub fn child(code: i32, pid: u32, uid: u32, status: i32, utime: i64, stime: i64) -> Siginfo {
        let signo = super::super::consts::signal::SIGCHLD;
        Siginfo::new(signo, code, &[pair(pid, uid), status as u32 as u64, utime as u64, stime as u64])
    }

    /// A POSIX timer ran out (`SI_TIMER`).
    pub fn timer(signo: u32, timer: i32, overrun: i32, value: u64) -> Siginfo {
        let code = super::super::consts::si_code::SI_TIMER;
        Siginfo::new(signo, code, &[pair(timer as u32, overrun as u32), value])
    }

    /// `SIGSYS`: a refused system call.
    pub fn syscall(code: i32, call_addr: u64, number: u32) -> Siginfo {
        let signo = super::super::consts::signal::SIGSYS;
        Siginfo::new(signo, code, &[call_addr, pair(number, AUDIT_ARCH_X86_64)])
    }

    fn word(&self, index: usize) -> u64 {
        self.fields.get(index).copied().unwrap_or(0)
    }

    /// Sender or child, where the cause has one.
    pub fn pid(&self) -> u32 {
        self.word(0) as u32
    }

    /// User of the sender or child.
    pub fn uid(&self) -> u32 {
        (self.word(0) >> 32) as u32
    }

    /// Address at fault.
    pub fn addr(&self) -> u64 {
        self.word(0)
    }

    /// Exit code or signal of a child.
    pub fn status(&self) -> i32 {
        self.word(1) as u32 as i32
    }

    /// The value given to `sigqueue` or to the timer.
    pub fn value(&self) -> u64 {
        self.word(1)
    }
}
