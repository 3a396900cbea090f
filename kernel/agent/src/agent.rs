//! One agent.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::signal::SIGKILL;
use aios_abi::native::agent::set_field_text;
use aios_abi::native::{AgentExitRecord, AgentId, AgentInfo, AgentState};
use kernel_cap::Domain;
use kernel_fs::Namespace;
use kernel_hal::addr::PAGE_SIZE;
use kernel_hal::time::{Instant, now};
use kernel_process::process::State;
use kernel_process::{ExitReason, ExitStatus, Pids, Process, exit, shortage};
use kernel_sync::{Once, SpinLock, WaitQueue};

use crate::state::{self, Event};
use crate::stop::Stop;
use crate::{record, table};

/// Why something else than its own processes ended an agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Killed {
    /// A verb did, for this reason.
    Verb(i32),
    /// The machine had no memory left, and the agent held the most: so many bytes.
    Memory(u64),
    /// The kernel failed while it served the agent.
    KernelFault,
}

pub struct Agent {
    parent: Option<AgentId>,
    domain: Arc<Domain>,
    pids: Arc<Pids>,
    namespace: SpinLock<Option<Arc<Namespace>>>,
    state: SpinLock<AgentState>,
    started: Instant,
    /// Why it was killed, when it was.
    killed: SpinLock<Option<Killed>>,
    /// How the kernel failed, when it did.
    kernel_fault: SpinLock<Option<String>>,
    exit: SpinLock<Option<AgentExitRecord>>,
    /// How its first process ended, once it has.
    first_end: SpinLock<Option<ExitReason>>,
    /// What will end the rest then. Made with the agent: an agent must be able to end when there is no memory.
    ender: Once<Arc<kernel_sched::Thread>>,
    /// Woken when an agent that this one spawned has ended, or was stopped by its fault policy.
    children_ended: WaitQueue,
    /// What it is stopped for, and what its parent has not heard of yet.
    pub(crate) stop: Stop,
}

impl Agent {
    pub(crate) fn new(
        parent: Option<AgentId>,
        domain: Arc<Domain>,
        pids: Arc<Pids>,
        namespace: Arc<Namespace>,
    ) -> Result<Arc<Agent>, Errno> {
        let agent = Arc::new(Agent {
            parent,
            domain,
            pids,
            namespace: SpinLock::new(Some(namespace)),
            state: SpinLock::new(AgentState::Created),
            started: now(),
            killed: SpinLock::new(None),
            kernel_fault: SpinLock::new(None),
            exit: SpinLock::new(None),
            first_end: SpinLock::new(None),
            ender: Once::new(),
            children_ended: WaitQueue::new(),
            stop: Stop::default(),
        });
        // Weak: the agent owns the thread.
        let weak = Arc::downgrade(&agent);
        let end = move || {
            if let Some(agent) = weak.upgrade() {
                agent.finish();
            }
        };
        let name = alloc::format!("end {}", agent.id());
        agent.ender.set(kernel_sched::Thread::new(
            name,
            None,
            None,
            None,
            kernel_sched::Params::default(),
            Box::new(end),
        )?);
        Ok(agent)
    }

    pub fn id(&self) -> AgentId {
        self.domain.id()
    }

    /// The agent that spawned it.
    pub fn parent(&self) -> Option<AgentId> {
        self.parent
    }

