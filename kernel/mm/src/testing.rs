//! What the tests of this room share: a small generator of numbers, and a started machine.

use alloc::sync::Arc;
use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kernel_hal::addr::Virt;
use kernel_hal::usermem::{Access, set_fault_handler};

use crate::AddressSpace;

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
        kernel_hal::hosted::init(32 << 20);
        crate::init();
        set_fault_handler(resolve);
    }
    alone
}

std::thread_local! {
    static CURRENT: RefCell<Option<Arc<AddressSpace>>> = const { RefCell::new(None) };
}

/// Makes `space` the one that user accesses of this thread go to.
pub(crate) fn run_on(space: &Arc<AddressSpace>) {
    space.activate();
    CURRENT.with(|current| current.replace(Some(space.clone())));
}

/// Leaves the thread without a space.
pub(crate) fn run_on_none() {
    kernel_hal::hosted::deactivate();
    CURRENT.with(|current| current.replace(None));
}

fn resolve(va: Virt, access: Access) -> bool {
    let space = CURRENT.with(|current| current.borrow().clone());
    space.is_some_and(|space| space.fault(va, access).is_ok())
}
