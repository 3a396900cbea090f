//! A sleeping lock with many readers or one writer.
//!
//! Readers pass a waiting writer, so a writer can wait long under steady reading; state that is read all the time
//! belongs in something else.

use core::ops::{Deref, DerefMut};

use kernel_hal::lock::check::{self, Class, Kind};
use kernel_hal::lock::{Obligation, ReadGuard, TryRwLock, WriteGuard};

use crate::WaitQueue;

pub struct RwLock<T: ?Sized> {
    class: Class,
    queue: WaitQueue,
    cell: TryRwLock<T>,
}

impl<T> RwLock<T> {
    #[cfg_attr(debug_assertions, track_caller)]
    pub const fn new(value: T) -> RwLock<T> {
        RwLock { class: Class::here(), queue: WaitQueue::new(), cell: TryRwLock::new(value) }
    }
}

impl<T: ?Sized> RwLock<T> {
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn read(&self) -> RwReadGuard<'_, T> {
        check::wanted(self.class, Kind::Sleep, self.queue.address());
        let guard = match self.cell.try_read() {
            Some(guard) => guard,
            None => self.queue.wait_uninterruptible(|| self.cell.try_read()),
        };
        check::taken(self.class, Kind::Sleep, self.queue.address());
        RwReadGuard { guard: Some(guard), queue: &self.queue, _owed: Obligation::new() }
    }

    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn write(&self) -> RwWriteGuard<'_, T> {
        check::wanted(self.class, Kind::Sleep, self.queue.address());
        let guard = match self.cell.try_write() {
            Some(guard) => guard,
            None => self.queue.wait_uninterruptible(|| self.cell.try_write()),
        };
        check::taken(self.class, Kind::Sleep, self.queue.address());
        RwWriteGuard { guard: Some(guard), queue: &self.queue, _owed: Obligation::new() }
    }
}

impl<T: Default> Default for RwLock<T> {
    #[cfg_attr(debug_assertions, track_caller)]
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

macro_rules! guard {
    ($name:ident, $inner:ident) => {
        /// Use of the value; sleepers are woken when it goes.
        pub struct $name<'a, T: ?Sized> {
            /// `Some` until the guard is dropped.
            guard: Option<$inner<'a, T>>,
            queue: &'a WaitQueue,
            _owed: Obligation,
        }

        impl<T: ?Sized> Deref for $name<'_, T> {
            type Target = T;
            #[inline]
            fn deref(&self) -> &T {
                match &self.guard {
                    Some(guard) => guard,
                    None => unreachable!("a lock guard is used after its drop"),
                }
            }
        }

        impl<T: ?Sized> Drop for $name<'_, T> {
            #[inline]
            fn drop(&mut self) {
                check::released(Kind::Sleep, self.queue.address());
                drop(self.guard.take());
                // All of them: readers may go on together.
                self.queue.wake_all();
            }
        }
    };
}

guard!(RwReadGuard, ReadGuard);
guard!(RwWriteGuard, WriteGuard);

impl<T: ?Sized> DerefMut for RwWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.guard {
            Some(guard) => guard,
            None => unreachable!("a lock guard is used after its drop"),
        }
    }
}