    pub fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }

    pub fn pids(&self) -> &Arc<Pids> {
        &self.pids
    }

    pub fn state(&self) -> AgentState {
        *self.state.lock()
    }

    /// Moves on in its life, if that is allowed.
    pub(crate) fn advance(&self, event: Event) -> Result<AgentState, Errno> {
        let mut state = self.state.lock();
        *state = state::next(*state, event)?;
        Ok(*state)
    }

    /// Ends it and all it owns, agents it spawned included.
    pub fn kill(&self, reason: i32) -> Result<(), Errno> {
        self.end(Killed::Verb(reason))
    }

    pub(crate) fn end(&self, why: Killed) -> Result<(), Errno> {
        self.advance(Event::End)?;
        *self.killed.lock() = Some(why);
        self.end_processes();
        Ok(())
    }

    /// Ends it because the kernel failed while it served it. False for the first agent, which cannot be spared.
    pub(crate) fn end_for_kernel_fault(&self, what: String) -> bool {
        if self.parent.is_none() {
            return false;
        }
        self.kernel_fault.lock().get_or_insert(what);
        // One that is ending already ends without help.
        let _ended = self.end(Killed::KernelFault);
        true
    }

    /// How the kernel failed while it served the agent.
    pub(crate) fn kernel_fault(&self) -> String {
        self.kernel_fault.lock().clone().unwrap_or_default()
    }

    /// Tells all processes to end, and lets none be added.
    fn end_processes(&self) -> Vec<Arc<Process>> {
        self.pids.close();
        let processes = self.pids.processes();
        for process in &processes {
            exit::end_process(process, ExitReason::signaled(SIGKILL));
        }
        processes
    }

    /// Its first process has ended: the rest ends with it, then its record is written. Runs in that process's last
    /// thread; other processes may still be on their way out, so a thread of its own waits for them.
    pub(crate) fn first_process_ended(&self, reason: ExitReason) {
        // Killed before, or ending by itself: both are fine.
        let _already_ending = self.advance(Event::End);
        *self.first_end.lock() = Some(reason);
        if let Some(ender) = self.ender.get() {
            ender.start();
        }
    }

    fn finish(&self) {
        let Some(reason) = *self.first_end.lock() else { return };
        for child in table::list().iter().filter(|child| child.parent == Some(self.id())) {
            // One that is ending already ends without help.
            let _ended = child.kill(0);
        }
        let cpu_ns = self.end_all_processes();
        let namespace = self.namespace.lock().take();
        drop(namespace);
        *self.exit.lock() = Some(self.record(&reason, cpu_ns));
        // Dying since `first_process_ended`.
        let _dead = self.advance(Event::Gone);
        shortage::given_back();
        if !self.tell_parent() {
            table::release(self.id());
        }
    }

    /// How it ended, when its first process did for `reason`.
    pub(crate) fn record(&self, reason: &ExitReason, cpu_ns: u64) -> AgentExitRecord {
        let (reason, killed) = match (self.stop.fault(), *self.killed.lock()) {
            // It was stopped for a fault, and never went on: by that it ended.
            (Some(fault), None | Some(Killed::Verb(_))) => (fault.reason, None),
            (_, killed) => (*reason, killed),
        };
        record::exit_record(self, &reason, killed, cpu_ns)
    }

    /// Lets the agent that spawned this one look; false where there is none.
    pub(crate) fn tell_parent(&self) -> bool {
        let parent = self.parent.and_then(table::find);
        parent.inspect(|parent| parent.children_ended.wake_all()).is_some()
    }

    /// Ends what is left and waits until it is gone; returns the processor time of those that were left.
    fn end_all_processes(&self) -> u64 {
        let ended = |process: &Process| matches!(process.state(), State::Zombie(_) | State::Reaped);
        let mut cpu_ns = 0;
        for process in self.end_processes() {
            process.thread_events.wait_uninterruptible(|| ended(&process).then_some(()));
            cpu_ns += process.usage().cpu_ns;
        }
        cpu_ns
    }

    /// Waits for the end of an agent that this one spawned: one, or any. Its identity is free afterwards. `ECHILD` when
    /// there is none, `None` with `no_hang` when none has ended. With `faulted` also for one that its fault policy has
    /// stopped, once each time; that one stays.
    pub fn wait(&self, which: Option<AgentId>, no_hang: bool, faulted: bool) -> Result<Option<AgentExitRecord>, Errno> {
        let look = || {
            let mut any = false;
            for child in self.children().into_iter().filter(|child| which.is_none_or(|id| id == child.id())) {
                any = true;
                if let Some(record) = child.exit.lock().take() {
                    table::release(child.id());
                    return Some(Ok(Some(record)));
                }
                if faulted && let Some(fault) = child.stop.take_news() {
                    return Some(Ok(Some(record::stop_record(&child, &fault))));
                }
            }
            match (any, no_hang) {
                (false, _) => Some(Err(Errno::ECHILD)),
                (true, true) => Some(Ok(None)),
                (true, false) => None,
            }
        };
        self.children_ended.wait_until(look).map_err(Errno::from)?
    }

    fn children(&self) -> Vec<Arc<Agent>> {
        table::list().into_iter().filter(|agent| agent.parent == Some(self.id())).collect()
    }

    /// True when it may look at `target`: itself, what it spawned, and, for the first agent, everything.
    pub fn may_see(&self, target: &Agent) -> bool {
        self.parent.is_none() || target.id() == self.id() || target.parent == Some(self.id())
    }

    /// Nanoseconds since it was spawned.
    pub(crate) fn age_ns(&self) -> u64 {
        now().since(self.started).as_nanos() as u64
    }

    /// What it is and holds now.
    pub fn info(&self) -> AgentInfo {
        let processes = self.pids.processes();
        let memory = self.domain.memory();
        let bytes = |frames: usize| (frames as u64).saturating_mul(PAGE_SIZE as u64);
        let mut info = AgentInfo {
            state: self.state().to_u32(),
            id: self.id().raw(),
            parent: self.parent.map_or(0, AgentId::raw),
            processes: processes.len() as u32,
            threads: processes.iter().map(|process| process.thread_count() as u32).sum(),
            open_files: self.domain.files().used() as u32,
            memory: bytes(memory.used()),
            peak_memory: bytes(memory.peak()),
            memory_limit: bytes(memory.limit()),
            cpu_ns: processes.iter().map(|process| process.usage().cpu_ns).sum(),
            started_ns: self.started.0,
            ..AgentInfo::default()
        };
        set_field_text(&mut info.name, self.domain.name());
        if let Some(stopped) = self.stop.fault() {
            info.fault = stopped.reason.fault.unwrap_or_default();
            info.fault_signal = match stopped.reason.status {
                ExitStatus::Signaled { signal, .. } => signal,
                ExitStatus::Exited(_) => 0,
            };
            info.fault_thread = stopped.thread;
            info.registers = stopped.registers;
        }
        info
    }
}
