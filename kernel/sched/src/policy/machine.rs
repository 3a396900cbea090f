//! The CPUs as placement sees them: a snapshot each, published by whoever holds the queue's lock, read without it.

use core::sync::atomic::{AtomicI64, AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering};

use kernel_hal::cpu::MAX_CPUS;

use super::weight::to_virtual;

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
    at: AtomicU64,
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
            at: AtomicU64::new(0),
        }
    }

    /// Publishes what the queue is like at `now`, in nanoseconds.
    pub fn store(&self, view: &CpuView, now: u64) {
        self.at.store(now, Ordering::Relaxed);
        self.runnable.store(view.runnable, Ordering::Relaxed);
        self.fair.store(view.fair, Ordering::Relaxed);
        self.load.store(view.load, Ordering::Relaxed);
        self.vtime.store(view.vtime, Ordering::Relaxed);
        self.priority.store(view.priority, Ordering::Relaxed);
        self.waiting.store(view.waiting, Ordering::Relaxed);
    }

    /// What the queue is like at `now` if nothing but time went on since it was published.
    pub fn load(&self, now: u64) -> CpuView {
        let (load, priority) = (self.load.load(Ordering::Relaxed), self.priority.load(Ordering::Relaxed));
        let mut vtime = self.vtime.load(Ordering::Relaxed);
        if priority == RUNS_FAIR && load != 0 {
            let passed = now.saturating_sub(self.at.load(Ordering::Relaxed));
            vtime = vtime.wrapping_add(to_virtual(passed, load));
        }
        CpuView {
            runnable: self.runnable.load(Ordering::Relaxed),
            fair: self.fair.load(Ordering::Relaxed),
            load,
            vtime,
            priority,
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    /// How urgent the most urgent of the waiting threads is.
    pub fn waiting(&self) -> u8 {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl Default for Published {
    fn default() -> Published {
        Published::new()
    }
}

/// Which CPUs share a core, and which a package.
#[derive(Debug)]
pub struct Topology {
    core: [AtomicU16; MAX_CPUS],
    package: [AtomicU16; MAX_CPUS],
}

impl Topology {
    /// Each CPU a core of its own, all in one package.
    pub const fn flat() -> Topology {
        let mut core = [const { AtomicU16::new(0) }; MAX_CPUS];
        let mut cpu = 0;
        while cpu < MAX_CPUS {
            core[cpu] = AtomicU16::new(cpu as u16);
            cpu += 1;
        }
        Topology { core, package: [const { AtomicU16::new(0) }; MAX_CPUS] }
    }

    /// Says which core and package a CPU is in; cores are numbered over the whole machine.
    pub fn place(&self, cpu: usize, core: u16, package: u16) {
        if let (Some(of_core), Some(of_package)) = (self.core.get(cpu), self.package.get(cpu)) {
            of_core.store(core, Ordering::Relaxed);
            of_package.store(package, Ordering::Relaxed);
        }
    }

    /// How far two CPUs are apart: 0 the same, 1 one core, 2 one package, 3 the machine.
    pub fn distance(&self, a: usize, b: usize) -> u8 {
        let same = |of: &[AtomicU16], a: usize, b: usize| {
            let number = |cpu: usize| of.get(cpu).map(|number| number.load(Ordering::Relaxed));
            number(a) == number(b)
        };
        if a == b {
            0
        } else if same(&self.core, a, b) {
            1
        } else if same(&self.package, a, b) {
            2
        } else {
            3
        }
    }
}
