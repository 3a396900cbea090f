//! Stopped processes.
//!
//! A stop signal's default action marks the process; each of its threads sleeps at the user boundary until `SIGCONT` or
//! the end of the process. When the last thread sleeps the parent is told.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use aios_abi::linux::consts::signal::{SIGCHLD, SIGCONT};
use aios_abi::linux::consts::{SIG_IGN, cld_code, sa_flags};
use kernel_sync::WaitQueue;

use super::send::{child_event, send_to_process};
use crate::process::StopEvent;
use crate::{Process, Thread};

/// Whether a process is stopped.
#[derive(Default)]
pub struct Stopping {
    /// By which signal; 0 while it runs.
    signal: AtomicU32,
    /// Threads that sleep for it.
    parked: AtomicUsize,
    /// The parent was told.
    announced: AtomicBool,
    /// Counts `SIGCONT`s: one that comes after a stop signal was taken and before it acts wins.
    continued: AtomicU32,
    queue: WaitQueue,
}

impl Stopping {
    /// The signal by which the process is stopped.
    pub fn signal(&self) -> Option<u32> {
        Some(self.signal.load(Ordering::Acquire)).filter(|signal| *signal != 0)
    }

    pub(super) fn continued(&self) -> u32 {
        self.continued.load(Ordering::Acquire)
    }
}

/// Stops the process of the calling thread, unless it was continued since `continued` was read.
pub(super) fn stop(process: &Process, signal: u32, continued: u32) {
    let state = &process.stop;
    if state.continued() != continued {
        return;
    }
    state.signal.store(signal, Ordering::Release);
    for thread in process.threads() {
        thread.call_to_boundary();
    }
}

/// Sleeps while the process is stopped. True when it was.
pub(super) fn park(thread: &Thread) -> bool {
    let process = thread.process();
    let state = &process.stop;
    let Some(signal) = state.signal() else { return false };
    let _still = process.pids().still();
    let parked = state.parked.fetch_add(1, Ordering::AcqRel) + 1;
    announce_if_complete(process, signal, parked, process.thread_count());
    state.queue.wait_uninterruptible(|| {
        let over = state.signal().is_none() || !process.is_alive() || thread.ending().is_some();
        over.then_some(())
    });
    state.parked.fetch_sub(1, Ordering::AcqRel);
    true
}

fn announce_if_complete(process: &Process, signal: u32, parked: usize, threads: usize) {
    if parked >= threads && !process.stop.announced.swap(true, Ordering::AcqRel) {
        announce(process, StopEvent::Stopped(signal));
    }
}

/// Lets a stopped process go on (`SIGCONT`).
pub(super) fn resume(process: &Process) {
    let state = &process.stop;
    state.continued.fetch_add(1, Ordering::AcqRel);
    if state.signal.swap(0, Ordering::AcqRel) == 0 {
        return;
    }
    state.queue.wake_all();
    if state.announced.swap(false, Ordering::AcqRel) {
        announce(process, StopEvent::Continued);
    }
}

/// The calling thread ends: it may have been the last one that a stop waited for.
pub(super) fn leaving(process: &Process) {
    if let Some(signal) = process.stop.signal().filter(|_| process.is_alive()) {
        let others = process.thread_count().saturating_sub(1);
        let parked = process.stop.parked.load(Ordering::Acquire);
        if others > 0 {
            announce_if_complete(process, signal, parked, others);
        }
    }
}

/// The process has ended.
pub(super) fn forget(process: &Process) {
    process.stop.signal.store(0, Ordering::Release);
    *process.reported.lock() = None;
}

/// Tells the parent.
fn announce(process: &Process, event: StopEvent) {
    *process.reported.lock() = Some(event);
    let Some(parent) = process.parent() else { return };
    let handlers = parent.handlers.lock().clone();
    let action = handlers.get(SIGCHLD);
    if action.handler != SIG_IGN && action.flags & sa_flags::SA_NOCLDSTOP == 0 {
        let (code, status) = match event {
            StopEvent::Stopped(signal) => (cld_code::CLD_STOPPED, signal),
            StopEvent::Continued => (cld_code::CLD_CONTINUED, SIGCONT),
        };
        send_to_process(&parent, child_event(process, code, status as i32));
    }
    parent.child_events.wake_all();
}

/// True when nobody outside the process's group but in its session would continue it: such a group is not stopped from
/// the terminal (POSIX, "orphaned process group").
pub(super) fn is_orphaned(process: &Arc<Process>) -> bool {
    let (group, session) = (process.group(), process.session());
    !process.pids().group(group).iter().any(|member| {
        member.is_alive()
            && member.parent().is_some_and(|parent| parent.group() != group && parent.session() == session)
    })
}
