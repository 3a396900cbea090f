//! A sleeping lock. Its holder may sleep, do I/O and touch user memory.

use core::ops::{Deref, DerefMut};

use kernel_hal::lock::check::{self, Class, Kind};
use kernel_hal::lock::{Obligation, TryGuard, TryLock};

use crate::WaitQueue;

/// A value with one user at a time; the others sleep.
pub struct Mutex<T: ?Sized> {
    class: Class,
    queue: WaitQueue,
    cell: TryLock<T>,
}

impl<T> Mutex<T> {
    #[cfg_attr(debug_assertions, track_caller)]
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { class: Class::here(), queue: WaitQueue::new(), cell: TryLock::new(value) }
    }

    pub fn into_inner(self) -> T {
        self.cell.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        check::wanted(self.class, Kind::Sleep, self.queue.address());
        let guard = match self.cell.try_lock() {
            Some(guard) => guard,
            None => self.queue.wait_uninterruptible(|| self.cell.try_lock()),
        };
        check::taken(self.class, Kind::Sleep, self.queue.address());
        MutexGuard { guard: Some(guard), queue: &self.queue, _owed: Obligation::new() }
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let guard = self.cell.try_lock()?;
        check::taken(self.class, Kind::Sleep, self.queue.address());
        Some(MutexGuard { guard: Some(guard), queue: &self.queue, _owed: Obligation::new() })
    }

    pub fn get_mut(&mut self) -> &mut T {
        self.cell.get_mut()
    }
}

impl<T: Default> Default for Mutex<T> {
    #[cfg_attr(debug_assertions, track_caller)]
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized> core::fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Mutex")
    }
}

/// Sole use of the value; the longest sleeper is woken when it goes.
pub struct MutexGuard<'a, T: ?Sized> {
    /// `Some` until the guard is dropped.
    guard: Option<TryGuard<'a, T>>,
    queue: &'a WaitQueue,
    _owed: Obligation,
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        match &self.guard {
            Some(guard) => guard,
            None => unreachable!("a mutex guard is used after its drop"),
        }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.guard {
            Some(guard) => guard,
            None => unreachable!("a mutex guard is used after its drop"),
        }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        check::released(Kind::Sleep, self.queue.address());
        drop(self.guard.take());
        self.queue.wake_one();
    }
}
