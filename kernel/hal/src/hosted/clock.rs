//! Virtual time: it stands still until a test moves it, and then the timer of the thread that moved it may fire.

use core::cell::Cell;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use crate::cpu::IrqGuard;
use crate::time::{Instant, Parameters, References, timer_fired};

/// Nanoseconds from 1970 to the moment that the hosted machine boots: 2026-01-01.
const BOOT_WALL_CLOCK: u64 = 1_767_225_600_000_000_000;

static NOW: AtomicU64 = AtomicU64::new(0);

std::thread_local! {
    static TIMER: Cell<Instant> = const { Cell::new(Instant::NEVER) };
}

pub fn set_time(to: Instant) {
    NOW.store(to.0, Ordering::SeqCst);
    fire();
}

pub fn advance(by: Duration) {
    set_time(Instant(monotonic_ns()) + by);
}

/// The deadline that this thread's timer waits for.
pub fn armed_timer() -> Option<Instant> {
    Some(TIMER.with(Cell::get)).filter(|deadline| *deadline != Instant::NEVER)
}

fn fire() {
    if armed_timer().is_some_and(|deadline| deadline.0 <= monotonic_ns()) {
        TIMER.with(|timer| timer.set(Instant::NEVER));
        let _off = IrqGuard::new();
        timer_fired();
    }
}

pub(crate) fn monotonic_ns() -> u64 {
    NOW.load(Ordering::SeqCst)
}

static WALL: AtomicU64 = AtomicU64::new(BOOT_WALL_CLOCK);

pub(crate) fn wall_offset_ns() -> u64 {
    WALL.load(Ordering::SeqCst)
}

pub(crate) fn set_wall_offset_ns(offset: u64) {
    WALL.store(offset, Ordering::SeqCst);
}

/// The counter ticks once a nanosecond.
pub(crate) fn clock_parameters() -> Parameters {
    Parameters { readable: true, base: 0, base_ns: 0, mult: 1, shift: 0 }
}

pub(crate) fn counter_hz() -> u64 {
    1_000_000_000
}

pub(crate) fn clock_source() -> &'static str {
    "hosted"
}

/// Time is what tests say.
pub(crate) fn calibrate(_references: References) {}

pub(crate) fn refine() -> bool {
    false
}

pub(crate) fn arm_timer(deadline: u64) {
    TIMER.with(|timer| timer.set(Instant(deadline)));
}
