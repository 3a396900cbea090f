//! One CPU's run queue: who runs next, and for how long.
//!
//! Classes, the first with someone runnable wins: deadline (earliest deadline), real time (highest priority), fair (by
//! virtual deadline, in a tree of groups). A running thread's entity is out of the trees: a fair one is `current` of its
//! group, as its group is of the parent; a real-time or deadline one is in `running`.
//!
//! Nothing here allocates, but [`RunQueue::add_group`]. All operations are O(log n) in the threads of the queue and
//! linear in the depth of groups, [`expire`](RunQueue::expire) also in the groups that are throttled.

mod account;
mod groups;
mod pick;
mod steal;

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::class::{Class, RR_SLICE_NS};
use super::entity::{Entity, GroupId, Key, Link, Member, Runnable};
use super::fair::GRANULARITY_NS;
use super::group::{Group, GroupQueue};
use super::tree::Tree;

pub use account::RT_LIMIT;

/// No event to wait for.
pub const NEVER: u64 = u64::MAX;

/// Sequence numbers of real-time threads of one priority: the tail counts up from the middle, the head down.
const MIDDLE: u64 = 1 << 54;

enum Running<T> {
    Nothing,
    /// The `current` chain from the root group down to `leaf`.
    Fair,
    /// A real-time or deadline thread.
    Urgent(Box<Entity<T>>),
}

pub struct RunQueue<T> {
    groups: Vec<Option<GroupQueue<T>>>,
    running: Running<T>,
    /// Group of the running thread.
    leaf: GroupId,
    /// When the running thread's turn began, and up to when it is accounted.
    started: u64,
    since: u64,
    /// Deadline threads that may run, by deadline; and those that used up their runtime, by when they get more.
    deadline: Tree<T>,
    depleted: Tree<T>,
    realtime: Tree<T>,
    head: u64,
    tail: u64,
    rt_used: u64,
    rt_period: u64,
    throttled: Vec<GroupId>,
    /// Someone else should run.
    resched: bool,
    /// When a thread that woke gets its turn before the running one.
    preempt_at: u64,
    /// Runnable threads, the running one included.
    runnable: usize,
    fair: usize,
    /// What to add to the root's virtual time to compare it with other CPUs'.
    offset: i64,
    seed: u32,
}

impl<T: Runnable> RunQueue<T> {
    /// A queue with an empty root group, `root`.
    pub fn new(seed: u32, root: alloc::sync::Arc<Group>) -> RunQueue<T> {
        let mut queue = RunQueue {
            groups: Vec::new(),
            running: Running::Nothing,
            leaf: GroupId::ROOT,
            started: 0,
            since: 0,
            deadline: Tree::new(seed),
            depleted: Tree::new(seed),
            realtime: Tree::new(seed),
            head: MIDDLE,
            tail: MIDDLE,
            rt_used: 0,
            rt_period: 0,
            throttled: Vec::new(),
            resched: false,
            preempt_at: NEVER,
            runnable: 0,
            fair: 0,
            offset: 0,
            seed,
        };
        queue.groups.push(Some(GroupQueue::new(root, GroupId::ROOT, None, seed)));
        queue
    }

    /// Runnable threads, the running one included.
    pub fn len(&self) -> usize {
        self.runnable
    }

    pub fn is_empty(&self) -> bool {
        self.runnable == 0
    }

    /// Puts a thread that woke, or came from elsewhere, into the queue. True when the CPU should
    /// [`pick`](RunQueue::pick) at once; otherwise look at [`next_event`](RunQueue::next_event) again.
    ///
    /// An entity of a group that this queue does not have goes to the root group.
    pub fn enqueue(&mut self, mut entity: Box<Entity<T>>, thread: T, now: u64) -> bool {
        self.account(now);
        entity.member = Member::Thread(Some(thread));
        if self.group(entity.group).is_none() {
            entity.group = GroupId::ROOT;
        }
        self.runnable += 1;
        match entity.class {
            Class::Deadline(reservation) => match entity.server.wake(&reservation, now) {
                None => self.insert_deadline(entity),
                Some(at) => self.insert_depleted(entity, at),
            },
            Class::Fifo(_) | Class::RoundRobin(_) => {
                if entity.rr_left == 0 {
                    entity.rr_left = RR_SLICE_NS;
                }
                self.insert_realtime(entity, false);
            }
            _ => {
                self.fair += 1;
                self.insert_fair(entity);
            }
        }
        self.resched
    }

