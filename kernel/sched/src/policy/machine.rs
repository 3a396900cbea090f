//! The CPUs as placement sees them: a snapshot each, published by whoever holds the queue's lock, read without it.

use core::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use kernel_hal::cpu::MAX_CPUS;

/// What a CPU runs, by urgency: nothing.
pub const IDLE: u8 = 0;
/// Fair threads. Real-time threads count as their priority above this.
pub const RUNS_FAIR: u8 = 1;
pub const RUNS_DEADLINE: u8 = 101;

/// One CPU's queue at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuView {
    /// Runnable threads, the running one included, and how many of them are fair.
    pub runnable: usize,
    pub fair: usize,
    /// Weight of the fair threads and groups.
    pub load: u64,
    /// Virtual time, comparable between CPUs.
    pub vtime: i64,
    /// How urgent what runs is, and the most urgent of what waits.
    pub priority: u8,
    pub waiting: u8,
}

/// A [`CpuView`] that others read while it changes: each field is true by itself, which is enough for a choice that the
/// queue's lock makes good.
#[repr(align(64))]
pub struct Published {
    runnable: AtomicUsize,
    fair: AtomicUsize,
    load: AtomicU64,
    vtime: AtomicI64,
    priority: AtomicU8,
    waiting: AtomicU8,
}

impl Published {
    pub const fn new() -> Published {
        Published {
            runnable: AtomicUsize::new(0),
            fair: AtomicUsize::new(0),
            load: AtomicU64::new(0),
            vtime: AtomicI64::new(0),
            priority: AtomicU8::new(IDLE),
            waiting: AtomicU8::new(IDLE),
        }
    }

    pub fn store(&self, view: &CpuView) {
        self.runnable.store(view.runnable, Ordering::Relaxed);
        self.fair.store(view.fair, Ordering::Relaxed);
        self.load.store(view.load, Ordering::Relaxed);
        self.vtime.store(view.vtime, Ordering::Relaxed);
        self.priority.store(view.priority, Ordering::Relaxed);
        self.waiting.store(view.waiting, Ordering::Relaxed);
    }

    pub fn load(&self) -> CpuView {
        CpuView {
            runnable: self.runnable.load(Ordering::Relaxed),
            fair: self.fair.load(Ordering::Relaxed),
            load: self.load.load(Ordering::Relaxed),
            vtime: self.vtime.load(Ordering::Relaxed),
            priority: self.priority.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }
}

impl Default for Published {
    fn default() -> Published {
        Published::new()
    }
}

/// Which CPUs share a core, and which a package.
#[derive(Clone, Debug)]
pub struct Topology {
    core: [u16; MAX_CPUS],
    package: [u16; MAX_CPUS],
}

impl Topology {
    /// Each CPU a core of its own, all in one package.
    pub fn flat() -> Topology {
        Topology { core: core::array::from_fn(|cpu| cpu as u16), package: [0; MAX_CPUS] }
    }

    /// Says which core and package a CPU is in; cores are numbered over the whole machine.
    pub fn place(&mut self, cpu: usize, core: u16, package: u16) {
        if let (Some(of_core), Some(of_package)) = (self.core.get_mut(cpu), self.package.get_mut(cpu)) {
            (*of_core, *of_package) = (core, package);
        }
    }

    /// How far two CPUs are apart: 0 the same, 1 one core, 2 one package, 3 the machine.
    pub fn distance(&self, a: usize, b: usize) -> u8 {
        if a == b {
            0
        } else if self.core.get(a) == self.core.get(b) {
            1
        } else if self.package.get(a) == self.package.get(b) {
            2
        } else {
            3
        }
    }
}
