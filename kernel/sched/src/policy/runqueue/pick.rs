//! Whose turn it is.

use alloc::boxed::Box;

use super::{Member, NEVER, RunQueue, Running};
use crate::policy::class::{Class, RR_SLICE_NS};
use crate::policy::entity::{Entity, GroupId, Runnable};
use crate::policy::fair::Choice;

impl<T: Runnable> RunQueue<T> {
    /// The thread that runs from now on; `None` when there is none that may. With `pass` (`sched_yield`) the running
    /// thread lets its equals go first.
    pub fn pick(&mut self, now: u64, pass: bool) -> Option<T> {
        self.account(now);
        self.expire(now);
        self.started = now;
        self.preempt_at = NEVER;
        if let Running::Urgent(entity) = core::mem::replace(&mut self.running, Running::Nothing) {
            self.put_back(entity, pass);
        } else if self.group(self.leaf).is_some_and(|queue| queue.fair.current.is_some()) {
            self.running = Running::Fair;
        }
        let urgent = if self.deadline.is_empty() && self.realtime.is_empty() { None } else { self.pick_urgent(now) };
        self.resched = false;
        match urgent {
            Some(entity) => {
                self.demote(GroupId::ROOT);
                self.leaf = entity.group;
                let thread = entity.runnable().cloned();
                self.running = Running::Urgent(entity);
                thread
            }
            None => self.pick_fair(now, pass),
        }
    }

    /// The running urgent thread waits for its next turn.
    fn put_back(&mut self, mut entity: Box<Entity<T>>, pass: bool) {
        match entity.class {
            Class::Deadline(reservation) => {
                if pass {
                    entity.server.finish();
                }
                if entity.server.left <= 0 {
                    let at = entity.server.replenished_at(&reservation);
                    self.insert_depleted(entity, at);
                } else {
                    self.insert_deadline(entity);
                }
            }
            class => {
                let used_up = matches!(class, Class::RoundRobin(_)) && entity.rr_left == 0;
                if used_up {
                    entity.rr_left = RR_SLICE_NS;
                }
                self.insert_realtime(entity, !used_up && !pass);
            }
        }
    }

    fn pick_urgent(&mut self, now: u64) -> Option<Box<Entity<T>>> {
        loop {
            let entity = if !self.deadline.is_empty() {
                self.deadline.pop_first()
            } else if self.rt_throttled() && self.fair_waits() {
                None
            } else {
                self.realtime.pop_first()
            }?;
            match self.without_quota(entity.group, now) {
                None => return Some(entity),
                Some(group) => self.stash(group, entity, now),
            }
        }
    }

    fn pick_fair(&mut self, now: u64, pass: bool) -> Option<T> {
        let passing = if pass { self.rivals() } else { None };
        let mut at = GroupId::ROOT;
        loop {
            let queue = self.group_mut(at)?;
            match queue.fair.choose(passing == Some(at)) {
                Choice::Nobody => {
                    // Only the root is ever looked at while empty.
                    self.running = Running::Nothing;
                    self.leaf = GroupId::ROOT;
                    return None;
                }
                Choice::Current => {}
                Choice::Waiting(key) => {
                    let next = queue.fair.tree.remove(key);
                    if let Some(last) = core::mem::replace(&mut queue.fair.current, next) {
                        self.retire(at, last);
                    }
                }
            }
            match self.group(at)?.fair.current.as_ref().map(|entity| &entity.member) {
                Some(Member::Group(below)) => {
                    let below = *below;
                    let queue = self.group_mut(below)?;
                    if queue.has_quota(now) {
                        at = below;
                    } else {
                        self.throttle(below, now);
                        at = GroupId::ROOT;
                    }
                }
                Some(Member::Thread(thread)) => {
                    let thread = thread.clone();
                    self.running = Running::Fair;
                    self.leaf = at;
                    return thread;
                }
                None => return None,
            }
        }
    }

    /// An entity that was current in the queue `at` waits for its next turn; a group with all that is current in it.
    fn retire(&mut self, at: GroupId, mut entity: Box<Entity<T>>) {
        if let Member::Group(below) = entity.member {
            self.demote(below);
            let weight = self.group(below).map_or(entity.weight, |queue| queue.weight());
            if let Some(queue) = self.group_mut(at) {
                queue.fair.reweigh(&mut entity, weight);
                queue.publish();
            }
        }
        self.insert_into(at, entity);
    }

    /// The nearest group from the running thread's up where someone else waits.
    fn rivals(&self) -> Option<GroupId> {
        let mut at = self.leaf;
        loop {
            let queue = self.group(at)?;
            if !queue.fair.tree.is_empty() {
                return Some(at);
            }
            if at == GroupId::ROOT {
                return None;
            }
            at = queue.parent;
        }
    }
}
