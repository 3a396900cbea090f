//! Wait queues: tasks, and pollers, that wait for a condition someone else will make true.
//!
//! No wake-up is lost: a waiter is in the queue before it looks at the condition, and a wake between that look and
//! the sleep is remembered by the task. The queue's own lock may be taken in interrupt handlers.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use kernel_hal::lock::Obligation;
use kernel_hal::model::{AtomicUsize, Ordering, fence};
use kernel_hal::time::{Instant, now};

use crate::park::{Interrupted, Waiter};
use crate::{IrqLock, park};

/// Something that can be told to look again.
pub trait Wake: Send + Sync {
    fn wake(&self);
}

/// Why a wait ended without what it waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitError {
    Interrupted,
    TimedOut,
}

struct Entry {
    waiter: Waiter,
    /// Woken with all others and never counted by `wake_one`: pollers only look.
    observer: bool,
}

/// A queue of waiters.
pub struct WaitQueue {
    /// How many wait, so that waking nobody costs one load.
    length: AtomicUsize,
    entries: IrqLock<VecDeque<Entry>>,
}

impl WaitQueue {
    #[cfg_attr(debug_assertions, track_caller)]
    pub const fn new() -> WaitQueue {
        WaitQueue { length: AtomicUsize::new(0), entries: IrqLock::new(VecDeque::new()) }
    }

    /// What tells it from other queues.
    pub(crate) fn address(&self) -> usize {
        (&raw const *self).addr()
    }

    fn push(&self, waiter: Waiter, observer: bool) {
        let mut entries = self.entries.lock();
        entries.push_back(Entry { waiter, observer });
        self.length.store(entries.len(), Ordering::SeqCst);
        // Pairs with the fence in `wake`: either the waker sees the length or the waiter sees the condition.
        fence(Ordering::SeqCst);
    }

    /// Takes the waiter out; false when a wake took it out before.
    fn remove(&self, waiter: &Waiter) -> bool {
        let mut entries = self.entries.lock();
        let place = entries.iter().position(|entry| Arc::ptr_eq(&entry.waiter, waiter));
        if let Some(place) = place {
            entries.remove(place);
        }
        self.length.store(entries.len(), Ordering::SeqCst);
        place.is_some()
    }

    /// Adds something to be woken with every wake until [`unregister`](WaitQueue::unregister) takes it out.
    pub fn register(&self, waiter: Waiter) {
        self.push(waiter, true);
    }

    pub fn unregister(&self, waiter: &Waiter) {
        self.remove(waiter);
    }

    /// Waits until `ready` gives a value. A pending signal ends the wait.
    pub fn wait_until<T>(&self, ready: impl FnMut() -> Option<T>) -> Result<T, Interrupted> {
        match self.wait(None, true, ready) {
            Ok(value) => Ok(value),
            Err(_) => Err(Interrupted),
        }
    }

    /// The same with a deadline.
    pub fn wait_until_deadline<T>(
        &self,
        deadline: Option<Instant>,
        ready: impl FnMut() -> Option<T>,
    ) -> Result<T, WaitError> {
        self.wait(deadline, true, ready)
    }

    /// Waits until `ready` gives a value, whatever signals come: for waits that the kernel itself is sure to end.
    pub fn wait_uninterruptible<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Ok(value) = self.wait(None, false, &mut ready) {
                return value;
            }
        }
    }

    /// The same with a deadline, for waits that a device is to end: `None` when it has passed.
    pub fn wait_uninterruptible_deadline<T>(&self, deadline: Instant, ready: impl FnMut() -> Option<T>) -> Option<T> {
        self.wait(Some(deadline), false, ready).ok()
    }

    fn wait<T>(
        &self,
        deadline: Option<Instant>,
        interruptible: bool,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T, WaitError> {
        if let Some(value) = ready() {
            return Ok(value);
        }
        let me = park::current();
        // A wake that is spent on this waiter must not be lost.
        let _owed = Obligation::new();
        loop {
            self.push(me.clone(), false);
            let outcome = match ready() {
                Some(value) => Some(Ok(value)),
                None if interruptible && park::interrupted() => Some(Err(WaitError::Interrupted)),
                None if deadline.is_some_and(|deadline| now() >= deadline) => Some(Err(WaitError::TimedOut)),
                None => None,
            };
            let Some(outcome) = outcome else {
                park::park(deadline, interruptible);
                if !self.remove(&me) {
                    // Woken: look; the wake was spent on this waiter, so it is passed on if it leaves without a value.
                    if let Some(value) = ready() {
                        return Ok(value);
                    }
                    if interruptible && park::interrupted() {
                        self.wake_one();
                        return Err(WaitError::Interrupted);
                    }
                }
                continue;
            };
            // A wake that came after the look was spent on this waiter without need: it may have been for another's value.
            if !self.remove(&me) {
                self.wake_one();
            }
            return outcome;
        }
    }

    /// Wakes the longest waiting task, and all observers.
    pub fn wake_one(&self) {
        self.wake(1);
    }

    /// Wakes everything that waits.
    pub fn wake_all(&self) {
        self.wake(usize::MAX);
    }

    fn wake(&self, most: usize) {
        fence(Ordering::SeqCst);
        if self.length.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut entries = self.entries.lock();
        let mut woken = 0;
        let mut place = 0;
        while place < entries.len() {
            let observer = entries[place].observer;
            if observer {
                entries[place].waiter.wake();
                place += 1;
            } else if woken < most {
                woken += 1;
                if let Some(entry) = entries.remove(place) {
                    entry.waiter.wake();
                }
            } else {
                place += 1;
            }
        }
        self.length.store(entries.len(), Ordering::SeqCst);
    }

    /// True when nobody waits.
    pub fn is_empty(&self) -> bool {
        self.length.load(Ordering::SeqCst) == 0
    }
}

