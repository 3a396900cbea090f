//! Time that passed: charged to the running thread and its groups, and what follows from it.

use super::{NEVER, RunQueue, Running};
use crate::policy::class::Class;
use crate::policy::entity::{GroupId, Runnable};

/// Real-time threads may use this much of each second while fair threads wait: no agent takes the machine by a loop.
/// Nanoseconds: runtime, period.
pub const RT_LIMIT: (u64, u64) = (950_000_000, 1_000_000_000);

impl<T: Runnable> RunQueue<T> {
    /// Charges the time since the last call to whom it went.
    pub fn account(&mut self, now: u64) {
        let ns = now.saturating_sub(self.since);
        self.since = self.since.max(now);
        if ns == 0 {
            return;
        }
        let is_fair = match &mut self.running {
            Running::Nothing => return,
            Running::Fair => true,
            Running::Urgent(entity) => {
                entity.ran += ns;
                match entity.class {
                    Class::Deadline(_) => {
                        entity.server.left = entity.server.left.saturating_sub_unsigned(ns);
                        self.resched |= entity.server.left <= 0;
                    }
                    Class::RoundRobin(_) => {
                        entity.rr_left = entity.rr_left.saturating_sub(ns);
                        self.resched |= entity.rr_left == 0;
                    }
                    _ => {}
                }
                if !matches!(entity.class, Class::Deadline(_)) {
                    self.charge_realtime(ns, now);
                }
                false
            }
        };
        let mut at = self.leaf;
        let mut resched = false;
        while let Some(queue) = self.group_mut(at) {
            if is_fair {
                resched |= queue.fair.account(ns);
            }
            queue.ran += ns;
            if queue.is_limited() {
                queue.grant.left = queue.grant.left.saturating_sub_unsigned(ns);
                resched |= !queue.has_quota(now);
            }
            if at == GroupId::ROOT {
                break;
            }
            at = queue.parent;
        }
        self.resched |= resched;
    }

    fn charge_realtime(&mut self, ns: u64, now: u64) {
        self.turn_rt_period(now);
        self.rt_used += ns;
        self.resched |= self.rt_throttled() && self.fair_waits();
    }

    /// A new period of the real-time limit begins when the last is over.
    pub(super) fn turn_rt_period(&mut self, now: u64) {
        if now.saturating_sub(self.rt_period) >= RT_LIMIT.1 {
            self.rt_period = now - (now - self.rt_period) % RT_LIMIT.1;
            // What was used too much because of a late timer counts in the new period.
            self.rt_used = self.rt_used.saturating_sub(RT_LIMIT.0).min(RT_LIMIT.0 / 2);
        }
    }

    pub(super) fn rt_throttled(&self) -> bool {
        self.rt_used >= RT_LIMIT.0
    }

    pub(super) fn fair_waits(&self) -> bool {
        self.group(GroupId::ROOT).is_some_and(|root| root.fair.load != 0)
    }

    /// A timer came: charges, and lets go on what waited for a time. True when the CPU should
    /// [`pick`](RunQueue::pick).
    pub fn tick(&mut self, now: u64) -> bool {
        self.account(now);
        self.expire(now);
        self.resched || now >= self.preempt_at
    }

    /// Wakes deadline threads whose period began and groups that have quota again.
    pub(super) fn expire(&mut self, now: u64) {
        if self.rt_used != 0 {
            let throttled = self.rt_throttled();
            self.turn_rt_period(now);
            self.resched |= throttled && !self.rt_throttled() && !self.realtime.is_empty();
        }
        if !self.throttled.is_empty() {
            self.unthrottle(now);
        }
        while self.depleted.first().is_some_and(|first| first.key.at <= now) {
            let Some(mut entity) = self.depleted.pop_first() else { return };
            let Class::Deadline(reservation) = entity.class else { continue };
            if entity.server.replenish(&reservation, now) {
                self.insert_deadline(entity);
            } else {
                let at = entity.server.replenished_at(&reservation);
                self.insert_depleted(entity, at);
            }
        }
    }

    /// When [`tick`](RunQueue::tick) wants to be called next, [`NEVER`] if only another event changes anything.
    pub fn next_event(&self) -> u64 {
        let mut event = self.preempt_at.min(self.unthrottled_at());
        if let Some(first) = self.depleted.first() {
            event = event.min(first.key.at);
        }
        if self.rt_throttled() && !self.realtime.is_empty() {
            event = event.min(self.rt_period + RT_LIMIT.1);
        }
        let mut within = NEVER;
        match &self.running {
            Running::Nothing => return event,
            Running::Fair => {}
            Running::Urgent(entity) => match entity.class {
                Class::Deadline(_) => within = entity.server.left.max(0) as u64,
                class => {
                    let equal = |other: &crate::policy::Entity<T>| other.class.priority() == class.priority();
                    if matches!(class, Class::RoundRobin(_)) && self.realtime.first().is_some_and(equal) {
                        within = entity.rr_left;
                    }
                    if self.fair_waits() {
                        within = within.min(RT_LIMIT.0.saturating_sub(self.rt_used));
                    }
                }
            },
        }
        let is_fair = matches!(self.running, Running::Fair);
        let mut at = self.leaf;
        while let Some(queue) = self.group(at) {
            if is_fair && let Some(left) = queue.fair.slice_left() {
                within = within.min(left);
            }
            if queue.is_limited() {
                within = within.min(queue.grant.left.max(0) as u64);
            }
            if at == GroupId::ROOT {
                break;
            }
            at = queue.parent;
        }
        // `within` counts from where the running thread is accounted up to.
        event.min(self.since.saturating_add(within))
    }
}
