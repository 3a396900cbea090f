//! The fair class: earliest eligible virtual deadline first.
//!
//! Each entity has a virtual run time that grows as it runs, slower for a greater weight. The weighted average of all is
//! the queue's virtual time V: who is behind it is owed time (has lag) and is eligible. Of the eligible, the one whose
//! request (a slice) has the earliest virtual deadline runs; a short slice so gets its turn sooner, not more time. Lag is
//! kept while an entity sleeps, so sleeping neither earns nor loses.
//!
//! Stoica and Abdel-Wahab, Earliest Eligible Virtual Deadline First (Old Dominion University TR-95-22, 1995).
//!
//! Invariants: `load` is the sum of the weights of all members, the current one included; `sum` that of their
//! weighted distances from `base`; both are zero in an empty queue. V never goes back.

use alloc::boxed::Box;

use super::entity::{Entity, Key, Link};
use super::tree::Tree;
use super::weight::{NICE_0, to_real, to_virtual};

/// Least time between two entities' turns when one that woke has the earlier deadline, in nanoseconds.
pub(super) const GRANULARITY_NS: u64 = 750_000;
/// Lag is bounded by two slices, or by two of these.
const LAG_NS: u64 = 4_000_000;

pub(super) struct FairQueue<T> {
    pub tree: Tree<T>,
    /// The entity whose turn it is, which is not in the tree.
    pub current: Link<T>,
    pub load: u64,
    base: i64,
    sum: i128,
}

/// Whose turn it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Choice {
    Nobody,
    Current,
    Waiting(Key),
}

impl<T> FairQueue<T> {
    pub fn new(seed: u32) -> FairQueue<T> {
        FairQueue { tree: Tree::new(seed), current: None, load: 0, base: 0, sum: 0 }
    }

    /// The virtual time V.
    pub fn virtual_time(&mut self) -> i64 {
        if self.load != 0 && self.sum != 0 {
            let distance = match i64::try_from(self.sum) {
                Ok(sum) => sum / self.load.min(i64::MAX as u64) as i64,
                Err(_) => (self.sum / i128::from(self.load)) as i64,
            };
            self.base = self.base.wrapping_add(distance);
            self.sum -= i128::from(distance) * i128::from(self.load);
        }
        self.base
    }

    #[inline]
    fn eligible(&self, vruntime: i64) -> bool {
        i128::from(vruntime.wrapping_sub(self.base)) * i128::from(self.load) <= self.sum
    }

    fn count_in(&mut self, entity: &Entity<T>) {
        self.load += entity.weight;
        self.sum += i128::from(entity.vruntime.wrapping_sub(self.base)) * i128::from(entity.weight);
    }

    fn count_out(&mut self, entity: &Entity<T>) {
        self.load -= entity.weight;
        self.sum -= i128::from(entity.vruntime.wrapping_sub(self.base)) * i128::from(entity.weight);
        if self.load == 0 {
            self.sum = 0;
        }
    }

    /// Lets an entity take part, with the lag that it left with and what it is owed. It is put into the tree by the
    /// caller.
    pub fn join(&mut self, entity: &mut Entity<T>) {
        let v = self.virtual_time();
        let mut lag = i128::from(entity.lag);
        if self.load == 0 {
            lag = 0;
        } else if lag != 0 {
            // Joining moves V towards the entity: what is left of the lag then shall be what it was.
            lag = lag * i128::from(self.load + entity.weight) / i128::from(self.load);
        }
        // What it missed elsewhere it gets as it is: those here had that much more than those there.
        let owed = to_virtual(core::mem::take(&mut entity.owed), entity.weight);
        if self.load != 0 {
            lag += i128::from(owed);
        }
        let lag = lag.clamp(i128::from(i64::MIN >> 2), i128::from(i64::MAX >> 2)) as i64;
        entity.vruntime = v.wrapping_sub(lag);
        entity.deadline = entity.vruntime.wrapping_add(to_virtual(entity.slice, entity.weight));
        self.count_in(entity);
    }

