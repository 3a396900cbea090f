//! Quotas.

use super::simulator::{MS, SECOND, Simulator, Work};
use crate::policy::{Bandwidth, Class, CpuSet, GroupId};

fn limit(quota: u64, period: u64) -> Option<Bandwidth> {
    Some(Bandwidth::new(quota * MS, period * MS).expect("in bounds"))
}

/// Over any number of periods a group uses its quota, as far as it wants to, and no more.
#[test]
fn a_group_stays_within_its_quota() {
    for seed in 0..12 {
        let cpus = 1 + seed as usize % 4;
        let mut sim = Simulator::new(cpus, seed);
        let (quota, period) = (sim.random.between(2, 50), sim.random.between(10, 100));
        let group = sim.group(GroupId::ROOT, 100, limit(quota, period));
        let classes = [Class::default(), Class::Fifo(10), Class::RoundRobin(3), Class::Batch { nice: 2, slice: 0 }];
        for _ in 0..sim.random.between(1, 6) {
            let class = *sim.random.pick(&classes);
            let sleepy = Work::Sleepy { run: (0, 7 * MS), sleep: (0, 5 * MS) };
            let work = *sim.random.pick(&[Work::Spin, sleepy, Work::Yielding { run: 3 * MS }]);
            sim.thread(class, group, CpuSet::ALL, work);
        }
        // One that always wants to, so that the quota is also reached.
        for _ in 0..cpus {
            sim.thread(Class::default(), group, CpuSet::ALL, Work::Spin);
        }
        let other = sim.fair(0, Work::Spin);
        for periods in 1..40 {
            sim.run(period * MS);
            let used = sim.group_ran(group);
            assert!(used <= periods * quota * MS, "seed {seed}: {used} in {periods} periods of {quota}/{period} ms");
        }
        let used = sim.group_ran(group) as f64;
        let most = (39 * quota.min(period * cpus as u64) * MS) as f64;
        if quota * 2 < period {
            assert!(used > most * 0.97, "seed {seed}: {used} of {most}");
            assert!(sim.threads[other].ran > 39 * period * MS / 2);
        }
    }
}

/// A quota above holds for all groups below together.
#[test]
fn quotas_nest() {
    let mut sim = Simulator::new(2, 3);
    let outer = sim.group(GroupId::ROOT, 100, limit(30, 100));
    let inner = sim.group(outer, 100, limit(25, 100));
    let beside = sim.group(outer, 100, None);
    for group in [inner, inner, beside, beside] {
        sim.thread(Class::default(), group, CpuSet::ALL, Work::Spin);
    }
    sim.run(10 * SECOND);
    assert!(sim.group_ran(outer) <= 3 * SECOND && sim.group_ran(outer) > 29 * SECOND / 10);
    assert!(sim.group_ran(inner) <= 25 * SECOND / 10);
    let parts = sim.group_ran(inner) + sim.group_ran(beside);
    assert_eq!(parts, sim.group_ran(outer));
}

/// Every nanosecond is accounted to a thread and to each of its groups.
#[test]
fn accounting_is_exact() {
    for seed in 0..5 {
        let mut sim = Simulator::new(2, seed);
        let groups = [sim.group(GroupId::ROOT, 50, None), sim.group(GroupId::ROOT, 200, limit(20, 50))];
        for index in 0..12 {
            let work = Work::Sleepy { run: (1, 3 * MS), sleep: (1, 3 * MS) };
            let class = *sim.random.pick(&[Class::default(), Class::Fifo(1)]);
            sim.thread(class, groups[index % 2], CpuSet::ALL, work);
        }
        sim.run(SECOND);
        for group in groups {
            let threads = sim.threads.iter().filter(|thread| thread.group == group);
            // The queues account at events: the running threads' last part may be missing.
            let (by_thread, by_group) = (threads.map(|thread| thread.ran).sum::<u64>(), sim.group_ran(group));
            assert!(by_group <= by_thread && by_thread - by_group < 10 * MS, "seed {seed}: {by_thread} {by_group}");
        }
    }
}
