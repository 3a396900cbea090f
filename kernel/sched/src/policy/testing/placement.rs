//! Affinity, and work where there is none.

use std::vec::Vec;

use super::Random;
use super::simulator::{MS, SECOND, Simulator, Work};
use crate::policy::machine::{CpuView, IDLE, RUNS_FAIR};
use crate::policy::place::{Waking, on_wake, pull_from};
use crate::policy::{Class, CpuSet, GroupId, Topology};

fn some_set(random: &mut Random, cpus: usize) -> CpuSet {
    let mut set = CpuSet::EMPTY;
    set.insert(random.below(cpus as u64) as usize);
    (0..cpus).filter(|_| random.below(2) == 0).for_each(|cpu| set.insert(cpu));
    set
}

/// The simulator checks at each switch that a thread is where it may be; here everything that moves threads happens.
#[test]
fn affinity_is_always_kept() {
    for seed in 0..10 {
        let cpus = 2 + seed as usize % 7;
        let mut sim = Simulator::new(cpus, seed);
        let groups = [GroupId::ROOT, sim.group(GroupId::ROOT, 100, None)];
        for index in 0..25 {
            let class = *sim.random.pick(&[Class::default(), Class::Fifo(3), Class::RoundRobin(9)]);
            let sleepy = Work::Sleepy { run: (0, 5 * MS), sleep: (0, 9 * MS) };
            let work = if class.is_fair() && index % 3 == 0 { Work::Spin } else { sleepy };
            let allowed = some_set(&mut sim.random, cpus);
            sim.thread(class, groups[index % 2], allowed, work);
        }
        for _ in 0..300 {
            sim.run(3 * MS);
            let index = sim.random.below(25) as usize;
            let allowed = some_set(&mut sim.random, cpus);
            sim.set_allowed(index, allowed);
        }
        assert!(sim.moves > 0);
    }
}

/// No CPU is idle while a thread that may run there waits.
#[test]
fn work_finds_idle_cpus() {
    let mut sim = Simulator::new(4, 2);
    for _ in 0..4 {
        sim.fair(0, Work::Spin);
    }
    sim.run(SECOND);
    let ran: Vec<u64> = sim.threads.iter().map(|thread| thread.ran).collect();
    assert_eq!(ran, [SECOND; 4]);
}

#[test]
fn answers_are_allowed_whatever_the_snapshot() {
    for seed in 0..2000 {
        let mut random = Random(seed);
        let cpus = random.between(1, 256) as usize;
        let topology = Topology::flat();
        (0..cpus).for_each(|cpu| topology.place(cpu, (cpu / 2) as u16, (cpu / 8) as u16));
        let views: Vec<CpuView> = (0..cpus)
            .map(|_| CpuView {
                runnable: random.below(4) as usize,
                fair: random.below(4) as usize,
                load: random.next() >> 30,
                vtime: random.next() as i64,
                priority: random.below(102) as u8,
                waiting: random.below(101) as u8,
            })
            .collect();
        let (online, allowed) = (some_set(&mut random, cpus), some_set(&mut random, cpus));
        let class = *random.pick(&[Class::default(), Class::Fifo(7)]);
        let waking = Waking {
            last: random.below(256) as usize,
            waker: Some(random.below(256) as usize),
            sync: random.below(2) == 0,
            new: random.below(4) == 0,
            class,
            allowed: &allowed,
        };
        let view = |cpu: usize| views.get(cpu).copied().unwrap_or_default();
        let chosen = on_wake(&waking, &online, &topology, view);
        assert_eq!(chosen.is_none(), online.and(&allowed).is_empty(), "seed {seed}");
        assert!(chosen.is_none_or(|cpu| online.contains(cpu) && allowed.contains(cpu)), "seed {seed}");
        let this = random.below(cpus as u64) as usize;
        assert!(pull_from(this, &online, &topology, view).is_none_or(|cpu| cpu != this && online.contains(cpu)));
    }
}

/// Two cores of two threads: a whole idle core comes before the idle half of the last one.
#[test]
fn idle_cores_come_before_idle_siblings() {
    let topology = Topology::flat();
    (0..4).for_each(|cpu| topology.place(cpu, cpu as u16 / 2, 0));
    let busy = CpuView { runnable: 1, fair: 1, load: 1 << 20, priority: RUNS_FAIR, ..CpuView::default() };
    let idle = CpuView { priority: IDLE, ..CpuView::default() };
    let allowed = CpuSet::ALL;
    let waking = Waking { last: 0, waker: None, sync: false, new: false, class: Class::default(), allowed: &allowed };
    let choose = |views: [CpuView; 4]| on_wake(&waking, &CpuSet::first(4), &topology, |cpu| views[cpu]);
    assert_eq!(choose([idle, idle, idle, idle]), Some(0));
    assert_eq!(choose([busy, idle, idle, idle]), Some(2));
    assert_eq!(choose([busy, idle, busy, idle]), Some(1));
    assert_eq!(choose([busy, busy, busy, busy]), Some(0));
    let sync = Waking { waker: Some(3), sync: true, ..waking };
    let views = [busy, idle, busy, busy];
    assert_eq!(on_wake(&sync, &CpuSet::first(4), &topology, |cpu| views[cpu]), Some(3));
}
