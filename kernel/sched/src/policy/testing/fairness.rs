//! Shares by weight, and nobody waits for ever.

use std::vec::Vec;

use super::simulator::{MS, SECOND, Simulator, Work};
use crate::policy::{Class, CpuSet, GroupId, SLICE_NS};

/// Each fair thread got what it was due, but for `allowed` nanoseconds (given what it was due).
fn assert_due(sim: &Simulator, seed: u64, allowed: impl Fn(f64) -> f64) {
    for (index, thread) in sim.threads.iter().enumerate() {
        let error = (thread.ran as f64 - thread.due).abs();
        assert!(
            error <= allowed(thread.due),
            "seed {seed}: thread {index} {:?} in {:?} ran {} ms, due {:.1} ms of {} ms; {} moves",
            thread.class,
            thread.group,
            thread.ran / MS,
            thread.due / MS as f64,
            (sim.now - SECOND) / MS,
            sim.moves
        );
    }
}

/// Within a hundredth of what it was due, and two slices.
fn assert_fair(sim: &Simulator, seed: u64) {
    assert_due(sim, seed, |due| due * 0.01 + 2.0 * SLICE_NS as f64);
}

/// Within a hundredth of a CPU: where others come and go, nobody's due is his alone.
fn assert_shares(sim: &Simulator, seed: u64) {
    assert_due(sim, seed, |_| (sim.now - SECOND) as f64 * 0.01);
}

#[test]
fn weights_decide_on_one_cpu() {
    for seed in 0..20 {
        let mut sim = Simulator::new(1, seed);
        for _ in 0..sim.random.between(2, 12) {
            let nice = sim.random.between(0, 20) as i8 - 10;
            sim.fair(nice, Work::Spin);
        }
        sim.run(10 * SECOND);
        assert_fair(&sim, seed);
    }
}

#[test]
fn sleeping_neither_earns_nor_loses() {
    for seed in 0..20 {
        let mut sim = Simulator::new(1, seed);
        for _ in 0..sim.random.between(3, 10) {
            let nice = sim.random.between(0, 8) as i8 - 4;
            let (run, sleep) = (sim.random.between(1, 40) * MS / 4, sim.random.between(1, 40) * MS / 4);
            let sleepy = Work::Sleepy { run: (run / 4, run), sleep: (sleep / 4, sleep) };
            let work = if sim.random.below(3) == 0 { Work::Spin } else { sleepy };
            sim.fair(nice, work);
        }
        sim.run(10 * SECOND);
        assert_shares(&sim, seed);
    }
}

/// Agents share by their weights whatever the number of their threads, groups of agents too.
#[test]
fn a_group_gets_its_share_not_its_threads() {
    for seed in 0..10 {
        let mut sim = Simulator::new(1, seed);
        let outer = sim.group(GroupId::ROOT, 300, None);
        for parent in [GroupId::ROOT, GroupId::ROOT, outer, outer] {
            let share = sim.random.between(50, 400) as u32;
            let group = sim.group(parent, share, None);
            for _ in 0..sim.random.between(1, 8) {
                let nice = sim.random.between(0, 4) as i8 - 2;
                sim.thread(Class::Normal { nice, slice: 0 }, group, CpuSet::ALL, Work::Spin);
            }
        }
        sim.run(10 * SECOND);
        assert_fair(&sim, seed);
    }
}

#[test]
fn a_thousand_threads_are_one_agent() {
    let mut sim = Simulator::new(2, 1);
    let (many, few) = (sim.group(GroupId::ROOT, 100, None), sim.group(GroupId::ROOT, 100, None));
    for _ in 0..1000 {
        sim.thread(Class::default(), many, CpuSet::ALL, Work::Spin);
    }
    for _ in 0..2 {
        sim.thread(Class::default(), few, CpuSet::ALL, Work::Spin);
    }
    sim.run(10 * SECOND);
    let share = sim.group_ran(few) as f64 / (20 * SECOND) as f64;
    assert!((0.49..0.51).contains(&share), "{share}");
}

#[test]
fn weights_decide_over_cpus() {
    for seed in 0..20 {
        let cpus = 2 + seed as usize % 3;
        let mut sim = Simulator::new(cpus, seed);
        for _ in 0..sim.random.between(cpus as u64 + 1, 4 * cpus as u64) {
            let nice = sim.random.between(0, 6) as i8 - 3;
            sim.fair(nice, Work::Spin);
        }
        sim.run(10 * SECOND);
        assert_fair(&sim, seed);
    }
}

#[test]
fn groups_share_over_cpus() {
    for seed in 0..10 {
        let mut sim = Simulator::new(4, seed);
        for _ in 0..3 {
            let share = sim.random.between(80, 120) as u32;
            let group = sim.group(GroupId::ROOT, share, None);
            for _ in 0..sim.random.between(3, 9) {
                sim.thread(Class::default(), group, CpuSet::ALL, Work::Spin);
            }
        }
        sim.run(10 * SECOND);
        assert_shares(&sim, seed);
    }
}

/// Whatever the mix, who can run runs soon.
#[test]
fn nobody_starves() {
    for seed in 0..10 {
        let cpus = 1 + seed as usize % 4;
        let mut sim = Simulator::new(cpus, seed);
        let groups: Vec<GroupId> = (0..3).map(|_| sim.group(GroupId::ROOT, 100, None)).collect();
        for index in 0..30 {
            let group = groups[index % 3];
            let (run, sleep) = (sim.random.between(1, 20) * MS / 4, sim.random.between(1, 20) * MS / 4);
            let work = *sim.random.pick(&[
                Work::Spin,
                Work::Sleepy { run: (0, run), sleep: (0, sleep) },
                Work::Yielding { run: MS / 2 },
            ]);
            let nice = sim.random.between(0, 6) as i8 - 3;
            sim.thread(Class::Normal { nice, slice: 0 }, group, CpuSet::ALL, work);
        }
        sim.run(3 * SECOND);
        for (index, thread) in sim.threads.iter().enumerate() {
            assert!(thread.ran > 0 && thread.longest_wait < SECOND, "seed {seed}: {index} {}", thread.longest_wait);
        }
    }
}

/// A thread that yields always lets the other run, and the idle class gets what hardly matters.
#[test]
fn yielding_and_idle_threads_step_back() {
    let mut sim = Simulator::new(1, 5);
    let yielding = sim.fair(0, Work::Yielding { run: 10_000 });
    let spinning = sim.fair(0, Work::Spin);
    let idle = sim.thread(Class::Idle { nice: 0 }, GroupId::ROOT, CpuSet::ALL, Work::Spin);
    sim.run(10 * SECOND);
    assert!(sim.threads[yielding].ran < sim.threads[spinning].ran / 4);
    assert!((1..100 * MS).contains(&sim.threads[idle].ran), "{}", sim.threads[idle].ran);
}
