//! What other CPUs see of a queue, and take from it.

use alloc::boxed::Box;

use super::{Member, RunQueue, Running};
use crate::policy::class::Class;
use crate::policy::entity::{Entity, GroupId, Key, Runnable};
use crate::policy::machine::{CpuView, IDLE, RUNS_DEADLINE, RUNS_FAIR};
use crate::policy::weight::{NICE_0, to_real};

/// Threads looked at in search of the best to move.
const LOOKS: usize = 64;

struct Candidate {
    group: GroupId,
    key: Key,
    class: Class,
    /// Its weight as if all were in one queue.
    weight: u64,
}

impl<T: Runnable> RunQueue<T> {
    /// What placement needs to know of this CPU.
    pub fn view(&mut self) -> CpuView {
        let priority = match &self.running {
            Running::Nothing => IDLE,
            Running::Fair => RUNS_FAIR,
            Running::Urgent(entity) => rank(&entity.class),
        };
        let is_fair = usize::from(matches!(self.running, Running::Fair));
        let waiting = match self.realtime.first() {
            Some(first) => rank(&first.class),
            None if self.fair > is_fair => RUNS_FAIR,
            None => IDLE,
        };
        let (fair, offset) = (self.fair, self.offset);
        let (load, vtime) = match self.group_mut(GroupId::ROOT) {
            Some(root) => (root.fair.load, root.fair.virtual_time()),
            None => (0, 0),
        };
        CpuView { runnable: self.runnable, fair, load, vtime: vtime.wrapping_add(offset), priority, waiting }
    }

    /// Moves this CPU's virtual time on to `vtime` if it is behind: what it was behind is not made up for.
    pub fn catch_up(&mut self, vtime: i64) {
        let behind = vtime.wrapping_sub(self.view().vtime);
        if behind > 0 {
            self.offset = self.offset.wrapping_add(behind);
        }
    }

    /// Takes out the waiting thread that may run on CPU `to` and is best moved there: the most urgent real-time thread
    /// above the rank `above`, else the fair thread whose weight comes nearest to `wanted`. It is owed what it missed
    /// because this queue's virtual time is `behind` that of the other CPU.
    pub fn steal(&mut self, to: usize, above: u8, wanted: u64, behind: i64, now: u64) -> Option<(Box<Entity<T>>, T)> {
        self.account(now);
        let mut best: Option<Candidate> = None;
        self.realtime.visit(&mut |entity| {
            let better = best.as_ref().is_none_or(|best| entity.key.before(&best.key));
            if better && rank(&entity.class) > above && may_move(entity, to) {
                best = Some(Candidate { group: entity.group, key: entity.key, class: entity.class, weight: NICE_0 });
            }
            true
        });
        if best.is_none() && above < RUNS_FAIR {
            let mut looks = LOOKS;
            self.search(GroupId::ROOT, (1, 1), to, wanted, &mut looks, &mut best);
        }
        let best = best?;
        let (mut entity, thread) = self.remove(best.class, best.group, best.key, now)?;
        entity.owed = to_real(behind, best.weight);
        Some((entity, thread))
    }

    /// Looks at the waiting threads of a group and those below. `scale` (a fraction) makes weights in this queue those
    /// that count in the root.
    fn search(
        &self,
        at: GroupId,
        scale: (u64, u64),
        to: usize,
        wanted: u64,
        looks: &mut usize,
        best: &mut Option<Candidate>,
    ) {
        let Some(queue) = self.group(at) else { return };
        let scaled = |weight: u64| (u128::from(weight) * u128::from(scale.0) / u128::from(scale.1.max(1))) as u64;
        let mut see = |entity: &Entity<T>, waits: bool| {
            *looks = looks.saturating_sub(1);
            let weight = scaled(entity.weight);
            match entity.member {
                Member::Group(below) => {
                    let load = self.group(below).map_or(1, |queue| queue.fair.load);
                    self.search(below, (weight, load), to, wanted, looks, best);
                }
                Member::Thread(_) => {
                    let nearer =
                        best.as_ref().is_none_or(|best| weight.abs_diff(wanted) < best.weight.abs_diff(wanted));
                    if waits && nearer && may_move(entity, to) {
                        *best = Some(Candidate { group: at, key: entity.key, class: entity.class, weight });
                    }
                }
            }
            *looks > 0
        };
        if let Some(current) = &queue.fair.current {
            see(current, false);
        }
        queue.fair.tree.visit(&mut |entity| see(entity, true));
    }
}

fn may_move<T: Runnable>(entity: &Entity<T>, to: usize) -> bool {
    entity.allowed.contains(to) && entity.runnable().is_some_and(Runnable::is_movable)
}

fn rank(class: &Class) -> u8 {
    match class {
        Class::Deadline(_) => RUNS_DEADLINE,
        Class::Fifo(priority) | Class::RoundRobin(priority) => RUNS_FAIR + priority,
        _ => RUNS_FAIR,
    }
}