    /// An entity that is neither in the tree nor current any more takes part no longer.
    pub fn leave(&mut self, entity: &mut Entity<T>) {
        let v = self.virtual_time();
        let limit = to_virtual(2 * entity.slice.max(LAG_NS), entity.weight);
        entity.lag = v.wrapping_sub(entity.vruntime).clamp(-limit, limit);
        self.count_out(entity);
    }

    pub fn insert(&mut self, mut entity: Box<Entity<T>>) -> Key {
        entity.key.at = entity.deadline as u64;
        let key = entity.key;
        self.tree.insert(entity);
        key
    }

    /// The current entity ran for `ns`. True when its request is served and another waits.
    #[inline]
    pub fn account(&mut self, ns: u64) -> bool {
        let Some(current) = self.current.as_mut() else { return false };
        let span = to_virtual(ns, current.weight);
        current.ran += ns;
        current.vruntime = current.vruntime.wrapping_add(span);
        self.sum += i128::from(span) * i128::from(current.weight);
        if current.vruntime.wrapping_sub(current.deadline) < 0 {
            return false;
        }
        current.deadline = current.vruntime.wrapping_add(to_virtual(current.slice, current.weight));
        !self.tree.is_empty()
    }

    /// How long the current entity's request lasts, in nanoseconds; `None` when nobody waits for its end.
    pub fn slice_left(&self) -> Option<u64> {
        let current = self.current.as_ref().filter(|_| !self.tree.is_empty())?;
        // One more than rounded down, so that the end has come by then.
        Some(to_real(current.deadline.wrapping_sub(current.vruntime), current.weight) + current.weight / NICE_0 + 1)
    }

    /// Whose turn it is. With `pass` it is another's than the current one's if there is any.
    #[inline]
    pub fn choose(&self, pass: bool) -> Choice {
        let current = self.current.as_ref();
        if self.tree.is_empty() {
            return if current.is_some() { Choice::Current } else { Choice::Nobody };
        }
        let waiting = self.tree.first_eligible(|vruntime| self.eligible(vruntime));
        let current = current.filter(|current| !pass && (waiting.is_none() || self.eligible(current.vruntime)));
        match (current, waiting) {
            (Some(current), Some(key)) if key.at.wrapping_sub(current.deadline as u64) as i64 >= 0 => Choice::Current,
            (_, Some(key)) => Choice::Waiting(key),
            (Some(_), None) => Choice::Current,
            (None, None) => self.tree.first().map_or(Choice::Nobody, |first| Choice::Waiting(first.key)),
        }
    }

    /// True when the entity just put at `key` should run before the current one.
    pub fn preempts(&self, key: Key, vruntime: i64) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| key.at.wrapping_sub(current.deadline as u64) as i64 <= 0 && self.eligible(vruntime))
    }

    /// The entity outside the tree is owed more virtual time.
    pub fn credit(&mut self, entity: &mut Entity<T>, span: i64) {
        self.count_out(entity);
        entity.vruntime = entity.vruntime.wrapping_sub(span);
        entity.deadline = entity.deadline.wrapping_sub(span);
        self.count_in(entity);
    }

    /// Gives the entity outside the tree (the current one, or one about to be put back) another weight. What it is owed
    /// and what is left of its request stay the same on the clock.
    pub fn reweigh(&mut self, entity: &mut Entity<T>, weight: u64) {
        if entity.weight == weight {
            return;
        }
        let v = self.virtual_time();
        let scale = |span: i64, from: u64| (i128::from(span) * i128::from(from) / i128::from(weight.max(1))) as i64;
        let lag = scale(v.wrapping_sub(entity.vruntime), entity.weight);
        let request = scale(entity.deadline.wrapping_sub(entity.vruntime), entity.weight);
        self.count_out(entity);
        entity.weight = weight;
        entity.vruntime = v.wrapping_sub(lag);
        entity.deadline = entity.vruntime.wrapping_add(request);
        self.count_in(entity);
    }
}
