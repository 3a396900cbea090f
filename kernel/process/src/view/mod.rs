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
mod stat;
mod status;
mod subject;
#[cfg(test)]
mod tests;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use kernel_fs::Path;
use kernel_fs::procfs::{Processes, Subject};
use kernel_mm::Account;

use crate::{Pid, Pids, Thread};
use subject::View;

pub use interrupts::register_interrupts;
pub use machine::register_machine;

/// The processes of an agent. It does not keep them.
struct Agent(Weak<Pids>);

/// What `/proc` needs to show the processes that `pids` numbers.
pub fn proc_view(pids: &Arc<Pids>) -> Arc<dyn Processes> {
    Arc::new(Agent(Arc::downgrade(pids)))
}

impl Processes for Agent {
    fn current(&self) -> Option<(Pid, Pid)> {
        let thread = Thread::current()?;
        let process = thread.process();
        let is_ours = core::ptr::eq(Arc::as_ptr(process.pids()), self.0.as_ptr());
        is_ours.then(|| (process.pid(), thread.tid()))
    }

    fn root(&self) -> Option<Path> {
        Some(Thread::current()?.place().view().root.clone())
    }

    fn numbers(&self) -> Vec<Pid> {
        let Some(pids) = self.0.upgrade() else { return Vec::new() };
        pids.processes().iter().map(|process| process.pid()).collect()
    }

    fn find(&self, number: Pid) -> Option<Arc<dyn Subject>> {
        let pids = self.0.upgrade()?;
        if let Some(process) = pids.process(number) {
            return Some(Arc::new(View::process(&process)));
        }
        pids.thread(number).map(|thread| Arc::new(View::thread(&thread)) as Arc<dyn Subject>)
    }

    fn account(&self) -> Arc<Account> {
        self.0.upgrade().map_or_else(Account::kernel, |pids| pids.domain().memory().clone())
    }
}
