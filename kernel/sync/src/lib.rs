//! Locks and waiting.
//!
//! Spinning locks come from hal. Sleeping ones and wait queues are built here on two things: hal's cells, which admit
//! one holder, and the scheduler's [`Parking`], which puts a task to sleep and wakes it.
//!
//! Order: a sleeping lock may be held while a spinning one is taken, never the other way round.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod mutex;
#[cfg(all(test, feature = "model"))]
mod orders;
mod park;
mod rwlock;
mod sequence;
mod wait;

pub use kernel_hal::lock::{IrqLock, IrqLockGuard, SpinGuard, SpinLock};
pub use kernel_hal::once::Once;
pub use mutex::{Mutex, MutexGuard};
pub use park::{Interrupted, Parking, Waiter, current, install, interrupted, park};
pub use rwlock::{RwLock, RwReadGuard, RwWriteGuard};
pub use sequence::Sequence;
pub use wait::{Poller, WaitError, WaitQueue, Wake, pause};
