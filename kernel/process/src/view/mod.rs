//! What `/proc` shows of the processes of one agent.
//!
//! Readers come in their own context: who they are is the running thread. Nothing here is kept from one look to the
//! next, and no lock of a process is held while text is made. Formats and rules are those of `proc(5)`; what this
//! kernel does not count is left out or said to be zero.

mod areas;
mod descriptors;
mod interrupts;
mod limits;
mod machine;
mod memory;
mod mounts;
mod sched;
mod stat;
mod status;
mod subject;
#[cfg(test)]
mod tests;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use kernel_fs::Path;
use kernel_fs::procfs::{Processes, Statistics, Subject};
use kernel_mm::Account;

use crate::{Pid, Pids, Thread};
use subject::View;

pub use interrupts::register_interrupts;
pub use machine::register_machine;

/// The processes of an agent. It does not keep them.
struct Agent {
    pids: Weak<Pids>,
    /// Who pays for what is shown; the agent itself where it is nobody else.
    payer: Option<Arc<Account>>,
}

/// What `/proc` needs to show the processes that `pids` numbers.
pub fn proc_view(pids: &Arc<Pids>) -> Arc<dyn Processes> {
    Arc::new(Agent { pids: Arc::downgrade(pids), payer: None })
}

/// The same for another agent, which pays for looking.
pub fn proc_view_for(pids: &Arc<Pids>, payer: &Arc<Account>) -> Arc<dyn Processes> {
    Arc::new(Agent { pids: Arc::downgrade(pids), payer: Some(payer.clone()) })
}

impl Processes for Agent {
    fn current(&self) -> Option<(Pid, Pid)> {
        let thread = Thread::current()?;
        let process = thread.process();
        let is_ours = core::ptr::eq(Arc::as_ptr(process.pids()), self.pids.as_ptr());
        is_ours.then(|| (process.pid(), thread.tid()))
    }

    fn root(&self) -> Option<Path> {
        Some(Thread::current()?.place().view().root.clone())
    }

    fn numbers(&self) -> Vec<Pid> {
        let Some(pids) = self.pids.upgrade() else { return Vec::new() };
        pids.processes().iter().map(|process| process.pid()).collect()
    }

    fn find(&self, number: Pid) -> Option<Arc<dyn Subject>> {
        let pids = self.pids.upgrade()?;
        if let Some(process) = pids.process(number) {
            return Some(Arc::new(View::process(&process)));
        }
        pids.thread(number).map(|thread| Arc::new(View::thread(&thread)) as Arc<dyn Subject>)
    }

    fn statistics(&self) -> Statistics {
        let Some(pids) = self.pids.upgrade() else { return Statistics::default() };
        let (census, (last, made)) = (pids.activity(), pids.given());
        Statistics {
            threads: census.threads,
            running: census.running,
            blocked: census.blocked,
            last,
            made,
            load: pids.load().hundredths(),
        }
    }

    fn account(&self) -> Arc<Account> {
        let own = || self.pids.upgrade().map_or_else(Account::kernel, |pids| pids.domain().memory().clone());
        self.payer.clone().unwrap_or_else(own)
    }
}
