//! The cells that locks protect. What waits and in which order is decided above, in the sync room; that a value has
//! one writer is decided here.
//!
//! [`SpinLock`] and [`IrqLock`] spin; their holders neither sleep nor touch user memory. [`TryLock`] and [`TryRwLock`]
//! never wait: the sync room builds sleeping locks on them.

pub mod check;

use core::cell::UnsafeCell;
use core::fmt;
use core::ops::{Deref, DerefMut};

use crate::cpu::{self, IrqGuard, PreemptGuard};
use crate::model::{AtomicBool, AtomicU32, Ordering};
use check::{Class, Kind};

/// A value with at most one user at a time; asking never waits.
pub struct TryLock<T: ?Sized> {
    held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the flag admits one guard at a time, taken with acquire and given back with release order, so the value
// moves between threads as a whole: `T: Send` is what that needs.
unsafe impl<T: ?Sized + Send> Sync for TryLock<T> {}
// SAFETY: sending the lock sends the value.
unsafe impl<T: ?Sized + Send> Send for TryLock<T> {}

impl<T> TryLock<T> {
    pub const fn new(value: T) -> TryLock<T> {
        TryLock { held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> TryLock<T> {
    #[inline]
    pub fn try_lock(&self) -> Option<TryGuard<'_, T>> {
        if self.held.load(Ordering::Relaxed) || self.held.swap(true, Ordering::Acquire) {
            return None;
        }
        Some(TryGuard { lock: self })
    }

    /// True while someone holds it; by the time the caller looks, that may have changed.
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }

    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

/// Sole use of a [`TryLock`]'s value.
pub struct TryGuard<'a, T: ?Sized> {
    lock: &'a TryLock<T>,
}

// SAFETY: sharing the guard shares `&T`.
unsafe impl<T: ?Sized + Sync> Sync for TryGuard<'_, T> {}

impl<T: ?Sized> Deref for TryGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one, so nobody writes.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for TryGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one and is borrowed mutably, so nobody else looks.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for TryGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.held.store(false, Ordering::Release);
    }
}

/// While it lives, others may wait for what the running task is about to do: give a lock back, take itself off a queue. A
/// task that has none can stop for good and nobody waits for it in vain (see [`containment`](crate::containment)).
#[must_use]
pub struct Obligation(());

impl Obligation {
    #[inline]
    pub fn new() -> Obligation {
        crate::machine::oblige();
        Obligation(())
    }
}

impl Default for Obligation {
    fn default() -> Obligation {
        Obligation::new()
    }
}

impl Drop for Obligation {
    #[inline]
    fn drop(&mut self) {
        crate::machine::discharge();
    }
}

const WRITER: u32 = 1 << 31;

/// A value with many readers or one writer; asking never waits.
pub struct TryRwLock<T: ?Sized> {
    /// The number of readers, or [`WRITER`].
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: a writer is alone and readers only share: `Send` for the writer's move, `Sync` for the readers.
unsafe impl<T: ?Sized + Send + Sync> Sync for TryRwLock<T> {}
// SAFETY: sending the lock sends the value.
unsafe impl<T: ?Sized + Send> Send for TryRwLock<T> {}

impl<T> TryRwLock<T> {
    pub const fn new(value: T) -> TryRwLock<T> {
        TryRwLock { state: AtomicU32::new(0), value: UnsafeCell::new(value) }
    }
}

impl<T: ?Sized> TryRwLock<T> {
    #[inline]
    pub fn try_read(&self) -> Option<ReadGuard<'_, T>> {
        let state = self.state.load(Ordering::Relaxed);
        if state >= WRITER - 1 {
            return None;
        }
        match self.state.compare_exchange(state, state + 1, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Some(ReadGuard { lock: self }),
            Err(now) if now < WRITER - 1 => self.try_read(),
            Err(_) => None,
        }
    }