    /// The running thread sleeps, ends or leaves: takes it out. Goes on with [`pick`](RunQueue::pick).
    pub fn block(&mut self, now: u64) -> Option<(Box<Entity<T>>, T)> {
        self.account(now);
        let entity = match core::mem::replace(&mut self.running, Running::Nothing) {
            Running::Nothing => return None,
            Running::Urgent(entity) => entity,
            Running::Fair => {
                self.fair -= 1;
                let queue = self.group_mut(self.leaf)?;
                let mut entity = queue.fair.current.take()?;
                queue.fair.leave(&mut entity);
                queue.publish();
                self.shrink(self.leaf, now);
                entity
            }
        };
        self.release(entity)
    }

    /// Takes a thread out that is in the queue but does not run: `key` is where it was last
    /// [`placed`](Runnable::placed), `class` and `group` are those of its entity.
    pub fn remove(&mut self, class: Class, group: GroupId, key: Key, now: u64) -> Option<(Box<Entity<T>>, T)> {
        self.account(now);
        let entity = match class {
            Class::Deadline(_) => self.deadline.remove(key).or_else(|| self.depleted.remove(key)),
            Class::Fifo(_) | Class::RoundRobin(_) => self.realtime.remove(key),
            _ => {
                let queue = self.group_mut(group)?;
                let mut entity = queue.fair.tree.remove(key)?;
                queue.fair.leave(&mut entity);
                queue.publish();
                self.fair -= 1;
                self.shrink(group, now);
                Some(entity)
            }
        };
        let entity = entity.or_else(|| self.unstash(group, key.id))?;
        self.release(entity)
    }

    fn release(&mut self, mut entity: Box<Entity<T>>) -> Option<(Box<Entity<T>>, T)> {
        self.runnable -= 1;
        match core::mem::replace(&mut entity.member, Member::Thread(None)) {
            Member::Thread(Some(thread)) => Some((entity, thread)),
            _ => None,
        }
    }

    /// True when a [`pick`](RunQueue::pick) may find someone, other than whom it found last.
    pub fn has_ready(&self) -> bool {
        !self.deadline.is_empty() || !self.realtime.is_empty() || self.fair_waits()
    }

    /// The entity of a fair thread that is in the queue or runs; see [`remove`](RunQueue::remove).
    pub fn find_fair(&self, group: GroupId, key: Key) -> Option<&Entity<T>> {
        let queue = &self.group(group)?.fair;
        queue.current.as_deref().filter(|entity| entity.key.id == key.id).or_else(|| queue.tree.get(key))
    }

    /// The entity of the running thread.
    pub fn current(&self) -> Option<&Entity<T>> {
        match &self.running {
            Running::Nothing => None,
            Running::Urgent(entity) => Some(entity),
            Running::Fair => self.group(self.leaf)?.fair.current.as_deref(),
        }
    }

    fn insert_deadline(&mut self, mut entity: Box<Entity<T>>) {
        entity.key.at = entity.server.deadline;
        let first = match &self.running {
            Running::Urgent(running) if matches!(running.class, Class::Deadline(_)) => {
                entity.server.deadline < running.server.deadline
            }
            _ => true,
        };
        self.resched |= first;
        placed(&entity);
        self.deadline.insert(entity);
    }

    fn insert_depleted(&mut self, mut entity: Box<Entity<T>>, at: u64) {
        entity.key.at = at;
        placed(&entity);
        self.depleted.insert(entity);
    }

    fn insert_realtime(&mut self, mut entity: Box<Entity<T>>, at_head: bool) {
        let sequence = if at_head {
            self.head -= 1;
            self.head
        } else {
            self.tail += 1;
            self.tail
        };
        let priority = entity.class.priority();
        entity.key.at = u64::from(99_u8.saturating_sub(priority)) << 55 | sequence;
        self.resched |= match &self.running {
            Running::Urgent(running) => {
                !matches!(running.class, Class::Deadline(_)) && running.class.priority() < priority
            }
            Running::Nothing => true,
            Running::Fair => !self.rt_throttled(),
        };
        placed(&entity);
        self.realtime.insert(entity);
    }

