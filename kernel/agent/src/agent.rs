//! One agent.

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
use kernel_process::{ExitReason, Pids, Process, exit};
use kernel_sync::{SpinLock, WaitQueue};

use crate::state::{self, Event};
use crate::{record, table};

pub struct Agent {
    parent: Option<AgentId>,
    domain: Arc<Domain>,
    pids: Arc<Pids>,
    namespace: SpinLock<Option<Arc<Namespace>>>,
    state: SpinLock<AgentState>,
    started: Instant,
    /// Why it was killed, when it was.
    killed: SpinLock<Option<i32>>,
    exit: SpinLock<Option<AgentExitRecord>>,
    /// Woken when an agent that this one spawned has ended.
    children_ended: WaitQueue,
}

impl Agent {
    pub(crate) fn new(
        parent: Option<AgentId>,
        domain: Arc<Domain>,
        pids: Arc<Pids>,
        namespace: Arc<Namespace>,
    ) -> Arc<Agent> {
        Arc::new(Agent {
            parent,
            domain,
            pids,
            namespace: SpinLock::new(Some(namespace)),
            state: SpinLock::new(AgentState::Created),
            started: now(),
            killed: SpinLock::new(None),
            exit: SpinLock::new(None),
            children_ended: WaitQueue::new(),
        })
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
        self.advance(Event::End)?;
        *self.killed.lock() = Some(reason);
        self.end_processes();
        Ok(())
    }

    fn end_processes(&self) {
        for process in self.pids.processes() {
            exit::end_process(&process, ExitReason::signaled(SIGKILL));
        }
    }

    /// Its first process has ended: the rest ends with it, then its record is written. Runs in that process's last
    /// thread; other processes may still be on their way out, so a worker waits for them.
    pub(crate) fn first_process_ended(self: &Arc<Self>, reason: ExitReason) {
        // Killed before, or ending by itself: both are fine.
        let _already_ending = self.advance(Event::End);
        let agent = self.clone();
        let name = alloc::format!("end {}", self.id());
        if kernel_sched::spawn(&name, move || agent.finish(reason)).is_err() {
            log::error!("agent {}: no memory for the thread that ends it", self.id());
        }
    }

    fn finish(self: Arc<Self>, reason: ExitReason) {
        for child in table::list().iter().filter(|child| child.parent == Some(self.id())) {
            // One that is ending already ends without help.
            let _ended = child.kill(0);
        }
        let cpu_ns = self.end_all_processes();
        let namespace = self.namespace.lock().take();
        drop(namespace);
        let record = record::exit_record(&self, &reason, *self.killed.lock(), cpu_ns);
        *self.exit.lock() = Some(record);
        // Dying since `first_process_ended`.
        let _dead = self.advance(Event::Gone);
        match self.parent.and_then(table::find) {
            Some(parent) => parent.children_ended.wake_all(),
            None => table::release(self.id()),
        }
    }

    /// Ends what is left and waits until it is gone; returns the processor time of those that were left. A process may
    /// make another until it notices its end, so this looks until there is none.
    fn end_all_processes(&self) -> u64 {
        let mut cpu_ns = 0;
        loop {
            let ended = |process: &Process| matches!(process.state(), State::Zombie(_) | State::Reaped);
            let processes = self.pids.processes();
            let Some(process) = processes.iter().find(|process| !ended(process)) else {
                return cpu_ns + processes.iter().map(|process| process.usage().cpu_ns).sum::<u64>();
            };
            exit::end_process(process, ExitReason::signaled(SIGKILL));
            process.thread_events.wait_uninterruptible(|| ended(process).then_some(()));
            cpu_ns += process.usage().cpu_ns;
        }
    }

    /// Waits for the end of an agent that this one spawned: one, or any. Its identity is free afterwards. `ECHILD` when
    /// there is none, `None` with `no_hang` when none has ended.
    pub fn wait(&self, which: Option<AgentId>, no_hang: bool) -> Result<Option<AgentExitRecord>, Errno> {
        let look = || {
            let mut any = false;
            for child in self.children().into_iter().filter(|child| which.is_none_or(|id| id == child.id())) {
                any = true;
                if let Some(record) = child.exit.lock().take() {
                    table::release(child.id());
                    return Some(Ok(Some(record)));
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
        info
    }
}
