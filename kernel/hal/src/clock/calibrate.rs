//! Measuring the processor's counters against one of the board's.
//!
//! Looking at two counters takes time, and under a monitor the processor may stand still in between. So each look is
//! bracketed by the processor's counter, the tightest of a few counts, and a measurement whose ends are not certain enough
//! is made again.

use super::rate::Scale;
use super::reference::Reference;

/// The processor's side: the time-stamp counter, and a timer that counts up meanwhile.
pub trait Processor {
    fn counter(&self) -> u64;

    /// Ticks of the local APIC's timer since some start, wrapping.
    fn timer(&self) -> u32;
}

/// What was counted from one look to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measurement {
    pub counter: Scale,
    pub timer: Option<Scale>,
    /// How wrong it may be, in parts of a million.
    pub uncertain_ppm: u64,
}

/// One look at all counters.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    reference: u64,
    counter: u64,
    timer: u32,
    /// Counter ticks around the reading of the reference.
    width: u64,
}

impl Look {
    /// Ticks of the processor's counter since an earlier look.
    pub fn counter_since(&self, earlier: Look) -> u64 {
        self.counter.wrapping_sub(earlier.counter)
    }
}

/// Looks of which the tightest counts.
const LOOKS: usize = 5;
/// Measurements at the most.
const TRIES: usize = 10;
/// Good enough for a start.
const GOOD_PPM: u64 = 1000;
/// Looks until a reference that stands still is given up.
const PATIENCE: u32 = 10_000_000;

/// The tightest of a few looks.
pub fn look(reference: &Reference, processor: &impl Processor) -> Look {
    let one = || {
        let before = processor.counter();
        let shown = reference.read();
        let after = processor.counter();
        let width = after.wrapping_sub(before);
        Look { reference: shown, counter: before.wrapping_add(width / 2), timer: processor.timer(), width }
    };
    let mut best = one();
    for _ in 1..LOOKS {
        let next = one();
        if next.width < best.width {
            best = next;
        }
    }
    best
}

/// What passed between two looks, less than a turn of the reference apart.
pub fn between(reference: &Reference, from: Look, to: Look) -> Option<Measurement> {
    let ns = reference.ns(reference.passed(from.reference, to.reference));
    let counted = to.counter.wrapping_sub(from.counter);
    // The reference's own steps count too.
    let coarse = reference.ns(2);
    let uncertain = (from.width.saturating_add(to.width)).saturating_mul(1_000_000).checked_div(counted)?;
    Some(Measurement {
        counter: Scale::measured(counted, ns)?,
        timer: Scale::measured(u64::from(to.timer.wrapping_sub(from.timer)), ns),
        uncertain_ppm: uncertain.saturating_add(coarse.saturating_mul(1_000_000).checked_div(ns)?),
    })
}

/// Measures for `ns`. `None` when the reference stands still.
pub fn measure(reference: &Reference, processor: &impl Processor, ns: u64) -> Option<Measurement> {
    let mut best: Option<Measurement> = None;
    for _ in 0..TRIES {
        let found = once(reference, processor, ns)?;
        if best.is_none_or(|best| found.uncertain_ppm < best.uncertain_ppm) {
            best = Some(found);
        }
        if found.uncertain_ppm <= GOOD_PPM {
            break;
        }
    }
    best
}

fn once(reference: &Reference, processor: &impl Processor, ns: u64) -> Option<Measurement> {
    let from = look(reference, processor);
    let wanted = reference.ticks(ns);
    (0..PATIENCE).find(|_| reference.passed(from.reference, reference.read()) >= wanted)?;
    between(reference, from, look(reference, processor))
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use std::cell::Cell;

    use super::super::reference::tests::{Board, Hpet, add_pm_timer};
    use super::*;

    /// A processor on the board: its counters follow the board's time; looking at them takes some of it.
    struct Cpu {
        board: Arc<Board>,
        hz: u64,
        timer_hz: u64,
        /// Looks until the monitor takes the processor away for 3 ms, again and again.
        stolen: Option<u32>,
        looks: Cell<u32>,
    }

    impl Cpu {
        fn ticks(&self, hz: u64) -> u128 {
            *self.board.time.lock().expect("time") / 1_000_000 * u128::from(hz) / 1_000_000_000
        }
    }

    impl Processor for Cpu {
        fn counter(&self) -> u64 {
            self.looks.set(self.looks.get() + 1);
            if self.stolen.is_some_and(|every| self.looks.get().is_multiple_of(every)) {
                *self.board.time.lock().expect("time") += 3_000_000 * 1_000_000;
            }
            *self.board.time.lock().expect("time") += 20 * 1_000_000;
            self.ticks(self.hz) as u64
        }

        fn timer(&self) -> u32 {
            self.ticks(self.timer_hz) as u32
        }
    }

    fn ppm(found: u64, right: u64) -> u64 {
        (u128::from(found.abs_diff(right)) * 1_000_000 / u128::from(right)) as u64
    }

    #[test]
    fn rates_are_found_against_an_hpet() {
        let board = Board::new(300);
        Hpet::add(&board, 0x3_1000_0000, 69_841_279 << 32 | 1 << 13);
        let hpet = Reference::hpet(0x3_1000_0000).expect("an HPET");
        for (hz, timer_hz) in [(2_893_214_000, 62_500_000), (1_000_000_000, 1_000_000_000), (4_700_123_456, 25_000_000)]
        {
            let cpu = Cpu { board: board.clone(), hz, timer_hz, stolen: None, looks: Cell::new(0) };
            let before = board.now_ns();
            let found = measure(&hpet, &cpu, 2_000_000).expect("a measurement");
            assert!(board.now_ns() - before < 3_000_000, "it took {} ns", board.now_ns() - before);
            assert!(ppm(found.counter.hz(), hz) <= found.uncertain_ppm && found.uncertain_ppm <= GOOD_PPM, "{found:?}");
            assert!(ppm(found.timer.expect("a timer").hz(), timer_hz) < 1000, "{found:?}");
        }
    }

    #[test]
    fn a_busy_host_does_not_spoil_it() {
        let board = Board::new(500);
        let timer = Reference::pm_timer(add_pm_timer(&board, 0x808)).expect("a timer");
        for every in [7, 50, 333, 3001] {
            let cpu = Cpu {
                board: board.clone(),
                hz: 3_000_000_000,
                timer_hz: 100_000_000,
                stolen: Some(every),
                looks: Cell::new(0),
            };
            let found = measure(&timer, &cpu, 5_000_000).expect("a measurement");
            assert!(ppm(found.counter.hz(), cpu.hz) <= found.uncertain_ppm, "every {every}: {found:?}");
            assert!(found.uncertain_ppm <= GOOD_PPM, "every {every}: {found:?}");
        }
    }

    #[test]
    fn looks_far_apart_are_exact() {
        let board = Board::new(400);
        let timer = Reference::pm_timer(add_pm_timer(&board, 0x908)).expect("a timer");
        let cpu =
            Cpu { board: board.clone(), hz: 2_111_222_333, timer_hz: 24_000_000, stolen: None, looks: Cell::new(0) };
        let from = look(&timer, &cpu);
        *board.time.lock().expect("time") += 1_000_000_000u128 * 1_000_000;
        let found = between(&timer, from, look(&timer, &cpu)).expect("a measurement");
        assert!(ppm(found.counter.hz(), cpu.hz) <= 2 && found.uncertain_ppm <= 5, "{found:?}");
    }
}
