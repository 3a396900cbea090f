//! Scheduling classes and their parameters.

use core::cmp::Ordering;

use super::weight;

/// How long a fair thread runs while others wait.
pub const SLICE_NS: u64 = 3_000_000;
/// The same for `SCHED_BATCH`: fewer switches for work that nobody waits for.
pub const BATCH_SLICE_NS: u64 = 12_000_000;
/// Bounds of a slice that a program asks for or a predictor advises.
pub const SLICE_BOUNDS_NS: (u64, u64) = (100_000, 100_000_000);
/// How long a `SCHED_RR` thread runs before its equals, as Linux's default.
pub const RR_SLICE_NS: u64 = 100_000_000;

/// What a deadline thread reserves: `runtime` in each `period`, to be had within `deadline` of its start. Nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reservation {
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

impl Reservation {
    /// A reservation in the bounds of sched(7): 1,024 ns <= runtime <= deadline <= period < 2^63.
    pub fn new(runtime: u64, deadline: u64, period: u64) -> Option<Reservation> {
        let period = if period == 0 { deadline } else { period };
        let fits = runtime >= 1024 && runtime <= deadline && deadline <= period && period < 1 << 63;
        fits.then_some(Reservation { runtime, deadline, period })
    }

    /// The part of a CPU it may need at worst, of [`ONE`](Reservation::ONE).
    pub fn density(&self) -> u64 {
        let density = (u128::from(self.runtime) << 20).div_ceil(u128::from(self.deadline.max(1)));
        u64::try_from(density).unwrap_or(u64::MAX)
    }

    /// A whole CPU, as [`density`](Reservation::density) counts.
    pub const ONE: u64 = 1 << 20;
}

/// What a thread is scheduled by. Real-time priorities go from 1 (least) to 99.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    Deadline(Reservation),
    Fifo(u8),
    RoundRobin(u8),
    /// Nice level, and the slice asked for in nanoseconds (0: the usual one).
    Normal {
        nice: i8,
        slice: u64,
    },
    Batch {
        nice: i8,
        slice: u64,
    },
    /// Runs when hardly anyone else wants to; the nice level is kept for when it leaves the class.
    Idle {
        nice: i8,
    },
}

impl Default for Class {
    fn default() -> Class {
        Class::Normal { nice: 0, slice: 0 }
    }
}

impl Class {
    pub fn is_fair(&self) -> bool {
        matches!(self, Class::Normal { .. } | Class::Batch { .. } | Class::Idle { .. })
    }

    /// The real-time priority, 1 to 99; 0 for other classes.
    pub fn priority(&self) -> u8 {
        match self {
            Class::Fifo(priority) | Class::RoundRobin(priority) => *priority,
            _ => 0,
        }
    }

    pub fn nice(&self) -> i8 {
        match self {
            Class::Normal { nice, .. } | Class::Batch { nice, .. } | Class::Idle { nice } => *nice,
            _ => 0,
        }
    }

    /// The weight in the fair class.
    pub fn weight(&self) -> u64 {
        match self {
            Class::Normal { nice, .. } | Class::Batch { nice, .. } => weight::of_nice(i32::from(*nice)),
            Class::Idle { .. } => weight::IDLE,
            _ => weight::NICE_0,
        }
    }

    /// How long it may run at a time while others wait, in nanoseconds.
    pub fn slice(&self) -> u64 {
        let (asked, usual) = match self {
            Class::Normal { slice, .. } => (*slice, SLICE_NS),
            Class::Batch { slice, .. } => (*slice, BATCH_SLICE_NS),
            Class::RoundRobin(_) => (0, RR_SLICE_NS),
            _ => (0, SLICE_NS),
        };
        if asked == 0 { usual } else { asked.clamp(SLICE_BOUNDS_NS.0, SLICE_BOUNDS_NS.1) }
    }

    /// Whom a lock's owner inherits from: a more urgent class first, then a shorter deadline, a higher priority, a
    /// greater weight.
    pub fn urgency(&self, other: &Class) -> Ordering {
        let rank = |class: &Class| match class {
            Class::Deadline(_) => 2,
            Class::Fifo(_) | Class::RoundRobin(_) => 1,
            _ => 0,
        };
        rank(self).cmp(&rank(other)).then_with(|| match (self, other) {
            (Class::Deadline(mine), Class::Deadline(theirs)) => theirs.deadline.cmp(&mine.deadline),
            _ => self.priority().cmp(&other.priority()).then(self.weight().cmp(&other.weight())),
        })
    }
}
