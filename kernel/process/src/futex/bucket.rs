//! The buckets that waiters stand in, first come first woken.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering, fence};

use aios_abi::Errno;
use kernel_sync::{SpinGuard, SpinLock, Wake};

use super::key::Key;
use crate::Thread;

const BITS: u32 = 8;
const NOWHERE: usize = usize::MAX;

/// Where a thread waits. It changes only under the lock of the bucket it names.
pub(crate) struct Waiter(AtomicUsize);

impl Default for Waiter {
    fn default() -> Waiter {
        Waiter(AtomicUsize::new(NOWHERE))
    }
}

impl Waiter {
    /// A wake has taken the thread out of its bucket; or it never was in one.
    pub(super) fn is_woken(&self) -> bool {
        self.0.load(Ordering::Acquire) == NOWHERE
    }
}

pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) bits: u32,
    pub(super) thread: Arc<Thread>,
}

/// Waiters in order of arrival.
#[derive(Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    /// Counts arrivals.
    arrivals: u64,
}

pub(super) struct Bucket {
    /// How many wait, so that waking nobody costs one load.
    length: AtomicUsize,
    queue: SpinLock<Queue>,
}

static BUCKETS: [Bucket; 1 << BITS] = [const {
    Bucket { length: AtomicUsize::new(0), queue: SpinLock::new(Queue { entries: VecDeque::new(), arrivals: 0 }) }
}; 1 << BITS];

/// A bucket with its lock held.
pub(super) struct Locked {
    number: usize,
    queue: SpinGuard<'static, Queue>,
}

impl Bucket {
    /// Puts the calling thread into the bucket of `key`: `ENOMEM` when that cannot grow.
    pub(super) fn enter(key: Key, bits: u32, thread: &Arc<Thread>) -> Result<(), Errno> {
        let mut bucket = Locked::lock(key.hash(BITS));
        bucket.queue.entries.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        bucket.queue.arrivals += 1;
        bucket.push(Entry { key, bits, thread: thread.clone() });
        drop(bucket);
        // Pairs with the fence in `is_empty`: a waker sees the waiter, or the waiter sees the word changed.
        fence(Ordering::SeqCst);
        Ok(())
    }

    /// Takes the calling thread out of its bucket; false when a wake did before.
    pub(super) fn leave(thread: &Arc<Thread>) -> bool {
        loop {
            let number = thread.futex.0.load(Ordering::Acquire);
            if number == NOWHERE {
                return false;
            }
            let mut bucket = Locked::lock(number);
            // It may have been moved meanwhile.
            if thread.futex.0.load(Ordering::Relaxed) != number {
                continue;
            }
            let place = bucket.queue.entries.iter().position(|entry| Arc::ptr_eq(&entry.thread, thread));
            let entry = place.and_then(|place| bucket.take(place));
            drop(bucket);
            drop(entry);
            return true;
        }
    }

    /// True when nobody waits for `key`, as the caller's last write to the word leaves it.
    pub(super) fn is_empty(key: Key) -> bool {
        fence(Ordering::SeqCst);
        BUCKETS.get(key.hash(BITS)).is_none_or(|bucket| bucket.length.load(Ordering::Relaxed) == 0)
    }
}

impl Locked {
    fn lock(number: usize) -> Locked {
        // Hashes are below the number of buckets.
        let number = number % BUCKETS.len();
        Locked { number, queue: BUCKETS[number].queue.lock() }
    }

    /// The bucket of `key`.
    pub(super) fn of(key: Key) -> Locked {
        Locked::lock(key.hash(BITS))
    }

    /// The buckets of two keys; the second is `None` when it is the first.
    pub(super) fn both(first: Key, second: Key) -> (Locked, Option<Locked>) {
        let (a, b) = (first.hash(BITS), second.hash(BITS));
        if a == b {
            return (Locked::lock(a), None);
        }
        let lower = Locked::lock(a.min(b));
        let upper = Locked::lock(a.max(b));
        if a < b { (lower, Some(upper)) } else { (upper, Some(lower)) }
    }

    pub(super) fn arrivals(&self) -> u64 {
        self.queue.arrivals
    }

    /// The place of the first waiter for `key`, from `from` on, that wants one of `bits`.
    pub(super) fn find(&self, from: usize, key: Key, bits: u32) -> Option<usize> {
        let wanted = |entry: &Entry| entry.key == key && entry.bits & bits != 0;
        self.queue.entries.iter().skip(from).position(wanted).map(|place| from + place)
    }

    /// Takes a waiter out: it is woken once it can see that, and the entry dropped, after the lock.
    pub(super) fn take(&mut self, place: usize) -> Option<Entry> {
        let entry = self.queue.entries.remove(place)?;
        entry.thread.futex.0.store(NOWHERE, Ordering::Release);
        self.note_length();
        Some(entry)
    }

    /// Makes the waiter at `place` one for `key` in the same bucket.
    pub(super) fn rename(&mut self, place: usize, key: Key) {
        if let Some(entry) = self.queue.entries.get_mut(place) {
            entry.key = key;
        }
    }

    /// Moves a waiter to `to`, where it waits for `key`. Where that has no room it stays, and the answer is false.
    pub(super) fn move_to(&mut self, place: usize, to: &mut Locked, key: Key) -> bool {
        if to.queue.entries.try_reserve(1).is_err() {
            return false;
        }
        let Some(entry) = self.queue.entries.remove(place) else { return false };
        self.note_length();
        to.queue.arrivals += 1;
        to.push(Entry { key, ..entry });
        true
    }

    fn push(&mut self, entry: Entry) {
        entry.thread.futex.0.store(self.number, Ordering::Release);
        self.queue.entries.push_back(entry);
        self.note_length();
    }

    fn note_length(&self) {
        BUCKETS[self.number].length.store(self.queue.entries.len(), Ordering::Relaxed);
    }
}

/// Waiters that were taken out, to be woken with no lock held.
pub(super) struct Woken {
    entries: [Option<Entry>; Woken::ROOM],
    count: usize,
}

impl Woken {
    /// How many are woken at a time.
    pub(super) const ROOM: usize = 8;

    pub(super) fn new() -> Woken {
        Woken { entries: [const { None }; Woken::ROOM], count: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.count == Woken::ROOM
    }

    /// Adds one; the caller has seen that there is room.
    pub(super) fn add(&mut self, entry: Entry) {
        if let Some(slot) = self.entries.get_mut(self.count) {
            *slot = Some(entry);
            self.count += 1;
        }
    }

    /// Wakes them and lets go of them.
    pub(super) fn wake(&mut self) {
        for slot in self.entries.iter_mut().take(self.count) {
            if let Some(entry) = slot.take()
                && let Some(kernel) = entry.thread.kernel()
            {
                kernel.wake();
            }
        }
        self.count = 0;
    }
}
