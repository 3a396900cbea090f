//! What is counted, timed and traced of the scheduler's work: one call for each event, from where it happens.
//!
//! Counters of a thread are changed by the CPU that runs it or, while it runs nowhere, under its status; those of a CPU by
//! that CPU with interrupts off. So each has one writer at a time, and none is locked. Readers see each for itself.

use core::sync::atomic::{AtomicU64, Ordering};

use aios_abi::sched_trace::{Event, Left};
use kernel_hal::cpu::{self, MAX_CPUS};
use kernel_hal::time::Instant;

use crate::thread::{Activity, State, Thread};
use crate::{cpus, trace};

/// A number with one writer at a time.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Counter {
        Counter(AtomicU64::new(0))
    }

    #[inline]
    fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed) + amount, Ordering::Relaxed);
    }

    #[inline]
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is counted of a thread.
#[derive(Default)]
pub(crate) struct ThreadCounters {
    /// Since when it waits for a CPU, and when it got one last, in nanoseconds.
    queued: AtomicU64,
    started: AtomicU64,
    delay: Counter,
    voluntary: Counter,
    involuntary: Counter,
    migrations: Counter,
}

impl ThreadCounters {
    /// Whether it ever got a CPU.
    #[inline]
    fn ran(&self) -> bool {
        self.started.load(Ordering::Relaxed) != 0
    }
}

/// How a thread was scheduled so far.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct ThreadStats {
    /// Nanoseconds that it waited for a CPU while it could have run.
    pub delay: u64,
    /// How often it got a CPU.
    pub runs: u64,
    /// How often it left its CPU to wait for something, and how often because another thread was to run.
    pub voluntary: u64,
    pub involuntary: u64,
    /// How often it went to another CPU.
    pub migrations: u64,
    /// When it got a CPU last.
    pub started: Instant,
}

/// What is counted of a CPU.
#[repr(align(64))]
struct CpuCounters {
    stays: Counter,
    switches: Counter,
    idles: Counter,
    yields: Counter,
    wakes: Counter,
    local_wakes: Counter,
    delay: Counter,
}

static CPUS: [CpuCounters; MAX_CPUS] = [const {
    CpuCounters {
        stays: Counter::new(),
        switches: Counter::new(),
        idles: Counter::new(),
        yields: Counter::new(),
        wakes: Counter::new(),
        local_wakes: Counter::new(),
        delay: Counter::new(),
    }
}; MAX_CPUS];

/// What a CPU's scheduler did so far.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct CpuStats {
    /// How often it chose what to run, how often that was another thread than before, and how often it was none.
    pub choices: u64,
    pub switches: u64,
    pub idles: u64,
    /// How often a thread let others go first.
    pub yields: u64,
    /// How often it woke a thread, and how often that was to run on this very CPU.
    pub wakes: u64,
    pub local_wakes: u64,
    /// Nanoseconds that threads waited for this CPU.
    pub delay: u64,
}

/// How `cpu` did so far.
pub fn cpu_stats(cpu: usize) -> CpuStats {
    CPUS.get(cpu).map_or_else(CpuStats::default, |cpu| CpuStats {
        choices: cpu.stays.get() + cpu.switches.get(),
        switches: cpu.switches.get(),
        idles: cpu.idles.get(),
        yields: cpu.yields.get(),
        wakes: cpu.wakes.get(),
        local_wakes: cpu.local_wakes.get(),
        delay: cpu.delay.get(),
    })
}

/// This CPU's counters; interrupts are off.
#[inline]
fn here() -> &'static CpuCounters {
    &CPUS[cpu::id()]
}

impl Thread {
    /// How it was scheduled so far.
    pub fn stats(&self) -> ThreadStats {
        let counters = &self.counters;
        // It left a CPU as often as it got one.
        let running = self.activity() == Activity::Running;
        let (voluntary, involuntary) = (counters.voluntary.get(), counters.involuntary.get());
        ThreadStats {
            delay: counters.delay.get(),
            runs: voluntary + involuntary + u64::from(running),
            voluntary,
            involuntary,
            migrations: counters.migrations.get(),
            started: Instant(counters.started.load(Ordering::Relaxed)),
        }
    }

    /// Virtual time that it has used in the fair class, in nanoseconds of one with the usual weight; only differences
    /// between threads of one group on one CPU mean something.
    pub fn virtual_time(&self) -> i64 {
        let status = self.status.lock();
        if let Some(entity) = &status.entity {
            return entity.vruntime();
        }
        // One that moves at this moment is in neither queue.
        let Some(cpu) = cpus::CPUS.get(self.cpu()) else { return 0 };
        let local = cpu.lock();
        local.queue.find_fair(self.group_id(), self.key()).map_or(0, |entity| entity.vruntime())
    }
}

/// CPU `number`, this one, goes from one thread to another; `state` is what the first had come to.
#[inline]
pub(crate) fn switched(number: usize, from: &Thread, state: State, to: &Thread, at: Instant) {
    let here = &CPUS[number];
    here.switches.add(1);
    let left = match state {
        State::Running => Left::Runnable,
        // One that is runnable by now was on its way to sleep and was woken meanwhile.
        State::Parked | State::Runnable => Left::Waiting,
        State::Dead => Left::Ended,
    };
    if left == Left::Runnable {
        from.counters.involuntary.add(1);
        from.counters.queued.store(at.0, Ordering::Relaxed);
    } else {
        from.counters.voluntary.add(1);
    }
    if to.is_idle() {
        here.idles.add(1);
    } else {
        let delay = at.0.saturating_sub(to.counters.queued.load(Ordering::Relaxed));
        to.counters.delay.add(delay);
        to.counters.started.store(at.0, Ordering::Relaxed);
        here.delay.add(delay);
    }
    if trace::is_on() {
        trace::record(Event::Switch { from: trace::number(from), left, to: trace::number(to) });
    }
}

/// The running thread goes on, on CPU `number`. `state` is what it had come to: if it had parked, it was woken meanwhile.
#[inline]
pub(crate) fn stayed(number: usize, thread: &Thread, state: State) {
    CPUS[number].stays.add(1);
    if trace::is_on() && state != State::Running {
        let number = trace::number(thread);
        trace::record(Event::Switch { from: number, left: Left::Waiting, to: number });
    }
}

/// A thread has something to do, on CPU `on`; its status is held.
#[inline]
pub(crate) fn woken(thread: &Thread, on: usize, at: Instant) {
    thread.counters.queued.store(at.0, Ordering::Relaxed);
    let here = here();
    here.wakes.add(1);
    if on == cpu::id() {
        here.local_wakes.add(1);
    }
    if trace::is_on() {
        let new = !thread.counters.ran();
        trace::record(Event::Wake { thread: trace::number(thread), by: trace::running(), on: on as u16, new });
    }
}

/// A thread that does not run belongs to another CPU's queue from now on.
#[inline]
pub(crate) fn moved(thread: &Thread, from: usize, to: usize) {
    // Where one that never ran was made does not count.
    if from == to || !thread.counters.ran() {
        return;
    }
    thread.counters.migrations.add(1);
    if trace::is_on() {
        trace::record(Event::Migrate { thread: trace::number(thread), from: from as u16, to: to as u16 });
    }
}

/// The thread that runs on CPU `number` lets others go first.
#[inline]
pub(crate) fn yielded(number: usize) {
    CPUS[number].yields.add(1);
}

/// A group may run on this CPU no more until its next period, or may again.
pub(crate) fn throttled(group: u32, stopped: bool) {
    if trace::is_on() {
        trace::record(if stopped { Event::Throttle { agent: group } } else { Event::Unthrottle { agent: group } });
    }
}
