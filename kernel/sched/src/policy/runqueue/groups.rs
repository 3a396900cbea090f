//! Groups of a run queue: made, ended, throttled when their quota is used up.

use alloc::boxed::Box;
use alloc::collections::TryReserveError;
use alloc::sync::Arc;

use super::{Member, NEVER, RunQueue, Running};
use crate::policy::class::Class;
use crate::policy::entity::{Entity, GroupId, Link, Runnable};
use crate::policy::fair::FairQueue;
use crate::policy::group::{Group, GroupQueue};
use crate::policy::weight::to_virtual;

impl<T: Runnable> RunQueue<T> {
    /// Makes room for the group `id` under `parent`, which exists.
    pub fn add_group(&mut self, id: GroupId, parent: GroupId, group: Arc<Group>) -> Result<(), TryReserveError> {
        let index = id.0 as usize;
        if index >= self.groups.len() {
            self.groups.try_reserve(index + 1 - self.groups.len())?;
            self.groups.resize_with(index + 1, || None);
        }
        self.throttled.try_reserve(self.groups.len() - self.throttled.len())?;
        self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let entity = Box::new(Entity::of_group(id));
        let parent = if self.group(parent).is_some() { parent } else { GroupId::ROOT };
        if let Some(place) = self.groups.get_mut(index) {
            *place = Some(GroupQueue::new(group, parent, Some(entity), self.seed));
        }
        Ok(())
    }

    /// Forgets a group that has no threads and no groups below. Returns how long its threads ran here, in nanoseconds.
    pub fn remove_group(&mut self, id: GroupId) -> u64 {
        if id == GroupId::ROOT {
            return 0;
        }
        self.throttled.retain(|throttled| *throttled != id);
        let place = self.groups.get_mut(id.0 as usize);
        place.and_then(Option::take).map_or(0, |queue| queue.ran)
    }

    /// How long threads of a group and of those below it ran on this CPU, in nanoseconds.
    pub fn group_ran(&self, id: GroupId) -> u64 {
        self.group(id).map_or(0, |queue| queue.ran)
    }

    /// The nearest group from `at` up whose quota is used up.
    pub(super) fn without_quota(&mut self, mut at: GroupId, now: u64) -> Option<GroupId> {
        loop {
            let queue = self.group_mut(at)?;
            if queue.throttled || !queue.has_quota(now) {
                return Some(at);
            }
            if at == GroupId::ROOT {
                return None;
            }
            at = queue.parent;
        }
    }

    /// Nothing of the group runs here until its next period.
    pub(super) fn throttle(&mut self, id: GroupId, now: u64) {
        let Some(queue) = self.group_mut(id) else { return };
        if queue.throttled {
            return;
        }
        let parent = queue.parent;
        self.demote(id);
        if self.group(id).is_some_and(|queue| queue.entity.is_none()) {
            self.withdraw(id);
        }
        if let Some(queue) = self.group_mut(id) {
            queue.throttled = true;
            queue.count_throttled();
        }
        self.throttled.push(id);
        T::throttled(id, true);
        self.shrink(parent, now);
    }

    /// Sets an urgent thread aside until the group `id` has quota.
    pub(super) fn stash(&mut self, id: GroupId, mut entity: Box<Entity<T>>, now: u64) {
        self.throttle(id, now);
        if let Some(queue) = self.group_mut(id) {
            entity.right = queue.stash.take();
            queue.stash = Some(entity);
        }
    }

    /// Finds a thread that was set aside, in its group or one above.
    pub(super) fn unstash(&mut self, mut at: GroupId, id: u64) -> Link<T> {
        loop {
            let queue = self.group_mut(at)?;
            let mut place = &mut queue.stash;
            while place.as_ref().is_some_and(|entity| entity.key.id != id) {
                place = &mut place.as_mut()?.right;
            }
            if let Some(mut found) = place.take() {
                *place = found.right.take();
                return Some(found);
            }
            if at == GroupId::ROOT {
                return None;
            }
            at = queue.parent;
        }
    }

