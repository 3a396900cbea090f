//! Where threads run: on waking, for a CPU with less to do, and over time. Pure functions of a snapshot.
//!
//! Every answer is an allowed CPU. Fairness over CPUs comes from comparing their virtual times: threads of a CPU whose
//! virtual time falls behind get less than their weight is worth, so one of them moves to a CPU ahead, and takes along
//! what it is owed.

use super::class::Class;
use super::machine::{CpuView, IDLE, RUNS_FAIR, Topology};
use super::weight::{NICE_0, to_real, to_virtual};
use kernel_hal::cpuset::CpuSet;

/// Threads that one balancing moves at most.
pub const MOVES: usize = 16;
/// How far a CPU may fall behind another before a thread moves, by distance: nanoseconds of its time.
const BEHIND_NS: [u64; 4] = [4_000_000, 4_000_000, 8_000_000, 16_000_000];
/// A CPU whose only thread is heavier than a CPU can serve is behind for ever: what it is behind is forgotten past this.
const FORGET_NS: u64 = 32_000_000;

/// A thread that wakes.
#[derive(Clone, Copy, Debug)]
pub struct Waking<'a> {
    /// Where it ran last.
    pub last: usize,
    /// Who wakes it, if that is a thread's doing, and whether that thread is about to wait (a reply, a full pipe).
    pub waker: Option<usize>,
    pub sync: bool,
    /// It never ran: there is nothing of it in a cache.
    pub new: bool,
    pub class: Class,
    pub allowed: &'a CpuSet,
}

/// The CPU where a waking thread goes: `None` when none of `online` is allowed.
pub fn on_wake(
    waking: &Waking<'_>,
    online: &CpuSet,
    topology: &Topology,
    view: impl Fn(usize) -> CpuView,
) -> Option<usize> {
    let usable = |cpu: usize| online.contains(cpu) && waking.allowed.contains(cpu);
    let rank = if waking.class.is_fair() { RUNS_FAIR } else { RUNS_FAIR + waking.class.priority() };
    let last = Some(waking.last).filter(|cpu| usable(*cpu));
    if let Some(last) = last
        && view(last).priority == IDLE
        && view(last).runnable == 0
    {
        return Some(last);
    }
    if waking.sync
        && let Some(waker) = waking.waker.filter(|cpu| usable(*cpu))
        && view(waker).runnable <= 1
        && view(waker).priority <= rank
    {
        return Some(waker);
    }
    let near = last.or(waking.waker).unwrap_or(0);
    let candidates = online.and(waking.allowed);
    // Nearest first; of equals an idle core before the idle half of a busy one.
    let cost = |cpu: usize| {
        let shared = online.iter().any(|other| topology.distance(cpu, other) == 1 && view(other).runnable != 0);
        (topology.distance(near, cpu).max(2), shared, topology.distance(near, cpu), cpu)
    };
    let idle = candidates.iter().filter(|cpu| view(*cpu).runnable == 0).min_by_key(|cpu| cost(*cpu));
    if idle.is_some() {
        return idle;
    }
    if !waking.class.is_fair() {
        // Nobody is idle: the least urgent gives way; where it was last if that is one of them.
        return candidates.iter().min_by_key(|cpu| (view(*cpu).priority, topology.distance(near, *cpu)));
    }
    let waker = waking.waker.filter(|cpu| usable(*cpu));
    match (last.filter(|_| !waking.new), waker) {
        (Some(last), Some(waker)) if view(waker).load * 2 < view(last).load => Some(waker),
        (Some(last), _) => Some(last),
        (None, _) => candidates.iter().min_by_key(|cpu| (view(*cpu).load, topology.distance(near, *cpu))),
    }
}

/// The CPU from which `this` should take a waiting thread at once, because it has nothing as urgent: the most urgent
/// first, then the fullest of the nearest.
pub fn pull_from(this: usize, online: &CpuSet, topology: &Topology, view: impl Fn(usize) -> CpuView) -> Option<usize> {
    let mine = view(this);
    let mine = mine.priority.max(mine.waiting);
    let others = online.iter().filter(|cpu| *cpu != this && view(*cpu).waiting > mine);
    others.max_by_key(|cpu| {
        let waiting = view(*cpu).waiting.max(RUNS_FAIR);
        (waiting, 3 - topology.distance(this, *cpu), view(*cpu).runnable)
    })
}

/// What a CPU does to keep shares fair over the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Balance {
    /// Nothing.
    Even,
    /// Its virtual time moves on to this at least: it will never catch up.
    Forget(i64),
    /// It takes a fair thread of about `weight` from a CPU whose virtual time is `behind`.
    Take { from: usize, weight: u64, behind: i64 },
}

/// What `this` should do now, called every few milliseconds on CPUs with fair threads.
pub fn balance(this: usize, online: &CpuSet, topology: &Topology, view: impl Fn(usize) -> CpuView) -> Balance {
    let mine = view(this);
    if mine.priority > RUNS_FAIR || mine.fair == 0 {
        return Balance::Even;
    }
    // Each view is looked at once: others change theirs meanwhile.
    let busy =
        || online.iter().filter(|cpu| *cpu != this).map(|cpu| (cpu, view(cpu))).filter(|(_, other)| other.fair != 0);
    if let Some((_, ahead)) = busy().max_by_key(|(_, other)| other.vtime.wrapping_sub(mine.vtime)) {
        let forget = to_virtual(FORGET_NS, mine.load.max(NICE_0 >> 6));
        if ahead.vtime.wrapping_sub(mine.vtime) > forget {
            return Balance::Forget(ahead.vtime.wrapping_sub(forget));
        }
    }
    // Who is slower and behind; the one furthest behind, counted in its own time.
    let behind = |other: &CpuView| to_real(mine.vtime.wrapping_sub(other.vtime), other.load);
    let from = busy()
        .filter(|(cpu, other)| {
            let limit = BEHIND_NS.get(usize::from(topology.distance(this, *cpu))).copied().unwrap_or(0);
            other.fair >= 2 && other.load > mine.load && behind(other) >= limit
        })
        .max_by_key(|(_, other)| behind(other));
    match from {
        None => Balance::Even,
        Some((from, other)) => {
            let weight = (other.load - mine.load) / 2;
            Balance::Take { from, weight, behind: mine.vtime.wrapping_sub(other.vtime) }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::cell::RefCell;

    use super::*;
    use crate::policy::testing::Random;

    /// What CPUs tell changes between two looks: whatever they tell, the answer is made of numbers that were told.
    #[test]
    fn views_may_change_between_looks() {
        let topology = Topology::flat();
        let online = CpuSet::first(4);
        for seed in 0..2000 {
            let random = RefCell::new(Random(seed));
            let view = |_| {
                let mut random = random.borrow_mut();
                let (load, vtime) = (random.below(1 << 20), random.below(1 << 40) as i64);
                CpuView { runnable: 3, fair: 3, load, vtime, priority: RUNS_FAIR, waiting: RUNS_FAIR }
            };
            if let Balance::Take { weight, .. } = balance(0, &online, &topology, view) {
                assert!(weight <= 1 << 19, "{weight}");
            }
        }
    }
}
