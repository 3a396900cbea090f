//! Interrupt storms: a line that keeps interrupting while its handler finds nothing to do.
//!
//! One interrupt that nobody claims is normal: a thread may have seen the work first. [`LIMIT`] of them within
//! [`WINDOW`] and not one claimed between them is a device, a line or a driver that is broken, and a processor that
//! does nothing else.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use core::time::Duration;

/// Unclaimed interrupts in a row that make a storm.
pub const LIMIT: u32 = 1000;
/// The time in which they come.
pub const WINDOW: Duration = Duration::from_millis(100);

/// Watches one line. Noted by whichever processor has the interrupt.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Unclaimed in a row since `start`.
    count: AtomicU32,
    /// Nanoseconds of the monotonic clock.
    start: AtomicU64,
    total: AtomicU64,
}

impl Watch {
    pub const fn new() -> Watch {
        Watch { count: AtomicU32::new(0), start: AtomicU64::new(0), total: AtomicU64::new(0) }
    }

    /// The handler had work.
    #[inline]
    pub fn claimed(&self) {
        if self.count.load(Ordering::Relaxed) != 0 {
            self.count.store(0, Ordering::Relaxed);
        }
    }

    /// The handler had none, `now` nanoseconds on the monotonic clock. True when that makes a storm; it is told once
    /// for each [`LIMIT`].
    pub fn unclaimed(&self, now: u64) -> bool {
        self.total.fetch_add(1, Ordering::Relaxed);
        let before = self.count.load(Ordering::Relaxed);
        let late = now.saturating_sub(self.start.load(Ordering::Relaxed)) > WINDOW.as_nanos() as u64;
        if before == 0 || late {
            self.start.store(now, Ordering::Relaxed);
            self.count.store(1, Ordering::Relaxed);
            return false;
        }
        let storm = before + 1 >= LIMIT;
        self.count.store(if storm { 0 } else { before + 1 }, Ordering::Relaxed);
        storm
    }

    /// Interrupts that nobody claimed since start.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: u64 = 50_000;

    /// Feeds interrupts `step` nanoseconds apart, every `every`th claimed, and tells when the storm was seen.
    fn seen(step: u64, every: Option<u32>, count: u32) -> Option<u32> {
        let watch = Watch::new();
        (1..=count).find(|number| {
            if every.is_some_and(|every| number % every == 0) {
                watch.claimed();
                false
            } else {
                watch.unclaimed(u64::from(*number) * step)
            }
        })
    }

    #[test]
    fn a_storm_is_seen_at_its_limit() {
        assert_eq!(seen(STEP, None, 10_000), Some(LIMIT));
    }

    #[test]
    fn slow_or_claimed_interrupts_are_no_storm() {
        let slow = WINDOW.as_nanos() as u64 / u64::from(LIMIT) + 1000;
        assert_eq!(seen(slow, None, 100_000), None);
        assert_eq!(seen(STEP, Some(LIMIT - 1), 100_000), None);
    }

    #[test]
    fn unclaimed_ones_are_counted() {
        let watch = Watch::new();
        (0..5).for_each(|at| assert!(!watch.unclaimed(at)));
        watch.claimed();
        assert!(!watch.unclaimed(6));
        assert_eq!(watch.total(), 6);
    }
}
