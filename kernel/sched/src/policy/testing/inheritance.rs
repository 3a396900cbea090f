//! Inversion is bounded, boosts end, deadlocks are found.

use std::collections::VecDeque;
use std::vec::Vec;

use super::Random;
use crate::policy::Class;
use crate::policy::pi::{Chains, Deadlock, check, deserved, settle};

/// What a job does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Compute(u64),
    Lock(usize),
    Unlock(usize),
}

struct Thread {
    own: Class,
    effective: Class,
    blocked_on: Option<usize>,
    steps: VecDeque<Step>,
    /// Its longest time with a lock held, if it has the CPU.
    section: u64,
    inverted: u64,
}

#[derive(Default)]
struct World {
    threads: Vec<Thread>,
    /// Who owns each lock.
    owners: Vec<Option<usize>>,
}

impl Chains for World {
    type Thread = usize;

    fn blocked_on(&self, thread: usize) -> Option<usize> {
        self.owners[self.threads[thread].blocked_on?]
    }
    fn own(&self, thread: usize) -> Class {
        self.threads[thread].own
    }
    fn donated(&self, thread: usize) -> Option<Class> {
        let waits = |waiter: &&Thread| waiter.blocked_on.is_some_and(|lock| self.owners[lock] == Some(thread));
        self.threads.iter().filter(waits).map(|waiter| waiter.effective).max_by(Class::urgency)
    }
    fn effective(&self, thread: usize) -> Class {
        self.threads[thread].effective
    }
    fn set_effective(&mut self, thread: usize, class: Class) {
        self.threads[thread].effective = class;
    }
}

impl World {
    fn lock(&mut self, thread: usize, lock: usize) -> Result<bool, Deadlock> {
        let Some(owner) = self.owners[lock] else {
            self.owners[lock] = Some(thread);
            return Ok(true);
        };
        check(self, thread, owner)?;
        self.threads[thread].blocked_on = Some(lock);
        settle(self, owner);
        Ok(false)
    }

    /// Hands the lock to its most urgent waiter.
    fn unlock(&mut self, thread: usize, lock: usize) {
        let waiters = (0..self.threads.len()).filter(|other| self.threads[*other].blocked_on == Some(lock));
        let next = waiters.max_by(|a, b| self.threads[*a].effective.urgency(&self.threads[*b].effective));
        self.owners[lock] = next;
        if let Some(next) = next {
            self.threads[next].blocked_on = None;
            settle(self, next);
        }
        settle(self, thread);
    }

    /// One unit of time on one CPU.
    fn run(&mut self) {
        loop {
            let ready = (0..self.threads.len())
                .filter(|index| self.threads[*index].blocked_on.is_none() && !self.threads[*index].steps.is_empty());
            let most = ready.max_by(|a, b| self.threads[*a].effective.urgency(&self.threads[*b].effective));
            let Some(running) = most else { return };
            match self.threads[running].steps.pop_front() {
                Some(Step::Compute(left)) => {
                    if left > 1 {
                        self.threads[running].steps.push_front(Step::Compute(left - 1));
                    }
                    let own = self.threads[running].own;
                    for thread in self.threads.iter_mut().filter(|thread| !thread.steps.is_empty()) {
                        thread.inverted += u64::from(thread.own.priority() > own.priority());
                    }
                    return;
                }
                Some(Step::Lock(lock)) => {
                    assert!(self.lock(running, lock).is_ok(), "locks are taken in order");
                }
                Some(Step::Unlock(lock)) => self.unlock(running, lock),
                None => return,
            }
        }
    }
}

/// Steps with locks nested in order, and the longest time with any held.
fn job(random: &mut Random, locks: usize) -> (VecDeque<Step>, u64) {
    let (mut steps, mut longest) = (VecDeque::new(), 0);
    for _ in 0..random.between(1, 3) {
        steps.push_back(Step::Compute(random.between(1, 20)));
        let first = random.below(locks as u64) as usize;
        let held: Vec<usize> = (first..locks).filter(|lock| *lock == first || random.below(3) == 0).collect();
        let mut section = 0;
        for lock in &held {
            let time = random.between(1, 10);
            section += time;
            steps.extend([Step::Lock(*lock), Step::Compute(time)]);
        }
        steps.extend(held.iter().rev().map(|lock| Step::Unlock(*lock)));
        longest = longest.max(section);
    }
    steps.push_back(Step::Compute(1));
    (steps, longest)
}

/// A job waits for less urgent threads no longer than one critical section of each: those that hold no lock it needs
/// never come between.
#[test]
fn inversion_is_bounded() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let (count, locks) = (random.between(3, 7) as usize, random.between(1, 4) as usize);
        let mut world = World { owners: std::vec![None; locks], ..World::default() };
        for index in 0..count {
            let own = Class::Fifo(10 + index as u8);
            let thread =
                Thread { own, effective: own, blocked_on: None, steps: VecDeque::new(), section: 0, inverted: 0 };
            world.threads.push(thread);
        }
        for _ in 0..4000 {
            for index in 0..count {
                if world.threads[index].steps.is_empty() {
                    assert_eq!(world.threads[index].effective, world.threads[index].own, "a boost ends");
                    world.threads[index].inverted = 0;
                    if random.below(40) == 0 {
                        let (steps, section) = job(&mut random, locks);
                        world.threads[index].steps = steps;
                        // Sections of jobs before are over, but may have delayed this one's release.
                        world.threads[index].section = world.threads[index].section.max(section);
                    }
                }
            }
            world.run();
            for (index, thread) in world.threads.iter().enumerate() {
                let bound: u64 = world.threads[..index].iter().map(|lower| lower.section).sum();
                assert!(thread.inverted <= bound, "seed {seed}: {index} inverted {} of {bound}", thread.inverted);
                assert_eq!(thread.effective, deserved(&world, index), "seed {seed}: {index}");
            }
        }
    }
}

/// Any order of locking: a wait is refused exactly when it would close a circle.
#[test]
fn circles_are_refused() {
    for seed in 0..200 {
        let mut random = Random(seed);
        let mut world = World { owners: std::vec![None; 6], ..World::default() };
        for _ in 0..6 {
            let own = Class::Fifo(1 + random.below(98) as u8);
            let thread =
                Thread { own, effective: own, blocked_on: None, steps: VecDeque::new(), section: 0, inverted: 0 };
            world.threads.push(thread);
        }
        for _ in 0..30 {
            let (thread, lock) = (random.below(6) as usize, random.below(6) as usize);
            if world.threads[thread].blocked_on.is_some() {
                continue;
            }
            let mut reached = world.owners[lock];
            for _ in 0..10 {
                reached = reached.filter(|at| *at != thread).and_then(|at| world.blocked_on(at)).or(reached);
            }
            let circle = reached == Some(thread);
            assert_eq!(world.lock(thread, lock).is_err(), circle, "seed {seed}");
            for index in 0..6 {
                assert_eq!(world.effective(index), deserved(&world, index), "seed {seed}: {index}");
            }
        }
    }
}
