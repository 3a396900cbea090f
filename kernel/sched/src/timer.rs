//! Timers: things to be woken at a time, in order.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use kernel_hal::cpu::{self, MAX_CPUS};
use kernel_hal::time::{self, Instant, now};
use kernel_sync::{IrqLock, Wake};

use crate::queue;

/// A timer that was set; it stays valid after the timer fired.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TimerId {
    deadline: Instant,
    number: u64,
    cpu: usize,
}

struct Timers {
    waiting: IrqLock<BTreeMap<(Instant, u64), Arc<dyn Wake>>>,
    /// When the hardware timer will come, in nanoseconds.
    armed: AtomicU64,
}

static TIMERS: [Timers; MAX_CPUS] =
    [const { Timers { waiting: IrqLock::new(BTreeMap::new()), armed: AtomicU64::new(u64::MAX) } }; MAX_CPUS];
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Wakes `target` once at `deadline`, never before; at once when that has passed.
pub fn add(deadline: Instant, target: Arc<dyn Wake>) -> TimerId {
    let cpu = cpu::id();
    let id = TimerId { deadline, number: NUMBER.fetch_add(1, Ordering::Relaxed), cpu };
    TIMERS[cpu].waiting.lock().insert((deadline, id.number), target);
    arm_by(deadline);
    id
}

/// Takes a timer back; false when it fired before.
pub fn cancel(id: TimerId) -> bool {
    let target = TIMERS[id.cpu].waiting.lock().remove(&(id.deadline, id.number));
    target.is_some()
}

/// Makes sure that the hardware timer comes at `deadline` or before.
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
    loop {
        let (target, next) = {
            let mut waiting = timers.waiting.lock();
            let due = waiting.first_key_value().is_some_and(|((deadline, _), _)| *deadline <= at);
            let target = if due { waiting.pop_first() } else { None };
            (target, waiting.first_key_value().map(|((deadline, _), _)| *deadline))
        };
        match target {
            // Outside the lock: the target may set its next timer.
            Some((_, target)) => target.wake(),
            None => {
                if let Some(next) = next {
                    arm_by(next);
                }
                break;
            }
        }
    }
    queue::tick(at);
}
