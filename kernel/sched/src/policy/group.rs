//! Groups: agents, and resource groups of agents.
//!
//! A group competes as one entity on each CPU where its threads are. Its weight is split over those CPUs by the load that
//! it has on each, so a group gets its share and no more however many threads it has and wherever they run.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kernel_sync::IrqLock;

use super::bandwidth::{Bandwidth, Grant, Pool};
use super::entity::{GroupId, Key, Link};
use super::fair::FairQueue;
use super::weight;

/// What all CPUs share of a group. Lock order: its lock is taken under a run queue's and nothing is taken under it.
pub struct Group {
    weight: AtomicU64,
    /// Sum of the weights of its runnable members, over all CPUs.
    load: AtomicU64,
    limited: AtomicBool,
    pool: IrqLock<Option<Pool>>,
}

impl Group {
    /// A group with a share of 1 to 10,000 ([`weight::USUAL_SHARE`] is the usual one).
    pub fn new(share: u32, limit: Option<Bandwidth>) -> Group {
        Group {
            weight: AtomicU64::new(weight::of_share(share)),
            load: AtomicU64::new(0),
            limited: AtomicBool::new(limit.is_some()),
            pool: IrqLock::new(limit.map(Pool::new)),
        }
    }

    /// Takes effect on each CPU with the group's next turn there.
    pub fn set_share(&self, share: u32) {
        self.weight.store(weight::of_share(share), Ordering::Relaxed);
    }

    /// Changes the limit; threads that wait for the next period go on waiting for it.
    pub fn set_limit(&self, limit: Option<Bandwidth>) {
        let mut pool = self.pool.lock();
        *pool = match (pool.take(), limit) {
            (Some(mut pool), Some(limit)) => {
                pool.set_limit(limit);
                Some(pool)
            }
            (_, limit) => limit.map(Pool::new),
        };
        self.limited.store(pool.is_some(), Ordering::Relaxed);
    }

    pub fn limit(&self) -> Option<Bandwidth> {
        self.pool.lock().as_ref().map(Pool::limit)
    }

    /// Periods so far, and how often a CPU stopped its threads because nothing was left of one.
    pub fn throttled(&self) -> (u64, u64) {
        self.pool.lock().as_ref().map_or((0, 0), |pool| (pool.periods, pool.throttled))
    }
}

/// A group on one CPU.
pub(super) struct GroupQueue<T> {
    pub fair: FairQueue<T>,
    pub parent: GroupId,
    pub group: alloc::sync::Arc<Group>,
    /// Its entity while that takes no part in the parent's queue.
    pub entity: Link<T>,
    /// Where the entity is in the parent's tree.
    pub key: Key,
    pub grant: Grant,
    /// Its quota is used up: nothing of it runs here.
    pub throttled: bool,
    /// Real-time and deadline threads that wait for the quota, chained by `right`.
    pub stash: Link<T>,
    /// Nanoseconds that its threads ran here.
    pub ran: u64,
    /// It had threads on other CPUs too when its weight was last set.
    pub split: bool,
    /// What of `group.load` is from here.
    published: u64,
}

impl<T> GroupQueue<T> {
    pub fn new(group: alloc::sync::Arc<Group>, parent: GroupId, entity: Link<T>, seed: u32) -> GroupQueue<T> {
        GroupQueue {
            fair: FairQueue::new(seed),
            parent,
            group,
            entity,
            key: Key::default(),
            grant: Grant::default(),
            throttled: false,
            stash: None,
            ran: 0,
            split: false,
            published: 0,
        }
    }

    /// Tells the other CPUs of this one's load after it changed.
    #[inline]
    pub fn publish(&mut self) {
        let change = self.fair.load.wrapping_sub(self.published);
        if change != 0 {
            self.group.load.fetch_add(change, Ordering::Relaxed);
            self.published = self.fair.load;
        }
    }

    /// True when all its runnable members are on this CPU.
    pub fn is_whole(&self) -> bool {
        self.fair.load == self.group.load.load(Ordering::Relaxed)
    }

    /// The weight of its entity on this CPU.
    #[inline]
    pub fn weight(&self) -> u64 {
        let whole = self.group.weight.load(Ordering::Relaxed);
        let (here, all) = (self.fair.load, self.group.load.load(Ordering::Relaxed));
        if here >= all || here == 0 {
            return whole;
        }
        let part = u128::from(whole) * u128::from(here) / u128::from(all);
        (part as u64).max(weight::LEAST)
    }

    #[inline]
    pub fn is_limited(&self) -> bool {
        self.group.limited.load(Ordering::Relaxed)
    }

    /// True when its threads may run: there is quota left, or there is more to be had.
    #[inline]
    pub fn has_quota(&mut self, now: u64) -> bool {
        if !self.is_limited() || self.grant.left > 0 && now < self.grant.end {
            return true;
        }
        match self.group.pool.lock().as_mut() {
            Some(pool) => {
                pool.refill(&mut self.grant, now);
                self.grant.left > 0
            }
            None => true,
        }
    }

    pub fn count_throttled(&self) {
        if let Some(pool) = self.group.pool.lock().as_mut() {
            pool.throttled += 1;
        }
    }

    /// Its last thread here went to sleep.
    pub fn give_back(&mut self, now: u64) {
        if self.is_limited()
            && let Some(pool) = self.group.pool.lock().as_mut()
        {
            pool.give_back(&mut self.grant, now);
        }
    }
}
