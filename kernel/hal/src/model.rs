//! What locks and waiting are made of: the processor's atomics, or, with the feature `model`, those of a model checker
//! that chooses at each step which thread goes on.
//!
//! Only what is to be checked under all orders comes from here: the locks of this room, and the wait queues above it.

#[cfg(not(feature = "model"))]
pub use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(feature = "model")]
pub use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

#[cfg(all(feature = "model", not(target_os = "none")))]
pub use shuttle::thread_local;
#[cfg(all(not(feature = "model"), not(target_os = "none")))]
pub use std::thread_local;

/// Tells that the caller spins until another thread has done something.
#[inline]
pub fn spin() {
    #[cfg(feature = "model")]
    shuttle::hint::spin_loop();
    #[cfg(not(feature = "model"))]
    core::hint::spin_loop();
}
