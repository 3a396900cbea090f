//! Process and thread numbers of one agent.
//!
//! Each agent numbers its own from 1, so that a copy of the agent can keep the numbers. Process 1 is the agent's
//! first; orphans become its children, and with its end the agent ends.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use aios_abi::Errno;
use kernel_cap::Domain;
use kernel_sched::Activity;
use kernel_sync::{Mutex, MutexGuard, Once, SpinLock};

use crate::exit::ExitReason;
use crate::freeze::Freezing;
use crate::load::{Census, LoadAverage};
use crate::{Process, Thread, jobs};

/// A process, thread, group or session number.
pub type Pid = u32;

/// Highest number, as on 64-bit Linux.
pub const PID_MAX: Pid = 4_194_304;

#[derive(Default)]
struct Table {
    threads: BTreeMap<Pid, Weak<Thread>>,
    processes: BTreeMap<Pid, Weak<Process>>,
    last: Pid,
    /// Numbers given out so far.
    given: u64,
    /// All numbers were used once: a new one must be looked for.
    wrapped: bool,
}

/// Called when process 1 has ended.
pub type EndHook = alloc::boxed::Box<dyn Fn(ExitReason) + Send + Sync>;

/// The numbers of one agent, and with them its processes.
pub struct Pids {
    domain: Arc<Domain>,
    table: SpinLock<Table>,
    /// Held while parents, children, groups and zombies change.
    tree: Mutex<()>,
    /// The agent ends: no process is added any more. Changes only under the tree lock.
    closed: AtomicBool,
    ended: Once<EndHook>,
    freezing: Freezing,
    load: LoadAverage,
}

impl Pids {
    pub fn new(domain: Arc<Domain>) -> Arc<Pids> {
        let pids = Arc::new(Pids {
            domain,
            table: SpinLock::default(),
            tree: Mutex::new(()),
            closed: AtomicBool::new(false),
            ended: Once::new(),
            freezing: Freezing::default(),
            load: LoadAverage::default(),
        });
        jobs::add_agent(&pids);
        pids
    }

    pub fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }

    /// Sets what is told when process 1 has ended. Called once, before it runs.
    pub fn on_end(&self, hook: EndHook) {
        self.ended.set(hook);
    }

    pub(crate) fn ended(&self, reason: ExitReason) {
        if let Some(hook) = self.ended.get() {
            hook(reason);
        }
    }

    pub(crate) fn freezing(&self) -> &Freezing {
        &self.freezing
    }

    /// Lets no process be added from now on, so that what there is can be ended.
    pub fn close(&self) {
        let _tree = self.tree();
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Under the tree lock.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Keeps the process tree as it is.
    pub fn tree(&self) -> MutexGuard<'_, ()> {
        self.tree.lock()
    }

    /// A number that nothing in the agent uses: not as process or thread, nor as group or session of a live process.
    pub(crate) fn allocate(&self) -> Result<Pid, Errno> {
        // Groups and sessions outlive the process that they are named after.
        let mut table = self.table.lock();
        let grouped = |number: Pid, table: &Table| {
            table
                .processes
                .values()
                .filter_map(Weak::upgrade)
                .any(|process| process.group() == number || process.session() == number)
        };
        for _ in 0..PID_MAX {
            if table.last >= PID_MAX {
                // As Linux does, low numbers are left alone after the first round.
                table.last = 299;
                table.wrapped = true;
            }
            table.last += 1;
            let next = table.last;
            let used = table.wrapped
                && (table.threads.contains_key(&next) || table.processes.contains_key(&next) || grouped(next, &table));
            if !used {
                // Held for the thread that is being made.
                table.threads.insert(next, Weak::new());
                table.given += 1;
                return Ok(next);
            }
        }
        Err(Errno::EAGAIN)
    }

    pub(crate) fn publish(&self, thread: &Arc<Thread>) {
        self.table.lock().threads.insert(thread.tid(), Arc::downgrade(thread));
    }

    pub(crate) fn publish_process(&self, process: &Arc<Process>) {
        self.table.lock().processes.insert(process.pid(), Arc::downgrade(process));
    }

    pub(crate) fn retire_thread(&self, tid: Pid) {
        self.table.lock().threads.remove(&tid);
    }

    pub(crate) fn retire_process(&self, pid: Pid) {
        self.table.lock().processes.remove(&pid);
    }

    pub fn thread(&self, tid: Pid) -> Option<Arc<Thread>> {
        self.table.lock().threads.get(&tid).and_then(Weak::upgrade)
    }

    /// The process with that number, zombies included.
    pub fn process(&self, pid: Pid) -> Option<Arc<Process>> {
        self.table.lock().processes.get(&pid).and_then(Weak::upgrade)
    }

    /// All processes, zombies included, by number.
    pub fn processes(&self) -> Vec<Arc<Process>> {
        self.table.lock().processes.values().filter_map(Weak::upgrade).collect()
    }

    /// The number given out last, and how many were given out so far.
    pub fn given(&self) -> (Pid, u64) {
        let table = self.table.lock();
        (table.last, table.given)
    }

    /// How many threads there are, and what they are up to.
    pub fn activity(&self) -> Census {
        let mut census = Census::default();
        for thread in self.processes().iter().flat_map(|process| process.threads()) {
            census.threads += 1;
            match thread.activity() {
                Activity::Running | Activity::Runnable => census.running += 1,
                Activity::Blocked => census.blocked += 1,
                Activity::Waiting => {}
            }
        }
        census
    }

    /// Averages of the threads that ran or could have run.
    pub fn load(&self) -> &LoadAverage {
        &self.load
    }

    /// The members of a process group.
    pub fn group(&self, group: Pid) -> Vec<Arc<Process>> {
        self.processes().into_iter().filter(|process| process.group() == group).collect()
    }
}

impl Drop for Pids {
    fn drop(&mut self) {
        jobs::remove_agent(self.domain.id().raw());
    }
}
