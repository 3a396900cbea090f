//! A value set once at start-up and read ever after.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, Ordering};

const EMPTY: u8 = 0;
const BUSY: u8 = 1;
const SET: u8 = 2;

/// Set at most once; reading costs one load and a test.
pub struct Once<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: 1. The value is written by the one caller that moved the state from EMPTY to BUSY, before SET is published
// with release order. 2. Readers look at it only after they saw SET with acquire order, and only by shared reference,
// so `T: Sync` makes that sound and `T: Send` the move in from another CPU.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    pub const fn new() -> Once<T> {
        Once { state: AtomicU8::new(EMPTY), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Sets the value; panics when it was set before, which is a mistake of the kernel's own start-up.
    pub fn set(&self, value: T) {
        let claimed = self.state.compare_exchange(EMPTY, BUSY, Ordering::Acquire, Ordering::Relaxed);
        assert!(claimed.is_ok(), "set twice: {}", core::any::type_name::<T>());
        // SAFETY: the state is BUSY and only this call moved it there, so nobody else reads or writes the value.
        unsafe { (*self.value.get()).write(value) };
        self.state.store(SET, Ordering::Release);
    }

    pub fn get(&self) -> Option<&T> {
        if self.state.load(Ordering::Acquire) != SET {
            return None;
        }
        // SAFETY: SET was seen with acquire order, so the value is initialised and never written again.
        Some(unsafe { (*self.value.get()).assume_init_ref() })
    }
}

impl<T> Drop for Once<T> {
    fn drop(&mut self) {
        if *self.state.get_mut() == SET {
            // SAFETY: SET says that the value is initialised, and nobody else can look at it any more.
            unsafe { self.value.get_mut().assume_init_drop() };
        }
    }
}

impl<T> Default for Once<T> {
    fn default() -> Once<T> {
        Once::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Once;

    #[test]
    fn the_value_goes_with_it() {
        let value = Arc::new(());
        let once = Once::new();
        once.set(value.clone());
        assert_eq!(Arc::strong_count(&value), 2);
        drop(once);
        drop(Once::<Arc<()>>::new());
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
