//! A thread of a process.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use core::time::Duration;

use aios_abi::Errno;
use aios_abi::linux::consts::resource::RLIMIT_NOFILE;
use kernel_cap::Hold;
use kernel_fs::{Context, Credentials, File};
use kernel_mm::{Headroom, KernelCharge};
use kernel_sched::Activity;
use kernel_sync::{Once, SpinLock};

use crate::exit::ExitReason;
use crate::freeze::HeldFault;
use crate::process::Usage;
use crate::signal::ThreadSignals;
use crate::{Files, Pid, Place, Process};

/// A call that [`restart_syscall`](https://man7.org/linux/man-pages/man2/restart_syscall.2.html) goes on with: what is
/// left to wait for is an absolute time, so that the wait does not grow with each interruption.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Restart {
    /// The call's number and arguments; the personality knows what they mean.
    pub number: u64,
    pub arguments: [u64; 6],
    /// When the wait ends, in nanoseconds on the monotonic clock.
    pub deadline: u64,
}

pub struct Thread {
    /// Changes once, to the process's, when a thread that is not the leader calls `execve`.
    tid: AtomicU32,
    process: Arc<Process>,
    kernel: Once<Arc<kernel_sched::Thread>>,
    name: SpinLock<[u8; 16]>,
    files: SpinLock<Arc<Files>>,
    place: SpinLock<Arc<Place>>,
    credentials: SpinLock<Arc<Credentials>>,
    pub signals: SpinLock<ThreadSignals>,
    /// Cleared and woken as a futex when the thread ends (`set_tid_address(2)`); 0 for none.
    pub clear_tid: AtomicU64,
    /// `set_robust_list(2)`; 0 for none.
    pub robust_list: AtomicU64,
    pub(crate) futex: crate::futex::Waiter,
    /// `rseq(2)`: address, length and signature; 0 for none.
    pub rseq: AtomicU64,
    pub rseq_length: AtomicU32,
    pub rseq_signature: AtomicU32,
    /// The processor that the area shows.
    pub(crate) rseq_cpu: AtomicU32,
    /// The number of the call under way, for restarting; -1 outside calls.
    pub call: AtomicI32,
    pub restart: SpinLock<Option<Restart>>,
    /// Told when this thread, made by `vfork`, no longer uses its parent's memory.
    pub(crate) vfork: SpinLock<Option<Arc<crate::fork::VforkDone>>>,
    /// `PR_SET_PDEATHSIG`.
    pub parent_death_signal: AtomicU32,
    /// The nice level, also while it is in a class that has none.
    pub nice: AtomicI32,
    /// `SCHED_RESET_ON_FORK`.
    pub reset_on_fork: AtomicBool,
    /// This thread alone ends (`exit(2)`); the reason is the process's if it is the last.
    ending: SpinLock<Option<ExitReason>>,
    /// What it did wrong, until the agent's fault policy has judged it.
    pub(crate) held: SpinLock<Option<HeldFault>>,
    /// It is on its way out (`exit::leave`).
    pub(crate) leaving: AtomicBool,
    _hold: Hold,
    _charge: KernelCharge,
    _headroom: Headroom,
}

/// How much later than asked for a program's waits may end, unless it says otherwise (`PR_SET_TIMERSLACK`); as on Linux.
pub const TIMER_SLACK: Duration = Duration::from_micros(50);

/// What a new thread begins with.
pub(crate) struct Parts {
    pub tid: Pid,
    pub process: Arc<Process>,
    pub name: [u8; 16],
    pub files: Arc<Files>,
    pub place: Arc<Place>,
    pub credentials: Arc<Credentials>,
    pub signals: ThreadSignals,
    pub clear_tid: u64,
    pub hold: Hold,
    pub charge: KernelCharge,
    /// For its calls.
    pub headroom: Headroom,
}

impl Thread {
    pub(crate) fn new(parts: Parts) -> Arc<Thread> {
        Arc::new(Thread {
            tid: AtomicU32::new(parts.tid),
            process: parts.process,
            kernel: Once::new(),
            name: SpinLock::new(parts.name),
            files: SpinLock::new(parts.files),
            place: SpinLock::new(parts.place),
            credentials: SpinLock::new(parts.credentials),
            signals: SpinLock::new(parts.signals),
            clear_tid: AtomicU64::new(parts.clear_tid),
            robust_list: AtomicU64::new(0),
            futex: crate::futex::Waiter::default(),
            rseq: AtomicU64::new(0),
            rseq_length: AtomicU32::new(0),
            rseq_signature: AtomicU32::new(0),
            rseq_cpu: AtomicU32::new(0),
            call: AtomicI32::new(-1),
            restart: SpinLock::new(None),
            vfork: SpinLock::new(None),
            parent_death_signal: AtomicU32::new(0),
            nice: AtomicI32::new(0),
            reset_on_fork: AtomicBool::new(false),
            ending: SpinLock::new(None),
            held: SpinLock::new(None),
            leaving: AtomicBool::new(false),
            _hold: parts.hold,
            _charge: parts.charge,
            _headroom: parts.headroom,
        })
    }

    /// The thread that calls; `None` on a kernel thread that runs no program.
    pub fn current() -> Option<Arc<Thread>> {
        kernel_sched::running()?.owner()?.downcast::<Thread>().ok()
    }

