//! What CPUs know of each other: who runs, and under which number the interrupt controller reaches them.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::panic::Stopped;
use super::tlb::Flushes;
use crate::cpu::MAX_CPUS;

/// One CPU as the others see it.
pub struct Remote {
    /// The number of its local APIC.
    pub apic: AtomicU32,
    pub flushes: Flushes,
    pub stopped: Stopped,
}

static REMOTE: [Remote; MAX_CPUS] =
    [const { Remote { apic: AtomicU32::new(0), flushes: Flushes::new(), stopped: Stopped::new() } }; MAX_CPUS];

/// CPUs that run the kernel: numbers below it are in use.
static RUNNING: AtomicUsize = AtomicUsize::new(1);

/// CPUs that run.
#[inline]
pub fn cpu_count() -> usize {
    RUNNING.load(Ordering::Acquire)
}

/// Makes one more CPU, with the next number, known as running.
pub fn set_running(count: usize) {
    RUNNING.store(count, Ordering::Release);
}

#[inline]
pub fn remote(cpu: usize) -> &'static Remote {
    &REMOTE[cpu]
}