impl Default for WaitQueue {
    #[cfg_attr(debug_assertions, track_caller)]
    fn default() -> WaitQueue {
        WaitQueue::new()
    }
}

/// Sleeps until woken by name, a signal comes or the deadline passes.
pub fn pause(deadline: Option<Instant>) -> WaitError {
    loop {
        if park::interrupted() {
            return WaitError::Interrupted;
        }
        if deadline.is_some_and(|deadline| now() >= deadline) {
            return WaitError::TimedOut;
        }
        park::park(deadline, true);
    }
}

/// Waits on several queues at once, for `poll` and `select`.
///
/// Use: look at each object with the poller, which registers in its queues; when none is ready, [`wait`](Poller::wait);
/// then look again without registering. Dropping it leaves all queues.
pub struct Poller {
    me: Waiter,
    queues: Vec<Arc<WaitQueue>>,
}

impl Poller {
    pub fn new() -> Poller {
        Poller::for_waiter(park::current())
    }

    /// A poller that wakes something else than the running task, which must not [`wait`](Poller::wait) with it.
    pub fn for_waiter(me: Waiter) -> Poller {
        Poller { me, queues: Vec::new() }
    }

    /// Wakes the poller whenever `queue` is woken. Registering twice does no harm.
    pub fn watch(&mut self, queue: &Arc<WaitQueue>) {
        if self.queues.iter().any(|known| Arc::ptr_eq(known, queue)) {
            return;
        }
        queue.register(self.me.clone());
        self.queues.push(queue.clone());
    }

    /// Sleeps until a queue is woken. Returns why not, or `Ok` when it is time to look again.
    pub fn wait(&self, deadline: Option<Instant>) -> Result<(), WaitError> {
        if park::interrupted() {
            return Err(WaitError::Interrupted);
        }
        if deadline.is_some_and(|deadline| now() >= deadline) {
            return Err(WaitError::TimedOut);
        }
        park::park(deadline, true);
        Ok(())
    }
}

impl Default for Poller {
    fn default() -> Poller {
        Poller::new()
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        for queue in &self.queues {
            queue.unregister(&self.me);
        }
    }
}

#[cfg(all(test, not(feature = "model")))]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::vec::Vec;

    use super::*;

    #[test]
    fn many_waiters_each_get_one_token() {
        for _ in 0..20 {
            let queue = Arc::new(WaitQueue::new());
            let tokens = Arc::new(AtomicUsize::new(0));
            let take = |tokens: &AtomicUsize| {
                tokens.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).ok()
            };
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let (queue, tokens) = (queue.clone(), tokens.clone());
                    std::thread::spawn(move || {
                        (0..50).for_each(|_| queue.wait_uninterruptible(|| take(&tokens).map(|_| ())))
                    })
                })
                .collect();
            for _ in 0..400 {
                tokens.fetch_add(1, Ordering::SeqCst);
                queue.wake_one();
            }
            threads.into_iter().for_each(|thread| thread.join().expect("waiter"));
            assert_eq!(tokens.load(Ordering::SeqCst), 0);
            assert!(queue.is_empty());
        }
    }

    #[test]
    fn a_wake_that_a_satisfied_waiter_got_is_passed_on() {
        let queue = Arc::new(WaitQueue::new());
        let tokens = Arc::new(AtomicUsize::new(0));
        let mut other = None;
        let mut looks = 0;
        queue.wait_uninterruptible(|| {
            looks += 1;
            if looks == 1 {
                return None;
            }
            // Queued by now. Another waiter comes, and one wake for it while this one already has what it wants.
            let (theirs, token) = (queue.clone(), tokens.clone());
            let take = move || token.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).ok();
            other = Some(std::thread::spawn(move || theirs.wait_uninterruptible(take)));
            while queue.length.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
            // Long enough for the other to have looked; if it has not, the test passes without showing anything.
            std::thread::sleep(std::time::Duration::from_millis(20));
            tokens.fetch_add(1, Ordering::SeqCst);
            queue.wake_one();
            Some(())
        });
        assert!(other.is_some_and(|thread| thread.join().is_ok()));
        assert_eq!(tokens.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_passed_deadline_ends_the_wait() {
        let queue = WaitQueue::new();
        assert_eq!(queue.wait_until_deadline(Some(now()), || None::<()>), Err(WaitError::TimedOut));
        assert_eq!(queue.wait_uninterruptible_deadline(now(), || None::<()>), None);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_poller_leaves_its_queues() {
        let queue = Arc::new(WaitQueue::new());
        let mut poller = Poller::new();
        poller.watch(&queue);
        poller.watch(&queue);
        queue.wake_one();
        assert_eq!(poller.wait(None), Ok(()));
        drop(poller);
        assert!(queue.is_empty());
    }
}
