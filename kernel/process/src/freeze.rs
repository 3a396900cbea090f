//! An agent whose threads all stand still at the user boundary, and faults that wait there to be judged.
//!
//! A freeze sets a mark and calls every thread; each sleeps in [`park`] until the mark is taken away or its process ends. A
//! thread that is made meanwhile looks at the mark before its first instruction. Who sleeps at the boundary for another
//! reason (stopped by a signal, waiting for the child of a `vfork`) stands still too: it comes by here before it runs.
//!
//! Where the agent's policy wants to see faults first, one that no handler takes is kept with the thread as a
//! [`HeldFault`]. The thread asks the policy at the boundary, when no freeze holds it: it stops the agent, or the fault
//! takes its course. So of several threads that fault at a time each is looked at in its turn.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aios_abi::native::ThreadRegisters;
use kernel_hal::task;
use kernel_hal::user::UserContext;
use kernel_sync::{Once, WaitQueue};

use crate::exit::ExitReason;
use crate::{Pid, Pids, Process, Thread, signal};

/// A fault that no handler takes, and where the thread was.
#[derive(Clone, Copy, Debug)]
pub struct HeldFault {
    /// How the process ends by it.
    pub reason: ExitReason,
    pub thread: Pid,
    /// When it faulted.
    pub registers: ThreadRegisters,
    /// The policy has stopped the agent for it; when the agent goes on, it takes its course.
    judged: bool,
}

impl HeldFault {
    pub fn new(reason: ExitReason, thread: Pid, registers: ThreadRegisters) -> HeldFault {
        HeldFault { reason, thread, registers, judged: false }
    }
}

/// What the policy says of a fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// The process ends by it.
    Course,
    /// The agent was frozen for it; it takes its course when the agent goes on.
    Stopped,
    /// The agent was frozen for something else just now: asked again when it goes on.
    Later,
}

/// Asked about a fault, at the user boundary.
pub type FaultHook = Box<dyn Fn(&HeldFault) -> Judgement + Send + Sync>;

/// The part of [`Pids`] that stops threads.
#[derive(Default)]
pub struct Freezing {
    frozen: AtomicBool,
    /// Threads that sleep at the user boundary, frozen or not.
    still: AtomicUsize,
    queue: WaitQueue,
    /// Woken while frozen, when one more thread stands still or is gone.
    changed: WaitQueue,
    policy: Once<FaultHook>,
}

impl Freezing {
    fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::SeqCst)
    }

    fn tell(&self) {
        if self.is_frozen() {
            self.changed.wake_all();
        }
    }
}

/// While it lives, the thread runs no program.
pub(crate) struct Still<'a>(&'a Freezing);

impl Drop for Still<'_> {
    fn drop(&mut self) {
        self.0.still.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Pids {
    /// Calls all threads to the user boundary, where they stay.
    pub fn freeze(&self) {
        self.freezing().frozen.store(true, Ordering::SeqCst);
        for process in self.processes() {
            process.threads().iter().for_each(|thread| thread.call_to_boundary());
        }
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.freezing().frozen.store(false, Ordering::SeqCst);
        self.freezing().queue.wake_all();
        self.freezing().changed.wake_all();
    }

    pub fn is_frozen(&self) -> bool {
        self.freezing().is_frozen()
    }

    /// Waits until no thread runs its program any more, or the freeze is over.
    pub fn wait_until_still(&self) -> Result<(), kernel_sync::Interrupted> {
        let freezing = self.freezing();
        freezing.changed.wait_until(|| (!freezing.is_frozen() || self.is_still()).then_some(()))
    }

    fn is_still(&self) -> bool {
        let threads: usize = self.processes().iter().map(|process| process.thread_count()).sum();
        self.freezing().still.load(Ordering::SeqCst) >= threads
    }

    /// The calling thread is about to sleep at the user boundary.
    pub(crate) fn still(&self) -> Still<'_> {
        let still = Still(self.freezing());
        still.0.still.fetch_add(1, Ordering::SeqCst);
        still.0.tell();
        still
    }

    /// A thread is gone.
    pub(crate) fn thread_left(&self) {
        self.freezing().tell();
    }

    /// Sets what judges faults from now on. Called at most once, before process 1 runs.
    pub fn on_fault(&self, hook: FaultHook) {
        self.freezing().policy.set(hook);
    }
}

