//! Priority inheritance: the owner of a lock is scheduled as the most urgent of those who wait for it.
//!
//! Who waits passes its class along the chain: to the owner of what it waits for, to the owner of what that waits for,
//! and on, until nothing changes. A chain that comes back to its beginning is a deadlock and is refused; one that is
//! longer than [`LONGEST`] counts as one. Mutexes, futexes with inheritance and synchronous calls walk with this.

use core::cmp::Ordering;

use super::class::Class;

/// Owners that a chain may have (Linux's `max_lock_depth`).
pub const LONGEST: usize = 1024;

/// The wait would never end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadlock;

/// What holds what and waits for what, as the caller keeps it. A thread waits for at most one lock.
pub trait Chains {
    type Thread: Copy + PartialEq;

    /// Who owns the lock that `thread` waits for.
    fn blocked_on(&self, thread: Self::Thread) -> Option<Self::Thread>;
    /// What the thread is scheduled by when nobody waits for it.
    fn own(&self, thread: Self::Thread) -> Class;
    /// The most urgent [`effective`](Chains::effective) class of those who wait for locks of `thread`.
    fn donated(&self, thread: Self::Thread) -> Option<Class>;
    /// What the thread is scheduled by.
    fn effective(&self, thread: Self::Thread) -> Class;
    /// Schedules the thread by `class` from now on, and gives it the place among the waiters of its lock that this
    /// deserves.
    fn set_effective(&mut self, thread: Self::Thread, class: Class);
}

/// What `thread` is to be scheduled by: its own class or the most urgent that waits for it.
pub fn deserved<C: Chains>(chains: &C, thread: C::Thread) -> Class {
    let own = chains.own(thread);
    match chains.donated(thread) {
        Some(donated) if donated.urgency(&own) == Ordering::Greater => donated,
        _ => own,
    }
}

/// Would `thread` wait for itself if it waited for a lock of `owner`?
pub fn check<C: Chains>(chains: &C, thread: C::Thread, owner: C::Thread) -> Result<(), Deadlock> {
    let mut at = owner;
    for _ in 0..LONGEST {
        if at == thread {
            return Err(Deadlock);
        }
        match chains.blocked_on(at) {
            Some(next) => at = next,
            None => return Ok(()),
        }
    }
    Err(Deadlock)
}

/// Who waits for `thread`, or its own class, changed: it and the owners along its chain get what they deserve. Call it
/// with the owner after a waiter came, left or changed, and with the old and the new owner after a hand-over.
pub fn settle<C: Chains>(chains: &mut C, thread: C::Thread) {
    let mut at = thread;
    for _ in 0..LONGEST {
        let class = deserved(chains, at);
        if class == chains.effective(at) {
            return;
        }
        chains.set_effective(at, class);
        match chains.blocked_on(at) {
            Some(next) => at = next,
            None => return,
        }
    }
}
