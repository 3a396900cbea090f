//! Timers: whom to wake at which time.
//!
//! Each processor has its own, set by what runs on it; its hardware timer is set for the first of them or for the end of a
//! slice that somebody waits for, and for nothing else. A timer is made once, which may fail for lack of memory, and then set
//! and taken back any number of times, which cannot.
//!
//! A timer has a time and a slack: it never comes before its time, and by the end of its slack at the latest; one interrupt
//! serves all whose time has come.
//!
//! Lock order: a timer's target, then a processor's heap. Both are taken with interrupts off; targets are woken under neither.

mod heap;
mod nodes;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use aios_abi::Errno;
use kernel_hal::cpu::{self, IrqGuard, MAX_CPUS};
use kernel_hal::time::{self, Instant, now};
use kernel_sync::{IrqLock, Wake};

use crate::switch;
use heap::Heap;
use nodes::{NONE, Nodes};

struct Timers {
    heap: IrqLock<Heap>,
    /// When the hardware timer will come, in nanoseconds.
    armed: AtomicU64,
}

static TIMERS: [Timers; MAX_CPUS] =
    [const { Timers { heap: IrqLock::new(Heap::new()), armed: AtomicU64::new(u64::MAX) } }; MAX_CPUS];
static NODES: Nodes = Nodes::new();

/// Something that can be set to wake somebody. Dropping it takes it back.
#[derive(Debug)]
pub struct Timer(u32);

impl Timer {
    /// `ENOMEM` without memory for it.
    pub fn new() -> Result<Timer, Errno> {
        NODES.take().map(Timer)
    }

    /// Wakes `target` once, not before `deadline` and at most `slack` later; at once when that has passed. Takes back what
    /// was set before. `target` is woken by an interrupt handler.
    pub fn set(&self, deadline: Instant, slack: Duration, target: Arc<dyn Wake>) {
        let node = NODES.get(self.0);
        let _off = IrqGuard::new();
        let before = {
            let mut place = node.target.lock();
            self.take_off();
            let cpu = cpu::id();
            let last = deadline + slack;
            node.soft.store(deadline.0, Ordering::Relaxed);
            node.hard.store(last.0, Ordering::Relaxed);
            {
                let mut heap = TIMERS[cpu].heap.lock();
                node.cpu.store(cpu as u32, Ordering::Relaxed);
                heap.insert(&NODES, self.0);
            }
            arm_by(last);
            place.replace(target)
        };
        drop(before);
    }

    /// Takes it back; false when it was not set, or came before.
    pub fn cancel(&self) -> bool {
        let (was_set, target) = {
            let mut place = NODES.get(self.0).target.lock();
            (self.take_off(), place.take())
        };
        drop(target);
        was_set
    }

    /// When it should come, while it is set.
    pub fn deadline(&self) -> Option<Instant> {
        let node = NODES.get(self.0);
        let _held = node.target.lock();
        (node.cpu.load(Ordering::Relaxed) != NONE).then(|| Instant(node.soft.load(Ordering::Relaxed)))
    }

    /// Off its heap, if it is on one. The target's lock is held, so nobody sets it meanwhile; that it comes meanwhile is seen
    /// under the heap's lock.
    fn take_off(&self) -> bool {
        let node = NODES.get(self.0);
        let cpu = node.cpu.load(Ordering::Relaxed);
        let Some(timers) = TIMERS.get(cpu as usize) else { return false };
        let mut heap = timers.heap.lock();
        let set = node.cpu.load(Ordering::Relaxed) == cpu;
        if set {
            heap.remove(&NODES, self.0);
            node.cpu.store(NONE, Ordering::Relaxed);
        }
        set
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.cancel();
        NODES.give_back(self.0);
    }
}

/// Makes sure that the hardware timer of this processor comes at `deadline` or before. Interrupts are off.
pub(crate) fn arm_by(deadline: Instant) {
    let timers = &TIMERS[cpu::id()];
    if deadline.0 < timers.armed.load(Ordering::Relaxed) {
        timers.armed.store(deadline.0, Ordering::Relaxed);
        time::arm_timer(deadline);
    }
}

/// Called by the timer interrupt.
pub(crate) fn fire() {
    let timers = &TIMERS[cpu::id()];
    timers.armed.store(u64::MAX, Ordering::Relaxed);
    let at = now();
    while let Some(number) = next_due(timers, at) {
        // Set anew before it could be looked at: then what was set before is taken back.
        let node = NODES.get(number);
        let mut place = node.target.lock();
        let target = if node.cpu.load(Ordering::Relaxed) == NONE { place.take() } else { None };
        drop(place);
        // Under no lock: the target may set its next timer.
        if let Some(target) = target {
            target.wake();
        }
    }
    switch::tick(at);
}

/// Takes the next timer off whose time has come, or sets the hardware timer for the next.
fn next_due(timers: &Timers, at: Instant) -> Option<u32> {
    let mut heap = timers.heap.lock();
    let number = heap.first()?;
    let node = NODES.get(number);
    if node.soft.load(Ordering::Relaxed) > at.0 {
        let last = Instant(node.hard.load(Ordering::Relaxed));
        drop(heap);
        arm_by(last);
        return None;
    }
    heap.remove(&NODES, number);
    node.cpu.store(NONE, Ordering::Relaxed);
    Some(number)
}