/// Sleeps while the agent is frozen. True when it was.
pub(crate) fn park(thread: &Thread) -> bool {
    let process = thread.process();
    let pids = process.pids();
    if !pids.is_frozen() {
        return false;
    }
    let _still = pids.still();
    pids.freezing().queue.wait_uninterruptible(|| {
        let over = !pids.is_frozen() || !process.is_alive() || thread.ending().is_some();
        over.then_some(())
    });
    true
}

/// Keeps a fault of the calling thread until it is judged. False where nobody wants to judge it.
pub(crate) fn hold(thread: &Thread, context: &UserContext, reason: ExitReason) -> bool {
    let process: &Arc<Process> = thread.process();
    if process.pids().freezing().policy.get().is_none() || !process.is_alive() {
        return false;
    }
    *thread.held.lock() = Some(HeldFault::new(reason, thread.tid(), registers(context)));
    thread.call_to_boundary();
    true
}

/// Judges what [`hold`] kept, when the agent is not frozen. True when there was something.
pub(crate) fn judge(thread: &Arc<Thread>) -> bool {
    // Asked before each return to the program that something waited for: most agents have no such policy.
    let Some(policy) = thread.process().pids().freezing().policy.get() else { return false };
    let Some(held) = *thread.held.lock() else { return false };
    match if held.judged { Judgement::Course } else { policy(&held) } {
        Judgement::Later => {}
        Judgement::Stopped => *thread.held.lock() = Some(HeldFault { judged: true, ..held }),
        Judgement::Course => {
            *thread.held.lock() = None;
            signal::end(thread, held.reason);
        }
    }
    true
}

/// The calling thread's.
fn registers(context: &UserContext) -> ThreadRegisters {
    let regs = &context.regs;
    ThreadRegisters {
        rax: regs.rax,
        rbx: regs.rbx,
        rcx: regs.rcx,
        rdx: regs.rdx,
        rsi: regs.rsi,
        rdi: regs.rdi,
        rbp: regs.rbp,
        rsp: regs.rsp,
        r8: regs.r8,
        r9: regs.r9,
        r10: regs.r10,
        r11: regs.r11,
        r12: regs.r12,
        r13: regs.r13,
        r14: regs.r14,
        r15: regs.r15,
        rip: regs.rip,
        rflags: regs.rflags,
        fs_base: task::user_state().fs_base,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;
    use std::thread;

    /// A thread that nothing runs stands in for one that does: its part of the boundary runs here.
    #[test]
    fn frozen_threads_stand_still_until_they_are_thawed_or_their_process_ends() {
        let world = World::new();
        let process = world.process();
        let threads = world.threads(&process, 2);
        process.threads.lock().extend(threads.iter().cloned());
        world.pids.publish_process(&process);
        let pids = &world.pids;
        assert!(!park(&threads[0]));
        pids.freeze();
        thread::scope(|scope| {
            let parked: Vec<_> = threads.iter().map(|thread| scope.spawn(|| park(thread))).collect();
            assert_eq!(pids.wait_until_still(), Ok(()));
            assert!(parked.iter().all(|thread| !thread.is_finished()));
            pids.thaw();
            assert!(parked.into_iter().all(|thread| thread.join().expect("a thread")));
        });
        assert!(!park(&threads[0]));
        pids.freeze();
        crate::exit::end_process(&process, ExitReason::exited(0));
        assert!(park(&threads[0]));
    }

    #[test]
    fn a_fault_is_judged_once_and_then_takes_its_course() {
        let world = World::new();
        let process = world.process();
        let threads = world.threads(&process, 1);
        let reason = ExitReason::signaled(11);
        assert!(!hold(&threads[0], &UserContext::default(), reason));
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        world.pids.on_fault(Box::new(move |fault| {
            assert_eq!(fault.registers.rip, 0x40_1136);
            if count.fetch_add(1, Ordering::Relaxed) == 0 { Judgement::Later } else { Judgement::Stopped }
        }));
        let mut context = UserContext::default();
        context.regs.rip = 0x40_1136;
        assert!(!judge(&threads[0]));
        assert!(hold(&threads[0], &context, reason));
        assert!(judge(&threads[0]) && judge(&threads[0]));
        assert!(process.is_alive());
        assert!(judge(&threads[0]));
        assert_eq!(process.state(), crate::process::State::Ending(reason));
        assert!(!judge(&threads[0]));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
