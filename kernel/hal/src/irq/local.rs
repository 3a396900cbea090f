//! Interrupts that a processor has for itself, counted: they have no line and no driver.

use core::array;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::cpu::{self, MAX_CPUS};

/// What interrupted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Local {
    Timer,
    /// Another processor made a thread runnable here.
    Reschedule,
    /// Another processor wants a function called here.
    Call,
    /// Another processor changed translations that this one may hold.
    TlbShootDown,
    NonMaskable,
    MachineCheck,
    /// The local controller had nothing after all.
    Spurious,
    /// The local controller met an error.
    Error,
}

impl Local {
    pub const ALL: [Local; COUNT] = [
        Local::NonMaskable,
        Local::Timer,
        Local::Spurious,
        Local::Reschedule,
        Local::Call,
        Local::TlbShootDown,
        Local::MachineCheck,
        Local::Error,
    ];

    /// Linux's label and description in `/proc/interrupts`.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Local::Timer => ("LOC", "Local timer interrupts"),
            Local::Reschedule => ("RES", "Rescheduling interrupts"),
            Local::Call => ("CAL", "Function call interrupts"),
            Local::TlbShootDown => ("TLB", "TLB shootdowns"),
            Local::NonMaskable => ("NMI", "Non-maskable interrupts"),
            Local::MachineCheck => ("MCE", "Machine check exceptions"),
            Local::Spurious => ("SPU", "Spurious interrupts"),
            Local::Error => ("ERR", "Local APIC errors"),
        }
    }
}

const COUNT: usize = 8;

/// A cache line each, since every processor writes only its own.
#[repr(align(64))]
struct Counts([AtomicU64; COUNT]);

static COUNTS: [Counts; MAX_CPUS] = [const { Counts([const { AtomicU64::new(0) }; COUNT]) }; MAX_CPUS];

/// Adds one on this processor. The caller runs with interrupts off.
#[inline]
pub fn count(what: Local) {
    let counter = &COUNTS[cpu::id()].0[what as usize];
    // Only this processor writes, and an interrupt of the same kind does not come in between.
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// How many a processor had, in the order of the enumeration.
pub fn counted(cpu: usize, what: Local) -> u64 {
    COUNTS.get(cpu).map_or(0, |counts| counts.0[what as usize].load(Ordering::Relaxed))
}

/// All of a processor's.
pub(super) fn total(cpu: usize) -> u64 {
    array::from_fn::<u64, COUNT, _>(|index| counted(cpu, Local::ALL[index])).iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_counts_its_own() {
        let here = cpu::id();
        let before = counted(here, Local::TlbShootDown);
        count(Local::TlbShootDown);
        assert_eq!(counted(here, Local::TlbShootDown), before + 1);
        assert_eq!(counted(MAX_CPUS, Local::Timer), 0);
    }

    #[test]
    fn every_kind_is_listed_once() {
        for (index, what) in Local::ALL.iter().enumerate() {
            assert!(!Local::ALL[..index].contains(what));
        }
    }
}
