//! A process: what its threads have in common, and its place in the family.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use kernel_fs::{Credentials, File};
use kernel_hal::time::{Instant, now};
use kernel_mm::{AddressSpace, KernelCharge};
use kernel_sync::{SpinLock, WaitQueue};

use crate::exit::{ExitReason, ExitStatus};
use crate::signal::{Handlers, IntervalTimers, Pending, Stopping};
use crate::{Pid, Pids, ResourceLimits, Thread};

/// How far a process is. Moves only down this list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    Alive,
    /// One thread has decided that all end, with this reason; the rest are on their way out.
    Ending(ExitReason),
    /// All threads are gone; the parent has not looked yet.
    Zombie(ExitReason),
    /// The parent has looked, or did not want to.
    Reaped,
}

/// Where `exec` put the program's parts, for `/proc` and `prctl`.
#[derive(Clone, Copy, Default, Debug)]
pub struct Layout {
    pub arguments: (u64, u64),
    pub environment: (u64, u64),
    pub stack: u64,
    pub code: (u64, u64),
    pub data: (u64, u64),
    pub heap: u64,
    /// The auxiliary vector's range.
    pub auxiliary: (u64, u64),
}

/// What a process has used, itself or with its reaped descendants.
#[derive(Clone, Copy, Default, Debug)]
pub struct Usage {
    pub cpu_ns: u64,
    pub minor_faults: u64,
    pub major_faults: u64,
    /// How often threads left their processor to wait, and how often for others.
    pub voluntary: u64,
    pub involuntary: u64,
    /// Frames, at the most.
    pub peak_resident: u64,
}

impl Usage {
    pub fn add(&mut self, other: Usage) {
        self.cpu_ns += other.cpu_ns;
        self.minor_faults += other.minor_faults;
        self.major_faults += other.major_faults;
        self.voluntary += other.voluntary;
        self.involuntary += other.involuntary;
        self.peak_resident = self.peak_resident.max(other.peak_resident);
    }
}

/// What stays of a process's threads when they are gone: the leader's, or of who left first.
pub(crate) struct Departed {
    pub name: [u8; 16],
    pub credentials: Arc<Credentials>,
}

pub struct Process {
    pid: Pid,
    pids: Arc<Pids>,
    started: Instant,
    pub(crate) state: SpinLock<State>,
    pub(crate) threads: SpinLock<Vec<Arc<Thread>>>,
    /// Changes only under the tree lock.
    parent: SpinLock<Weak<Process>>,
    /// Living and dead; changes only under the tree lock.
    pub(crate) children: SpinLock<Vec<Arc<Process>>>,
    group: AtomicU32,
    session: AtomicU32,
    /// The signal the parent gets when this process ends; 0 for none.
    pub exit_signal: AtomicU32,
    /// Has called `execve` since it was forked (`setpgid` asks).
    pub executed: AtomicBool,
    /// Gone from address space to address space by `execve`; `None` once the process has ended.
    space: SpinLock<Option<Arc<AddressSpace>>>,
    pub handlers: SpinLock<Arc<Handlers>>,
    /// Signals for the process as a whole.
    pub pending: SpinLock<Pending>,
    pub timers: IntervalTimers,
    /// Stopped by a signal, or not.
    pub(crate) stop: Stopping,
    pub limits: ResourceLimits,
    pub executable: SpinLock<Option<Arc<File>>>,
    pub layout: SpinLock<Layout>,
    /// Name and identity to show when no thread is left that has them.
    pub(crate) departed: SpinLock<Option<Departed>>,
    /// Of threads that are gone.
    pub(crate) past: SpinLock<Usage>,
    /// Of children that were waited for.
    pub(crate) children_usage: SpinLock<Usage>,
    pub minor_faults: AtomicU64,
    pub major_faults: AtomicU64,
    /// Woken when a child changes state.
    pub child_events: WaitQueue,
    /// Woken when a thread goes or the process ends.
    pub thread_events: WaitQueue,
    /// Stop and continue events that the parent has not looked at (`WUNTRACED`, `WCONTINUED`).
    pub(crate) reported: SpinLock<Option<StopEvent>>,
    /// Orphaned descendants come here instead of process 1 (`PR_SET_CHILD_SUBREAPER`).
    pub subreaper: AtomicBool,
    /// `PR_SET_DUMPABLE`.
    pub dumpable: AtomicU32,
    pub no_new_privileges: AtomicBool,
    /// `personality(2)`.
    pub persona: AtomicU32,
    /// Which commands of `membarrier(2)` it registered for.
    pub barriers: AtomicU32,
    /// One of its threads was given up with what it had hold of.
    given_up: AtomicBool,
    _charge: KernelCharge,
}

/// A change of a child that `wait` can report besides its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopEvent {
    Stopped(u32),
    Continued,
}

/// What a new process begins with.
pub(crate) struct Parts {
    pub pid: Pid,
    pub pids: Arc<Pids>,
    pub parent: Weak<Process>,
    pub group: Pid,
    pub session: Pid,
    pub exit_signal: u32,
    pub space: Arc<AddressSpace>,
    pub handlers: Arc<Handlers>,
    pub limits: ResourceLimits,
    pub executable: Option<Arc<File>>,
    pub layout: Layout,
    pub charge: KernelCharge,
}