    pub fn tid(&self) -> Pid {
        self.tid.load(Ordering::Relaxed)
    }

    /// Under the tree lock.
    pub(crate) fn set_tid(&self, tid: Pid) {
        self.tid.store(tid, Ordering::Relaxed);
        if let Some(kernel) = self.kernel() {
            kernel_sched::trace::program(kernel, self.process.pid(), tid);
        }
    }

    #[inline]
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    pub(crate) fn set_kernel(&self, kernel: Arc<kernel_sched::Thread>) {
        let maker = Thread::current().and_then(|maker| maker.kernel.get().cloned());
        kernel_sched::trace::program(&kernel, self.process.pid(), self.tid());
        kernel.set_timer_slack(maker.map_or(TIMER_SLACK, |maker| maker.timer_slack()));
        self.kernel.set(kernel);
    }

    /// The kernel thread it runs on; set before it runs.
    #[inline]
    pub fn kernel(&self) -> Option<&Arc<kernel_sched::Thread>> {
        self.kernel.get()
    }

    /// Something waits at the user boundary: a signal, the end of the process.
    #[inline]
    pub fn needs_attention(&self) -> bool {
        self.kernel.get().is_some_and(|kernel| kernel.is_interrupted())
    }

    /// Brings the thread to the user boundary soon, wherever it is.
    pub fn call_to_boundary(&self) {
        if let Some(kernel) = self.kernel.get() {
            kernel.interrupt();
        }
    }

    pub fn cpu_time(&self) -> Duration {
        self.kernel.get().map_or(Duration::ZERO, |kernel| kernel.cpu_time())
    }

    /// What it has used by itself; what its memory took is the process's.
    pub fn usage(&self) -> Usage {
        let Some(kernel) = self.kernel.get() else { return Usage::default() };
        let stats = kernel.stats();
        Usage {
            cpu_ns: kernel.cpu_time().as_nanos() as u64,
            voluntary: stats.voluntary,
            involuntary: stats.involuntary,
            ..Usage::default()
        }
    }

    /// What it is up to. One that is stopped or frozen waits.
    pub fn activity(&self) -> Activity {
        let stands_still = || self.process.stop.signal().is_some() || self.process.pids().is_frozen();
        match self.kernel.get().map_or(Activity::Runnable, |kernel| kernel.activity()) {
            Activity::Blocked if stands_still() => Activity::Waiting,
            activity => activity,
        }
    }

    /// The name, NUL-padded (`PR_SET_NAME`).
    pub fn name(&self) -> [u8; 16] {
        *self.name.lock()
    }

    /// Sets the name to the first 15 bytes of `name`.
    pub fn set_name(&self, name: &[u8]) {
        let mut padded = [0; 16];
        for (to, from) in padded.iter_mut().take(15).zip(name) {
            *to = *from;
        }
        *self.name.lock() = padded;
        if let Some(kernel) = self.kernel() {
            kernel_sched::trace::rename(kernel, &padded);
        }
    }

    #[inline]
    pub fn files(&self) -> Arc<Files> {
        self.files.lock().clone()
    }

    /// Replaces the descriptor table (`unshare`, `exec`, exit); the caller drops the old one.
    pub fn replace_files(&self, files: Arc<Files>) -> Arc<Files> {
        core::mem::replace(&mut *self.files.lock(), files)
    }

    /// The open file of a descriptor.
    #[inline]
    pub fn file(&self, fd: i32) -> Result<Arc<File>, Errno> {
        self.files().get(fd)
    }

    /// Gives `file` the lowest free descriptor.
    pub fn add_file(&self, file: Arc<File>, close_on_exec: bool) -> Result<i32, Errno> {
        self.files().add(file, 0, self.process.limits.current(RLIMIT_NOFILE), close_on_exec)
    }

    pub fn place(&self) -> Arc<Place> {
        self.place.lock().clone()
    }

    pub fn replace_place(&self, place: Arc<Place>) -> Arc<Place> {
        core::mem::replace(&mut *self.place.lock(), place)
    }

    pub fn credentials(&self) -> Arc<Credentials> {
        self.credentials.lock().clone()
    }

    pub fn set_credentials(&self, credentials: Credentials) {
        let old = core::mem::replace(&mut *self.credentials.lock(), Arc::new(credentials));
        drop(old);
    }

    /// Does something in the file tree as this thread.
    pub fn in_files<T>(&self, act: impl FnOnce(&Context<'_>) -> T) -> T {
        let view = self.place().view();
        let credentials = self.credentials();
        act(&Context {
            namespace: &view.namespace,
            root: &view.root,
            cwd: &view.cwd,
            credentials: &credentials,
            umask: view.umask,
        })
    }

    /// Makes this thread end at the user boundary.
    pub(crate) fn end(&self, reason: ExitReason) {
        self.ending.lock().get_or_insert(reason);
        self.call_to_boundary();
    }

    pub(crate) fn ending(&self) -> Option<ExitReason> {
        *self.ending.lock()
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    pub fn is_leader(&self) -> bool {
        self.tid() == self.process.pid()
    }

    pub(crate) fn finish_vfork(&self) {
        let done = self.vfork.lock().take();
        if let Some(done) = done {
            done.finish();
        }
    }

    /// The number of the call under way.
    pub fn call_number(&self) -> Option<u32> {
        u32::try_from(self.call.load(Ordering::Relaxed)).ok()
    }
}
