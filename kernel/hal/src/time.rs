//! The clock and the one-shot timer of this CPU.

use core::ops::{Add, Sub};
use core::time::Duration;

use crate::machine;
use crate::once::Once;

pub use crate::clock::reference::{PmTimerAt, PmTimerPlace, References};

/// Nanoseconds on the monotonic clock, which starts with the kernel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Instant(pub u64);

impl Instant {
    /// Later than any other.
    pub const NEVER: Instant = Instant(u64::MAX);

    /// The time from `earlier` to here; zero when it is later.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    /// Saturates at [`Instant::NEVER`].
    fn add(self, by: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        self.since(earlier)
    }
}

/// Now, on the monotonic clock.
#[inline]
pub fn now() -> Instant {
    Instant(machine::monotonic_ns())
}

/// Now, since 1970-01-01 UTC: the real-time clock at start plus the monotonic clock, plus what was set since.
pub fn wall_clock() -> Duration {
    Duration::from_nanos(machine::monotonic_ns().saturating_add(machine::wall_offset_ns()))
}

/// What is added to monotonic time to get the wall clock, in nanoseconds.
pub fn wall_offset_ns() -> u64 {
    machine::wall_offset_ns()
}

/// Makes the timer interrupt of this CPU come at `deadline`, or at once when that has passed; the last call counts.
pub fn arm_timer(deadline: Instant) {
    machine::arm_timer(deadline.0);
}

/// Sets the wall clock.
pub fn set_wall_clock(since_1970: Duration) {
    let now = machine::monotonic_ns();
    let ns = u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX);
    machine::set_wall_offset_ns(ns.saturating_sub(now));
}

/// How a program may compute the clock itself: nanoseconds = `base_ns` + (counter - `base`) × `mult` / 2^`shift`.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    /// False when programs cannot read the counter that is the clock: then the rest does not hold.
    pub readable: bool,
    /// Counter value at `base_ns`.
    pub base: u64,
    pub base_ns: u64,
    pub mult: u64,
    pub shift: u32,
}

pub fn parameters() -> Parameters {
    machine::clock_parameters()
}

/// Ticks a second of the processors' own counters.
pub fn counter_hz() -> u64 {
    machine::counter_hz()
}

/// What the clock is read from, by Linux's names (`tsc`, `hpet`, `acpi_pm`).
pub fn source() -> &'static str {
    machine::clock_source()
}

/// Measures the clock, and chooses it and the timers' mode. Called once, on the first CPU, before anything waits.
pub fn calibrate(references: References) {
    machine::calibrate(references);
}

/// Measures the clock once more, over the time since [`calibrate`]. True when it is better now.
pub fn refine() -> bool {
    machine::refine()
}

/// A change of [`parameters`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It is about to come: nobody may compute the clock until it is done.
    Begins,
    Done,
}

static CHANGE: Once<fn(Change)> = Once::new();

/// Installs what is called before and after [`parameters`] change. Called once at start-up.
pub fn on_change(handler: fn(Change)) {
    CHANGE.set(handler);
}

#[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "the hosted machine's clock does not change"))]
pub(crate) fn tell(change: Change) {
    if let Some(handler) = CHANGE.get() {
        handler(change);
    }
}

static TICK: Once<fn()> = Once::new();

/// Installs what the timer interrupt calls, with interrupts off. Called once at start-up.
pub fn set_timer_handler(handler: fn()) {
    TICK.set(handler);
}

#[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "the hosted machine has no timer interrupt"))]
pub(crate) fn timer_fired() {
    if let Some(handler) = TICK.get() {
        handler();
    }
}
