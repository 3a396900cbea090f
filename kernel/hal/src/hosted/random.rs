//! "Entropy" that is the same in every run, so that a failing test fails again (SplitMix64, Steele et al. 2014).

use core::sync::atomic::{AtomicU64, Ordering};

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

static STATE: AtomicU64 = AtomicU64::new(0);

/// Starts the sequence anew.
pub fn seed(value: u64) {
    STATE.store(value, Ordering::SeqCst);
}

pub(crate) fn entropy() -> u32 {
    let mut z = STATE.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as u32
}
