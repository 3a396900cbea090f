//! Where a predictor may advise, and the check of what it says.
//!
//! Advice can make the system slower, never wrong: a placement must be a CPU that is online and allowed, a slice stays in
//! bounds, and anything else counts as no advice.

use super::class::SLICE_BOUNDS_NS;
use super::place::Waking;
use kernel_hal::cpuset::CpuSet;

/// Advice on scheduling. Called with interrupts off: it neither waits nor allocates, and takes at most microseconds.
pub trait Advice: Sync {
    /// A better CPU for a waking thread than the usual `choice`.
    fn place(&self, waking: &Waking<'_>, choice: usize) -> Option<usize> {
        let _ = (waking, choice);
        None
    }

    /// A better slice than the usual one for the thread `id`, in nanoseconds.
    fn slice(&self, id: u64, usual: u64) -> Option<u64> {
        let _ = (id, usual);
        None
    }
}

/// The CPU to use after asking.
pub fn placed(advice: &dyn Advice, waking: &Waking<'_>, online: &CpuSet, choice: usize) -> usize {
    let advised = advice.place(waking, choice);
    advised.filter(|cpu| online.contains(*cpu) && waking.allowed.contains(*cpu)).unwrap_or(choice)
}

/// The slice to use after asking, in nanoseconds.
pub fn sliced(advice: &dyn Advice, id: u64, usual: u64) -> u64 {
    let advised = advice.slice(id, usual);
    advised.map_or(usual, |slice| slice.clamp(SLICE_BOUNDS_NS.0, SLICE_BOUNDS_NS.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Class;

    struct Wrong(usize, u64);

    impl Advice for Wrong {
        fn place(&self, _waking: &Waking<'_>, _choice: usize) -> Option<usize> {
            Some(self.0)
        }
        fn slice(&self, _id: u64, _usual: u64) -> Option<u64> {
            Some(self.1)
        }
    }

    #[test]
    fn wrong_advice_changes_nothing_it_may_not() {
        let allowed = [0, 2].into_iter().collect();
        let waking =
            Waking { last: 0, waker: None, sync: false, new: false, class: Class::default(), allowed: &allowed };
        let online = CpuSet::first(4);
        for (advised, used) in [(0, 0), (1, 0), (2, 2), (3, 0), (300, 0)] {
            assert_eq!(placed(&Wrong(advised, 0), &waking, &online, 0), used);
        }
        for (advised, used) in [(0, SLICE_BOUNDS_NS.0), (u64::MAX, SLICE_BOUNDS_NS.1), (5_000_000, 5_000_000)] {
            assert_eq!(sliced(&Wrong(0, advised), 1, 3_000_000), used);
        }
    }
}