    #[inline]
    pub fn try_write(&self) -> Option<WriteGuard<'_, T>> {
        match self.state.compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => Some(WriteGuard { lock: self }),
            Err(_) => None,
        }
    }
}

/// Shared use of a [`TryRwLock`]'s value.
pub struct ReadGuard<'a, T: ?Sized> {
    lock: &'a TryRwLock<T>,
}

impl<T: ?Sized> Deref for ReadGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the reader count is not zero, so there is no writer.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for ReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.state.fetch_sub(1, Ordering::Release);
    }
}

/// Sole use of a [`TryRwLock`]'s value.
pub struct WriteGuard<'a, T: ?Sized> {
    lock: &'a TryRwLock<T>,
}

impl<T: ?Sized> Deref for WriteGuard<'_, T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the state is WRITER and this guard is the one that set it.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for WriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the state is WRITER, set by this guard, which is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for WriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.state.store(0, Ordering::Release);
    }
}

/// Tells the checker that a spinning lock, known by its address, is given back.
struct Checked(usize);

impl Drop for Checked {
    #[inline]
    fn drop(&mut self) {
        check::released(Kind::Irq, self.0);
    }
}

macro_rules! spinning {
    ($(#[$doc:meta])* $name:ident, $guard:ident, $hold:ty, $kind:expr) => {
        $(#[$doc])*
        pub struct $name<T: ?Sized> {
            class: Class,
            cell: TryLock<T>,
        }

        impl<T> $name<T> {
            #[cfg_attr(debug_assertions, track_caller)]
            pub const fn new(value: T) -> $name<T> {
                $name { class: Class::here(), cell: TryLock::new(value) }
            }

            pub fn into_inner(self) -> T {
                self.cell.into_inner()
            }
        }

        impl<T: ?Sized> $name<T> {
            #[inline]
            #[cfg_attr(debug_assertions, track_caller)]
            pub fn lock(&self) -> $guard<'_, T> {
                let hold = <$hold>::new();
                check::wanted(self.class, $kind, self.address());
                loop {
                    if let Some(value) = self.cell.try_lock() {
                        check::taken(self.class, $kind, self.address());
                        return $guard { value, _checked: Checked(self.address()), _hold: hold };
                    }
                    while self.cell.is_held() {
                        cpu::relax();
                    }
                }
            }

            #[inline]
            #[cfg_attr(debug_assertions, track_caller)]
            pub fn try_lock(&self) -> Option<$guard<'_, T>> {
                let hold = <$hold>::new();
                let value = self.cell.try_lock()?;
                check::taken(self.class, $kind, self.address());
                Some($guard { value, _checked: Checked(self.address()), _hold: hold })
            }

            pub fn get_mut(&mut self) -> &mut T {
                self.cell.get_mut()
            }

            /// What tells it from other locks.
            #[inline]
            fn address(&self) -> usize {
                (&raw const self.cell).addr()
            }
        }

        impl<T: Default> Default for $name<T> {
            #[cfg_attr(debug_assertions, track_caller)]
            fn default() -> Self {
                $name::new(T::default())
            }
        }

        impl<T: ?Sized> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }

        /// Sole use of the value. Fields drop in order: first the value is given back, then the CPU.
        pub struct $guard<'a, T: ?Sized> {
            value: TryGuard<'a, T>,
            _checked: Checked,
            _hold: $hold,
        }

        impl<T: ?Sized> Deref for $guard<'_, T> {
            type Target = T;
            #[inline]
            fn deref(&self) -> &T {
                &self.value
            }
        }

        impl<T: ?Sized> DerefMut for $guard<'_, T> {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                &mut self.value
            }
        }
    };
}

spinning! {
    /// A spinning lock for state that interrupt handlers never touch. The holder is not preempted.
    SpinLock, SpinGuard, PreemptGuard, Kind::Spin
}

spinning! {
    /// A spinning lock for state that interrupt handlers touch too. The holder runs with interrupts off.
    IrqLock, IrqLockGuard, IrqGuard, Kind::Irq
}
