//! Host threads as processors: each gets one of a few numbers, and its own interrupt and preemption state.
//!
//! More threads than numbers share them, so a number protects nothing: per-CPU data still needs its lock.

use core::cell::Cell;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::cpuset::CpuSet;
#[cfg(debug_assertions)]
use crate::lock::check::Held;

const CPUS: usize = 8;

static NEXT: AtomicUsize = AtomicUsize::new(0);

crate::model::thread_local! {
    static ID: usize = NEXT.fetch_add(1, Ordering::Relaxed) % CPUS;
    static INTERRUPTS_ON: Cell<bool> = const { Cell::new(true) };
    static PREEMPT_DEPTH: Cell<u32> = const { Cell::new(0) };
    #[cfg(debug_assertions)]
    static CPU_LOCKS: Held = const { Held::new() };
    #[cfg(debug_assertions)]
    static TASK_LOCKS: Held = const { Held::new() };
}

/// No task of the hosted machine stops for good: nobody asks how many there are.
pub(crate) fn oblige() {}

pub(crate) fn discharge() {}

pub(crate) fn cpu_id() -> usize {
    ID.with(|id| *id)
}

pub(crate) fn cpu_count() -> usize {
    CPUS
}

/// Processors that may ever run.
pub(crate) fn cpu_limit() -> usize {
    CPUS
}

/// Turns interrupts off and says whether they were on.
pub(crate) fn interrupts_off() -> bool {
    INTERRUPTS_ON.with(|on| on.replace(false))
}

pub(crate) fn interrupts_on() {
    INTERRUPTS_ON.with(|on| on.set(true));
}

/// Interrupts are calls that other host threads make at any time: letting them run is all there is to wait for.
pub(crate) fn wait_for_interrupt() {
    std::thread::yield_now();
}

pub(crate) fn preempt_off() {
    PREEMPT_DEPTH.with(|depth| depth.set(depth.get() + 1));
}

pub(crate) fn preempt_on() {
    PREEMPT_DEPTH.with(|depth| depth.set(depth.get() - 1));
}

pub(crate) fn preempt_depth() -> u32 {
    PREEMPT_DEPTH.with(Cell::get)
}

/// Interrupts are looked at when a host thread yields; nothing need be sent.
pub(crate) fn send_reschedule(_cpu: usize) {}

/// Host threads are the CPUs, and all of them are one to such a call.
pub(crate) fn call_on(_targets: &CpuSet, function: &(dyn Fn() + Sync)) {
    function();
}

/// All CPUs run from the start.
pub(crate) fn start_cpus(_apics: &[u32], _main: fn() -> !) -> usize {
    CPUS
}

/// What the lock checker asks: a host thread is both a processor and a task. Interrupts are calls, so there is no telling.
#[cfg(debug_assertions)]
pub(crate) fn with_cpu_locks<T>(act: impl FnOnce(&Held) -> T) -> T {
    CPU_LOCKS.with(act)
}

#[cfg(debug_assertions)]
pub(crate) fn with_task_locks<T>(act: impl FnOnce(&Held) -> T) -> Option<T> {
    Some(TASK_LOCKS.with(act))
}

#[cfg(debug_assertions)]
pub(crate) fn in_interrupt() -> bool {
    false
}

/// False in the destructors of a thread that ends.
#[cfg(debug_assertions)]
pub(crate) fn has_cpu_locks() -> bool {
    CPU_LOCKS.try_with(|_| ()).is_ok() && TASK_LOCKS.try_with(|_| ()).is_ok()
}