    /// Lets an entity take part in the queue of its group, and its groups in theirs.
    fn insert_fair(&mut self, entity: Box<Entity<T>>) {
        let group = entity.group;
        self.join(group, entity);
    }

    /// Lets `entity` take part in the queue `at`, and the group `at`, if it did not, in its parent's.
    fn join(&mut self, mut at: GroupId, mut entity: Box<Entity<T>>) {
        let owed = entity.owed;
        loop {
            let Some(queue) = self.group_mut(at) else { return };
            queue.fair.join(&mut entity);
            queue.publish();
            let vruntime = entity.vruntime;
            let key = self.insert_into(at, entity);
            let Some(queue) = self.group_mut(at) else { return };
            if queue.throttled {
                return;
            }
            if let Some(mut of_group) = queue.entity.take() {
                of_group.owed = owed;
                let (weight, parent) = (queue.weight(), queue.parent);
                of_group.lag =
                    (i128::from(of_group.lag) * i128::from(of_group.weight) / i128::from(weight.max(1))) as i64;
                of_group.weight = weight;
                (entity, at) = (of_group, parent);
                continue;
            }
            let preempts = queue.fair.preempts(key, vruntime);
            match self.running {
                Running::Nothing => self.resched = true,
                Running::Fair if preempts => self.preempt_at = self.preempt_at.min(self.started + GRANULARITY_NS),
                Running::Fair => {}
                Running::Urgent(_) => self.resched |= self.rt_throttled(),
            }
            if owed != 0 {
                self.credit(at, owed);
            }
            self.refit(at);
            return;
        }
    }

    /// Puts an entity that takes part in a group's queue into its tree.
    fn insert_into(&mut self, at: GroupId, entity: Box<Entity<T>>) -> Key {
        let key = Key { at: entity.deadline as u64, id: entity.key.id };
        match &entity.member {
            Member::Thread(Some(thread)) => thread.placed(key),
            Member::Thread(None) => {}
            Member::Group(group) => {
                if let Some(queue) = self.group_mut(*group) {
                    queue.key = key;
                }
            }
        }
        if let Some(queue) = self.group_mut(at) {
            queue.fair.insert(entity);
        }
        key
    }

    /// Groups from `at` up that have nobody left take no part any more.
    fn shrink(&mut self, mut at: GroupId, now: u64) {
        while at != GroupId::ROOT {
            let Some(queue) = self.group_mut(at) else { return };
            if queue.throttled {
                return;
            }
            if queue.fair.load != 0 {
                self.refit(at);
                return;
            }
            let parent = queue.parent;
            queue.give_back(now);
            self.withdraw(at);
            at = parent;
        }
    }

    /// Takes a group's entity out of the parent's queue.
    fn withdraw(&mut self, at: GroupId) {
        let Some((parent, key)) = self.group(at).map(|queue| (queue.parent, queue.key)) else { return };
        let Some(queue) = self.group_mut(parent) else { return };
        let is_current =
            queue.fair.current.as_ref().is_some_and(|entity| matches!(entity.member, Member::Group(id) if id == at));
        let entity: Link<T> = if is_current { queue.fair.current.take() } else { queue.fair.tree.remove(key) };
        if let Some(mut entity) = entity {
            queue.fair.leave(&mut entity);
            queue.publish();
            if let Some(queue) = self.group_mut(at) {
                queue.entity = Some(entity);
            }
        }
    }

    #[inline]
    fn group(&self, id: GroupId) -> Option<&GroupQueue<T>> {
        self.groups.get(id.0 as usize)?.as_ref()
    }

    #[inline]
    fn group_mut(&mut self, id: GroupId) -> Option<&mut GroupQueue<T>> {
        self.groups.get_mut(id.0 as usize)?.as_mut()
    }
}

fn placed<T: Runnable>(entity: &Entity<T>) {
    if let Some(thread) = entity.runnable() {
        thread.placed(entity.key);
    }
}
