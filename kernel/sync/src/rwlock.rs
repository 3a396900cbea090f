//! A sleeping lock with many readers or one writer.
//!
//! Readers pass a waiting writer, so a writer can wait long under steady reading; state that is read all the time
//! belongs in something else.

use core::ops::{Deref, DerefMut};

use kernel_hal::lock::{ReadGuard, TryRwLock, WriteGuard};

use crate::WaitQueue;

pub struct RwLock<T: ?Sized> {
    queue: WaitQueue,
    cell: TryRwLock<T>,
}

impl<T> RwLock<T> {
    pub const fn new(value: T) -> RwLock<T> {
        RwLock { queue: WaitQueue::new(), cell: TryRwLock::new(value) }
    }
}

impl<T: ?Sized> RwLock<T> {
    #[inline]
    pub fn read(&self) -> RwReadGuard<'_, T> {
        let guard = match self.cell.try_read() {
            Some(guard) => guard,
            None => self.queue.wait_uninterruptible(|| self.cell.try_read()),
        };
        RwReadGuard { guard: Some(guard), queue: &self.queue }
    }

    #[inline]
    pub fn write(&self) -> RwWriteGuard<'_, T> {
        let guard = match self.cell.try_write() {
            Some(guard) => guard,
            None => self.queue.wait_uninterruptible(|| self.cell.try_write()),
        };
        RwWriteGuard { guard: Some(guard), queue: &self.queue }
    }
}

impl<T: Default> Default for RwLock<T> {
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