impl Process {
    pub(crate) fn new(parts: Parts) -> Arc<Process> {
        Arc::new_cyclic(|this| Process {
            pid: parts.pid,
            pids: parts.pids,
            started: now(),
            state: SpinLock::new(State::Alive),
            threads: SpinLock::default(),
            parent: SpinLock::new(parts.parent),
            children: SpinLock::default(),
            group: AtomicU32::new(parts.group),
            session: AtomicU32::new(parts.session),
            exit_signal: AtomicU32::new(parts.exit_signal),
            executed: AtomicBool::new(false),
            space: SpinLock::new(Some(parts.space)),
            handlers: SpinLock::new(parts.handlers),
            pending: SpinLock::default(),
            timers: IntervalTimers::new(this.clone()),
            stop: Stopping::default(),
            limits: parts.limits,
            executable: SpinLock::new(parts.executable),
            layout: SpinLock::new(parts.layout),
            departed: SpinLock::new(None),
            past: SpinLock::default(),
            children_usage: SpinLock::default(),
            minor_faults: AtomicU64::new(0),
            major_faults: AtomicU64::new(0),
            child_events: WaitQueue::new(),
            thread_events: WaitQueue::new(),
            reported: SpinLock::new(None),
            subreaper: AtomicBool::new(false),
            dumpable: AtomicU32::new(1),
            no_new_privileges: AtomicBool::new(false),
            persona: AtomicU32::new(0),
            barriers: AtomicU32::new(0),
            given_up: AtomicBool::new(false),
            _charge: parts.charge,
        })
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    pub fn pids(&self) -> &Arc<Pids> {
        &self.pids
    }

    /// The agent's rights and accounts.
    pub fn domain(&self) -> &Arc<kernel_cap::Domain> {
        self.pids.domain()
    }

    pub fn started(&self) -> Instant {
        self.started
    }

    pub fn state(&self) -> State {
        *self.state.lock()
    }

    /// True until one of its threads has decided that it ends.
    pub fn is_alive(&self) -> bool {
        matches!(*self.state.lock(), State::Alive)
    }

    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// How it ended, once it has.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        match self.state() {
            State::Zombie(reason) => Some(reason.status),
            State::Alive | State::Ending(_) | State::Reaped => None,
        }
    }

    pub fn parent(&self) -> Option<Arc<Process>> {
        self.parent.lock().upgrade()
    }

    /// The parent's number; 0 for the agent's first process.
    pub fn parent_pid(&self) -> Pid {
        self.parent().map_or(0, |parent| parent.pid)
    }

    /// Under the tree lock.
    pub(crate) fn set_parent(&self, parent: &Arc<Process>) {
        *self.parent.lock() = Arc::downgrade(parent);
    }

    pub fn children(&self) -> Vec<Arc<Process>> {
        self.children.lock().clone()
    }

    pub fn group(&self) -> Pid {
        self.group.load(Ordering::Relaxed)
    }

    /// Under the tree lock.
    pub fn set_group(&self, group: Pid) {
        self.group.store(group, Ordering::Relaxed);
    }

    pub fn session(&self) -> Pid {
        self.session.load(Ordering::Relaxed)
    }

    /// Under the tree lock.
    pub fn set_session(&self, session: Pid) {
        self.session.store(session, Ordering::Relaxed);
    }

    /// The memory of the process; `None` once it has ended.
    #[inline]
    pub fn space(&self) -> Option<Arc<AddressSpace>> {
        self.space.lock().clone()
    }

    /// Gives the process other memory, or none, and returns what it had.
    pub(crate) fn replace_space(&self, space: Option<Arc<AddressSpace>>) -> Option<Arc<AddressSpace>> {
        core::mem::replace(&mut *self.space.lock(), space)
    }

    pub fn threads(&self) -> Vec<Arc<Thread>> {
        self.threads.lock().clone()
    }

    pub fn thread_count(&self) -> usize {
        self.threads.lock().len()
    }

    /// The thread whose number is the process's, while it lives; else any.
    pub fn leader(&self) -> Option<Arc<Thread>> {
        let threads = self.threads.lock();
        threads.iter().find(|thread| thread.tid() == self.pid).or(threads.first()).cloned()
    }

    /// The program's name as `/proc` shows it.
    pub fn name(&self) -> [u8; 16] {
        match self.leader() {
            Some(leader) => leader.name(),
            None => self.departed.lock().as_ref().map_or([0; 16], |departed| departed.name),
        }
    }

    /// Who it runs as, or ran as before it ended.
    pub fn credentials(&self) -> Option<Arc<Credentials>> {
        match self.leader() {
            Some(leader) => Some(leader.credentials()),
            None => self.departed.lock().as_ref().map(|departed| departed.credentials.clone()),
        }
    }

    /// What the process itself has used until now.
    pub fn usage(&self) -> Usage {
        let mut usage = self.used_by_threads();
        usage.minor_faults = self.minor_faults.load(Ordering::Relaxed);
        usage.major_faults = self.major_faults.load(Ordering::Relaxed);
        if let Some(space) = self.space() {
            usage.peak_resident = usage.peak_resident.max(space.peak_resident() as u64);
        }
        usage
    }

    /// Processor time of all threads, living and gone, in nanoseconds. It never goes back.
    pub fn cpu_time(&self) -> u64 {
        self.used_by_threads().cpu_ns
    }

    fn used_by_threads(&self) -> Usage {
        // A thread that leaves adds its time to what is past under the same lock.
        let threads = self.threads.lock();
        let mut usage = *self.past.lock();
        threads.iter().for_each(|thread| usage.add(thread.usage()));
        usage
    }

    /// What children that were waited for have used.
    pub fn children_usage(&self) -> Usage {
        *self.children_usage.lock()
    }
}

/// What the first thread of an agent is scheduled by.
pub(crate) fn first_params(domain: &kernel_cap::Domain) -> kernel_sched::Params {
    kernel_sched::Params { group: domain.cpu().cloned(), ..kernel_sched::Params::default() }
}
