//! How threads and processes end.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use aios_abi::linux::consts::signal::SIGCHLD;
use aios_abi::linux::structs::Siginfo;
use aios_abi::native::FaultRecord;
use kernel_hal::task;
use kernel_sync::MutexGuard;

use crate::process::{Departed, State};
use crate::{Process, Thread, futex, jobs, signal};

/// The end of a process as `wait` reports it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// By `exit`, with the low eight bits of its argument.
    Exited(u8),
    /// By a signal.
    Signaled { signal: u32, core: bool },
}

/// The end of a process with its cause, for the agent's record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExitReason {
    pub status: ExitStatus,
    /// What the processor refused, when that ended it.
    pub fault: Option<FaultRecord>,
    /// What had no memory left, when the process had to end for want of it.
    pub out_of_memory: Option<Short>,
}

/// Whose memory was used up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Short {
    /// The agent was at its limit.
    Agent,
    Machine,
}

impl ExitReason {
    pub const fn exited(code: u8) -> ExitReason {
        ExitReason { status: ExitStatus::Exited(code), fault: None, out_of_memory: None }
    }

    pub const fn signaled(signal: u32) -> ExitReason {
        ExitReason { status: ExitStatus::Signaled { signal, core: false }, fault: None, out_of_memory: None }
    }
}

/// Decides that the process ends; the first reason counts. All its threads come to the user boundary and leave there.
pub fn end_process(process: &Process, reason: ExitReason) {
    {
        let mut state = process.state.lock();
        if *state != State::Alive {
            return;
        }
        *state = State::Ending(reason);
    }
    for thread in process.threads() {
        thread.call_to_boundary();
    }
    process.thread_events.wake_all();
}

/// Ends the calling thread; with the last one, the process. `reason` is the process's when it ends by this.
///
/// The caller returns to the thread's loop, which ends the kernel thread.
pub(crate) fn leave(thread: &Arc<Thread>, reason: ExitReason) {
    let process = thread.process().clone();
    thread.leaving.store(true, Ordering::Relaxed);
    futex::thread_exit(thread);
    thread.finish_vfork();
    let files = thread.replace_files(crate::Files::new(process.domain()));
    // Closed now if nobody shares them: the last use of a file may wait, and readers of a pipe wait for this.
    drop(files);
    signal::thread_exit(thread);
    {
        let departed = Departed { name: thread.name(), credentials: thread.credentials() };
        let mut known = process.departed.lock();
        if thread.is_leader() || known.is_none() {
            let before = known.replace(departed);
            drop(known);
            drop(before);
        }
    }
    let last = {
        let mut threads = process.threads.lock();
        threads.retain(|other| !Arc::ptr_eq(other, thread));
        process.past.lock().add(thread.usage());
        threads.is_empty()
    };
    if !thread.is_leader() || last {
        process.pids().retire_thread(thread.tid());
    }
    if last {
        process_end(&process, reason);
    } else {
        process.thread_events.wake_all();
    }
    process.pids().thread_left();
    // The memory goes with the last thread: off its page table first.
    task::set_root(None);
}

/// The last thread has left.
fn process_end(process: &Arc<Process>, reason: ExitReason) {
    let reason = match process.state() {
        State::Ending(reason) => reason,
        State::Alive | State::Zombie(_) | State::Reaped => reason,
    };
    process.timers.stop();
    let usage = process.usage();
    *process.past.lock() = usage;
    let space = process.replace_space(None);
    task::set_root(None);
    if let Some(space) = space {
        // Shared with a `vfork` parent or a `CLONE_VM` process it lives on. What a thread holds that was given up nobody uses.
        if Arc::strong_count(&space) == 1 || process.is_given_up() {
            space.clear();
        }
    }
    let executable = process.executable.lock().take();
    drop(executable);
    process.pids().retire_thread(process.pid());
    let pids = process.pids().clone();
    let is_first = process.pid() == 1;
    let notify;
    {
        let tree = pids.tree();
        adopt_children(process, &tree);
        *process.state.lock() = State::Zombie(reason);
        notify = process.parent();
        drop(tree);
    }
    process.thread_events.wake_all();
    signal::process_end(process);
    jobs::leader_ended(process);
    match notify {
        Some(parent) => tell_parent(process, &parent, reason),
        None => reap(process),
    }
    if is_first {
        pids.ended(reason);
    }
}

/// Gives the children of a process that ends to whoever takes orphans.
fn adopt_children(process: &Arc<Process>, tree: &MutexGuard<'_, ()>) {
    let children = core::mem::take(&mut *process.children.lock());
    if children.is_empty() {
        return;
    }
    let heir = reaper(process);
    for child in children {
        for thread in child.threads() {
            let wanted = thread.parent_death_signal.load(Ordering::Relaxed);
            if wanted != 0 {
                signal::send_to_process(&child, Siginfo::kernel(wanted));
            }
        }
        match &heir {
            Some(heir) => {
                child.set_parent(heir);
                heir.children.lock().push(child.clone());
                heir.child_events.wake_all();
                if matches!(child.state(), State::Zombie(_)) {
                    signal::send_to_process(heir, Siginfo::kernel(SIGCHLD));
                }
            }
            // Process 1 is gone: its agent ends, and nobody will look at the child.
            None if matches!(child.state(), State::Zombie(_)) => reap_in(&child, tree),
            None => {}
        }
    }
}

/// The nearest ancestor that takes orphans, or process 1.
fn reaper(process: &Arc<Process>) -> Option<Arc<Process>> {
    let mut at = process.parent();
    while let Some(ancestor) = at {
        if ancestor.subreaper.load(Ordering::Relaxed) && ancestor.is_alive() {
            return Some(ancestor);
        }
        at = ancestor.parent();
    }
    process.pids().process(1).filter(|first| !Arc::ptr_eq(first, process) && first.is_alive())
}

fn tell_parent(process: &Arc<Process>, parent: &Arc<Process>, reason: ExitReason) {
    let signal = process.exit_signal.load(Ordering::Relaxed);
    let ignored = signal == SIGCHLD && parent.handlers.lock().ignores_children();
    if ignored {
        reap(process);
    }
    if signal != 0 {
        signal::send_to_process(parent, signal::child_info(process, reason.status, signal));
    }
    parent.child_events.wake_all();
}

/// Takes a zombie off its parent and frees its number.
pub(crate) fn reap(process: &Arc<Process>) {
    reap_in(process, &process.pids().tree());
}

/// The same for who holds the tree.
fn reap_in(process: &Arc<Process>, _tree: &MutexGuard<'_, ()>) {
    *process.state.lock() = State::Reaped;
    if let Some(parent) = process.parent() {
        let mut usage = *process.past.lock();
        usage.add(*process.children_usage.lock());
        parent.children_usage.lock().add(usage);
        let mut removed: Vec<Arc<Process>> = Vec::new();
        {
            let mut children = parent.children.lock();
            if let Some(place) = children.iter().position(|child| Arc::ptr_eq(child, process)) {
                removed.push(children.swap_remove(place));
            }
        }
        drop(removed);
        // Another thread may wait for this very child, which is gone now.
        parent.child_events.wake_all();
    }
    process.pids().retire_process(process.pid());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[test]
    fn process_1_ends_with_a_child_that_nobody_waited_for() {
        let world = World::new();
        let (first, child) = (world.process(), world.process());
        child.set_parent(&first);
        first.children.lock().push(child.clone());
        *child.state.lock() = State::Zombie(ExitReason::exited(0));
        process_end(&first, ExitReason::exited(0));
        assert_eq!((child.state(), first.state()), (State::Reaped, State::Reaped));
    }
}
