//! What run queues hold: threads, and groups of them.
//!
//! An entity is one allocation, made with its thread or group. It moves into a queue and out again as a whole, so
//! that neither waking nor switching allocates.

use alloc::boxed::Box;

use super::class::{Class, SLICE_NS};
use super::deadline::Server;
use super::weight::NICE_0;
use kernel_hal::cpuset::CpuSet;

/// A group by number. The root group holds the threads that no agent owns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct GroupId(pub u32);

impl GroupId {
    pub const ROOT: GroupId = GroupId(0);
}

/// The place of an entity in a queue's order: virtual deadline, priority or deadline first, then its number. Both are
/// compared by their distance, so that virtual time may wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Key {
    pub at: u64,
    pub id: u64,
}

impl Key {
    #[inline]
    pub fn before(&self, other: &Key) -> bool {
        let first = self.at.wrapping_sub(other.at) as i64;
        first < 0 || first == 0 && self.id < other.id
    }
}

/// The thread that an entity stands for, as the queue's user knows it.
pub trait Runnable: Clone {
    /// The entity was put at this place; a later [`RunQueue::remove`](super::RunQueue::remove) names it.
    fn placed(&self, key: Key);

    /// A group may run no more on the CPU whose queue this is, or may again.
    fn throttled(_group: GroupId, _stopped: bool) {}

    /// False while it cannot go to another CPU, for a reason that passes.
    fn is_movable(&self) -> bool {
        true
    }
}

pub(super) type Link<T> = Option<Box<Entity<T>>>;

pub(super) enum Member<T> {
    Group(GroupId),
    Thread(Option<T>),
}

pub struct Entity<T> {
    // The tree it is in.
    pub(super) left: Link<T>,
    pub(super) right: Link<T>,
    pub(super) rank: u32,
    /// Least virtual run time of this and all below.
    pub(super) low: i64,
    pub(super) key: Key,
    // Fair class.
    pub(super) vruntime: i64,
    pub(super) deadline: i64,
    pub(super) weight: u64,
    pub(super) slice: u64,
    /// Virtual time it was owed when it left a queue (negative: had too much).
    pub(super) lag: i64,
    /// Nanoseconds on a CPU that it is owed for having been on a slow one.
    pub(super) owed: u64,
    pub(super) member: Member<T>,
    // Threads only.
    pub(super) class: Class,
    pub(super) group: GroupId,
    pub(super) allowed: CpuSet,
    pub(super) server: Server,
    /// What is left of a `SCHED_RR` slice, in nanoseconds.
    pub(super) rr_left: u64,
    /// Nanoseconds on a CPU.
    pub(super) ran: u64,
}

impl<T> Entity<T> {
    /// The entity of a thread; `id` is its alone.
    pub fn thread(id: u64, class: Class, group: GroupId, allowed: CpuSet) -> Entity<T> {
        let mut entity = Entity::new(id, group, Member::Thread(None));
        entity.allowed = allowed;
        entity.set_class(class);
        entity
    }

    pub(super) fn of_group(group: GroupId) -> Entity<T> {
        Entity::new(u64::from(group.0), group, Member::Group(group))
    }

    fn new(id: u64, group: GroupId, member: Member<T>) -> Entity<T> {
        Entity {
            left: None,
            right: None,
            rank: 0,
            low: 0,
            key: Key { at: 0, id },
            vruntime: 0,
            deadline: 0,
            weight: NICE_0,
            slice: SLICE_NS,
            lag: 0,
            owed: 0,
            member,
            class: Class::default(),
            group,
            allowed: CpuSet::ALL,
            server: Server::default(),
            rr_left: 0,
            ran: 0,
        }
    }

    /// The number it was made with.
    pub fn id(&self) -> u64 {
        self.key.id
    }

    pub fn class(&self) -> Class {
        self.class
    }

    /// Changes what it is scheduled by. It is in no queue.
    pub fn set_class(&mut self, class: Class) {
        if class == self.class && self.weight == class.weight() {
            return;
        }
        if self.class.is_fair() != class.is_fair() {
            self.lag = 0;
        }
        if let Class::Deadline(_) = class {
            self.server = Server::default();
        }
        self.lag = (i128::from(self.lag) * i128::from(self.weight) / i128::from(class.weight().max(1))) as i64;
        self.weight = class.weight();
        self.slice = class.slice();
        self.rr_left = class.slice();
        self.class = class;
    }

    pub fn group(&self) -> GroupId {
        self.group
    }

    /// Moves it to another group. It is in no queue.
    pub fn set_group(&mut self, group: GroupId) {
        if group != self.group {
            self.group = group;
            self.lag = 0;
        }
    }

    pub fn allowed(&self) -> &CpuSet {
        &self.allowed
    }

    pub fn set_allowed(&mut self, allowed: CpuSet) {
        self.allowed = allowed;
    }

    /// Nanoseconds on a CPU, up to the last time it was accounted.
    pub fn ran(&self) -> u64 {
        self.ran
    }

    /// Virtual time it has used, in the weight's units; only differences mean something.
    pub fn vruntime(&self) -> i64 {
        self.vruntime
    }

    pub(super) fn runnable(&self) -> Option<&T> {
        match &self.member {
            Member::Thread(thread) => thread.as_ref(),
            Member::Group(_) => None,
        }
    }
}
