//! Frames that only the kernel gets, when the rest of memory has nothing that fits.
//!
//! They lie side by side, and no program's page is ever among them, so runs are found here when all else is cut into
//! single frames. Most of the pool must be free for the [`gate`](super::gate) to be open.

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use kernel_sync::IrqLock;

use super::buddy::Buddy;

/// At least so many frames...
const LEAST: usize = 256;
/// ...and about one part in so many of the memory.
const SHARE: usize = 64;
/// A run is at most one part in so many of the pool: larger ones are left to those who can do without.
const LARGEST: usize = 8;

pub(super) struct Pool {
    /// The first frame; a multiple of `len`, so that runs are aligned here as they are in all of memory.
    base: usize,
    /// A power of two; 0 while no range was large enough.
    len: usize,
    buddy: IrqLock<Buddy>,
    free: AtomicUsize,
}

impl Pool {
    /// An empty pool for a machine whose frames are below `limit`.
    pub(super) fn new(limit: usize) -> Pool {
        let wanted = (limit / SHARE).max(LEAST).next_power_of_two();
        Pool { base: 0, len: 0, buddy: IrqLock::new(Buddy::new(wanted)), free: AtomicUsize::new(wanted) }
    }

    /// Takes the pool's frames out of the first range that is large enough; `rest` gets all others.
    pub(super) fn cut_from(&mut self, range: Range<usize>, rest: &mut dyn FnMut(Range<usize>)) {
        let wanted = self.free.load(Ordering::Relaxed);
        let base = range.start.next_multiple_of(wanted);
        // No more than a quarter of it.
        if self.len != 0 || range.len() < 4 * wanted || base + wanted > range.end {
            rest(range);
            return;
        }
        self.base = base;
        self.len = wanted;
        self.buddy.lock().add_range(0..wanted);
        rest(range.start..base);
        rest(base + wanted..range.end);
    }

    pub(super) fn free(&self) -> usize {
        if self.len == 0 { 0 } else { self.free.load(Ordering::Relaxed) }
    }

    /// True while at least three quarters are free.
    #[inline]
    pub(super) fn is_mostly_free(&self) -> bool {
        self.free.load(Ordering::Relaxed) >= self.len / 4 * 3
    }

    #[inline]
    pub(super) fn holds(&self, frame: usize) -> bool {
        frame.wrapping_sub(self.base) < self.len
    }

    pub(super) fn take(&self, order: usize) -> Option<usize> {
        if 1 << order > self.len / LARGEST {
            return None;
        }
        let start = self.buddy.lock().take(order)?;
        self.free.fetch_sub(1 << order, Ordering::Relaxed);
        Some(self.base + start)
    }

    pub(super) fn give_back(&self, start: usize, order: usize) {
        self.buddy.lock().free_block(start - self.base, order);
        self.free.fetch_add(1 << order, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Pool;
    use alloc::vec::Vec;

    #[test]
    fn it_is_cut_from_the_first_range_that_is_large_enough() {
        let mut pool = Pool::new(8192);
        let mut rest = Vec::new();
        for range in [1..100, 300..2000, 3000..8192] {
            pool.cut_from(range, &mut |range| rest.push(range));
        }
        assert_eq!(rest, [1..100, 300..512, 768..2000, 3000..8192]);
        assert!(pool.holds(512) && pool.holds(767) && !pool.holds(511) && !pool.holds(768));
        let runs: Vec<usize> = core::iter::from_fn(|| pool.take(2)).collect();
        assert_eq!(runs.len(), 64);
        assert!(runs.iter().all(|run| pool.holds(*run) && run.is_multiple_of(4)));
        assert!(!pool.is_mostly_free());
        for run in runs {
            pool.give_back(run, 2);
        }
        assert!(pool.is_mostly_free());
        assert_eq!(pool.take(6), None);
        assert_eq!(pool.take(5), Some(512));
    }
}
