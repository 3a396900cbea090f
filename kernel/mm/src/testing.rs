//! What the tests of this room share: a small generator of numbers, and a started machine.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A generator that gives the same numbers for the same seed (xorshift64*, Vigna 2016).
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`, which is not zero.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((self.next() >> 16) % limit as u64) as usize
    }
}

/// Starts memory; while the guard lives no other test uses it, so that frames can be counted.
pub(crate) fn machine() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static STARTED: AtomicBool = AtomicBool::new(false);
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    if !STARTED.swap(true, Ordering::SeqCst) {
        kernel_hal::hosted::init(64 << 20);
        crate::init();
    }
    alone
}
