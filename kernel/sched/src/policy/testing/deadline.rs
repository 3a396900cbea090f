//! Reservations.

use super::simulator::{MS, SECOND, Simulator, Work};
use crate::policy::{Admission, Class, CpuSet, GroupId, Reservation};

/// Admits random periodic threads until the machine is full.
fn fill(sim: &mut Simulator, cpus: usize, overrun: bool) -> usize {
    let mut admission = Admission::new();
    let mut refused = 0;
    while refused < 5 {
        let period = sim.random.between(5, 100) * MS;
        let deadline = sim.random.between(period / 2, period);
        let runtime = sim.random.between(deadline / 50, deadline / 2);
        let reservation = Reservation::new(runtime, deadline, period).expect("in bounds");
        let Some(cpu) = admission.admit(&reservation, &CpuSet::first(cpus)) else {
            refused += 1;
            continue;
        };
        let mut only = CpuSet::EMPTY;
        only.insert(cpu);
        let greedy = overrun && sim.random.below(3) == 0;
        let work = if greedy { Work::Spin } else { Work::Periodic { run: runtime, period } };
        sim.thread(Class::Deadline(reservation), GroupId::ROOT, only, work);
    }
    sim.threads.len()
}

fn assert_met(sim: &Simulator, seed: u64) {
    for (index, thread) in sim.threads.iter().enumerate() {
        let Class::Deadline(reservation) = thread.class else { continue };
        for (released, done) in &thread.jobs {
            let took = done - released;
            assert!(
                took <= reservation.deadline,
                "seed {seed}: {index} {reservation:?} released {released} took {took}"
            );
        }
    }
}

#[test]
fn admitted_threads_meet_their_deadlines() {
    for seed in 0..30 {
        let cpus = 1 + seed as usize % 3;
        let mut sim = Simulator::new(cpus, seed);
        let count = fill(&mut sim, cpus, false);
        sim.run(5 * SECOND);
        assert_met(&sim, seed);
        assert!(sim.threads[..count].iter().all(|thread| thread.jobs.len() >= 40), "seed {seed}");
    }
}

/// One that never stops gets its reservation and no more, and hurts neither its like nor, for good, anyone else.
#[test]
fn overrunning_threads_hurt_only_themselves() {
    for seed in 0..30 {
        let cpus = 1 + seed as usize % 3;
        let mut sim = Simulator::new(cpus, seed);
        fill(&mut sim, cpus, true);
        sim.thread(Class::Fifo(99), GroupId::ROOT, CpuSet::ALL, Work::Sleepy { run: (0, MS), sleep: (0, MS) });
        let fair = sim.fair(0, Work::Spin);
        sim.run(5 * SECOND);
        assert_met(&sim, seed);
        assert!(sim.threads[fair].ran > 0);
        for thread in &sim.threads {
            if let (Class::Deadline(of), true) = (thread.class, thread.jobs.is_empty()) {
                let most = (5 * SECOND).div_ceil(of.period) * of.runtime;
                assert!(
                    thread.ran <= most && thread.ran + 2 * of.runtime >= most,
                    "seed {seed}: {} of {most}",
                    thread.ran
                );
            }
        }
    }
}
