//! Real-time threads.

use super::simulator::{MS, SECOND, Simulator, Work};
use crate::policy::{Class, CpuSet, GroupId};

fn realtime(sim: &mut Simulator, class: Class, work: Work) -> usize {
    sim.thread(class, GroupId::ROOT, CpuSet::ALL, work)
}

#[test]
fn the_highest_priorities_run() {
    let mut sim = Simulator::new(2, 1);
    let work = Work::Sleepy { run: (MS, MS), sleep: (MS, 2 * MS) };
    let high: [usize; 2] = core::array::from_fn(|_| realtime(&mut sim, Class::Fifo(50), work));
    realtime(&mut sim, Class::Fifo(10), Work::Spin);
    realtime(&mut sim, Class::Fifo(9), Work::Spin);
    sim.run(SECOND);
    for index in high {
        assert_eq!(sim.threads[index].longest_wait, 0);
    }
}

#[test]
fn equals_take_turns_only_round_robin() {
    let mut sim = Simulator::new(1, 1);
    let turns: [usize; 2] = core::array::from_fn(|_| realtime(&mut sim, Class::RoundRobin(5), Work::Spin));
    sim.run(800 * MS);
    assert_eq!(turns.map(|index| sim.threads[index].ran), [400 * MS; 2]);
    let mut sim = Simulator::new(1, 1);
    let turns: [usize; 2] = core::array::from_fn(|_| realtime(&mut sim, Class::Fifo(5), Work::Spin));
    sim.run(800 * MS);
    assert_eq!(turns.map(|index| sim.threads[index].ran), [800 * MS, 0]);
}

/// A loop at the highest priority leaves a twentieth to the others.
#[test]
fn nobody_takes_the_machine() {
    let mut sim = Simulator::new(1, 1);
    let busy = realtime(&mut sim, Class::Fifo(99), Work::Spin);
    let fair = sim.fair(0, Work::Spin);
    sim.run(10 * SECOND);
    assert!(sim.threads[fair].ran >= 45 * SECOND / 100, "{}", sim.threads[fair].ran);
    assert!(sim.threads[busy].ran >= 94 * SECOND / 10, "{}", sim.threads[busy].ran);
}
