//! Do two processors' counters agree? Each in turn reads its own and looks whether it is behind what the other read
//! before.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::cpu;
use crate::lock::TryLock;

/// Turns taken strictly one after the other: whoever is behind is seen, even if the two never run at one moment.
const STRICT: u32 = 8;
/// Turns that each then takes as it can: enough to meet the other many times, over in a fraction of a millisecond.
const TURNS: u32 = 2000;

/// A meeting of two processors. Both call [`Warp::check`] at about the same time.
pub struct Warp {
    arrived: AtomicU32,
    /// Whose strict turn it is.
    turn: AtomicU32,
    done: AtomicU32,
    last: TryLock<u64>,
    worst: AtomicU64,
}

impl Warp {
    pub const fn new() -> Warp {
        Warp {
            arrived: AtomicU32::new(0),
            turn: AtomicU32::new(0),
            done: AtomicU32::new(0),
            last: TryLock::new(0),
            worst: AtomicU64::new(0),
        }
    }

    /// Makes it ready for the next two. Nobody is in it.
    pub fn reset(&self) {
        for counter in [&self.arrived, &self.turn, &self.done] {
            counter.store(0, Ordering::SeqCst);
        }
        self.worst.store(0, Ordering::SeqCst);
        if let Some(mut last) = self.last.try_lock() {
            *last = 0;
        }
    }

    /// Compares the counters that the two callers `read`, with interrupts off. Returns to both by how many ticks one was
    /// behind the other at the worst: 0 when they agree. `None` when the other does not come within `patience` ticks.
    pub fn check(&self, patience: u64, read: impl Fn() -> u64) -> Option<u64> {
        let mine = self.arrived.fetch_add(1, Ordering::SeqCst);
        wait(|| self.arrived.load(Ordering::SeqCst) >= 2, patience, &read)?;
        for turn in (0..STRICT).filter(|turn| turn % 2 == mine % 2) {
            wait(|| self.turn.load(Ordering::SeqCst) == turn, patience, &read)?;
            self.compare(&read);
            self.turn.store(turn + 1, Ordering::SeqCst);
        }
        (0..TURNS).for_each(|_| self.compare(&read));
        self.done.fetch_add(1, Ordering::SeqCst);
        wait(|| self.done.load(Ordering::SeqCst) >= 2, patience, &read)?;
        Some(self.worst.load(Ordering::SeqCst))
    }

    fn compare(&self, read: &impl Fn() -> u64) {
        let mut last = loop {
            match self.last.try_lock() {
                Some(last) => break last,
                None => cpu::relax(),
            }
        };
        let at = read();
        if at < *last {
            self.worst.fetch_max(*last - at, Ordering::SeqCst);
        } else {
            *last = at;
        }
    }
}

impl Default for Warp {
    fn default() -> Warp {
        Warp::new()
    }
}

fn wait(come: impl Fn() -> bool, patience: u64, read: &impl Fn() -> u64) -> Option<()> {
    let start = read();
    while !come() {
        if read().wrapping_sub(start) > patience {
            return None;
        }
        cpu::relax();
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Two processors whose counters are `behind` apart. Returns what both found.
    fn meet(warp: &Warp, behind: u64) -> [Option<u64>; 2] {
        warp.reset();
        let start = Instant::now();
        let base = 1u64 << 40;
        let counter = || base + start.elapsed().as_nanos() as u64;
        std::thread::scope(|scope| {
            let other = scope.spawn(|| warp.check(10_000_000_000, || counter() - behind));
            let mine = warp.check(10_000_000_000, counter);
            [mine, other.join().expect("the other")]
        })
    }

    #[test]
    fn agreement_and_disagreement_are_seen_by_both() {
        let warp = Warp::new();
        assert_eq!(meet(&warp, 0), [Some(0), Some(0)]);
        let [mine, other] = meet(&warp, 5_000_000_000);
        assert_eq!(mine, other);
        let seen = mine.expect("both came");
        assert!(seen > 0 && seen <= 5_000_000_000, "{seen}");
        assert_eq!(meet(&warp, 0), [Some(0), Some(0)], "the next two");
    }

    #[test]
    fn who_waits_alone_gives_up() {
        let count = AtomicU64::new(0);
        assert_eq!(Warp::new().check(100, || count.fetch_add(1, Ordering::SeqCst)), None);
    }
}