    /// Lets groups go on whose next period has begun.
    pub(super) fn unthrottle(&mut self, now: u64) {
        let mut index = 0;
        while let Some(id) = self.throttled.get(index).copied() {
            let Some(queue) = self.group_mut(id) else {
                self.throttled.swap_remove(index);
                continue;
            };
            if queue.is_limited() && now < queue.grant.end || !queue.has_quota(now) {
                index += 1;
                continue;
            }
            queue.throttled = false;
            let mut stash = queue.stash.take();
            let parent = queue.parent;
            let has_members = queue.fair.load != 0;
            self.throttled.swap_remove(index);
            T::throttled(id, false);
            if has_members && let Some(entity) = self.group_mut(id).and_then(|queue| queue.entity.take()) {
                self.join(parent, entity);
            }
            while let Some(mut entity) = stash {
                stash = entity.right.take();
                match entity.class {
                    Class::Deadline(_) => self.insert_deadline(entity),
                    _ => self.insert_realtime(entity, false),
                }
            }
        }
    }

    /// When the next throttled group may go on.
    pub(super) fn unthrottled_at(&self) -> u64 {
        let throttled = self.throttled.iter().filter_map(|id| self.group(*id));
        throttled.map(|queue| if queue.is_limited() { queue.grant.end } else { 0 }).min().unwrap_or(NEVER)
    }

    /// Puts the current entities from `at` down into their trees.
    pub(super) fn demote(&mut self, mut at: GroupId) {
        while let Some(entity) = self.group_mut(at).and_then(|queue| queue.fair.current.take()) {
            let below = match entity.member {
                Member::Group(id) => Some(id),
                Member::Thread(_) => None,
            };
            self.insert_into(at, entity);
            match below {
                Some(below) => at = below,
                None => {
                    if matches!(self.running, Running::Fair) {
                        self.running = Running::Nothing;
                    }
                    return;
                }
            }
        }
    }

    /// The groups from `at` up take part already and are owed `ns` more on a CPU.
    pub(super) fn credit(&mut self, mut at: GroupId, ns: u64) {
        while at != GroupId::ROOT {
            let Some(parent) = self.group(at).map(|queue| queue.parent) else { return };
            self.adjust(at, |queue, entity| queue.credit(entity, to_virtual(ns, entity.weight)));
            at = parent;
        }
    }

    /// The load of the groups from `at` up changed here: so does their weight, if they run on other CPUs too. The other
    /// CPUs notice when the group's turn there ends.
    pub(super) fn refit(&mut self, mut at: GroupId) {
        while at != GroupId::ROOT {
            let Some((parent, whole, weight)) =
                self.group(at).map(|queue| (queue.parent, queue.is_whole(), queue.weight()))
            else {
                return;
            };
            if whole && self.group(at).is_some_and(|queue| !queue.split) {
                return;
            }
            if let Some(queue) = self.group_mut(at) {
                queue.split = !whole;
            }
            self.adjust(at, |queue, entity| queue.reweigh(entity, weight));
            if let Some(queue) = self.group_mut(parent) {
                queue.publish();
            }
            at = parent;
        }
    }

    /// Changes the entity of a group that takes part in its parent's queue.
    fn adjust(&mut self, id: GroupId, change: impl FnOnce(&mut FairQueue<T>, &mut Entity<T>)) {
        let Some((parent, key)) = self.group(id).map(|queue| (queue.parent, queue.key)) else { return };
        let Some(queue) = self.group_mut(parent) else { return };
        let is_current =
            queue.fair.current.as_ref().is_some_and(|entity| matches!(entity.member, Member::Group(at) if at == id));
        let entity = if is_current { queue.fair.current.take() } else { queue.fair.tree.remove(key) };
        let Some(mut entity) = entity else { return };
        change(&mut queue.fair, &mut entity);
        if is_current {
            queue.fair.current = Some(entity);
        } else {
            self.insert_into(parent, entity);
        }
    }
}
