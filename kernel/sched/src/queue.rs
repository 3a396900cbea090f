//! Who runs next.
//!
//! A thread that is woken goes to the end of the queue of the CPU it ran on last, or of an idle one when that is busy. It
//! runs until it parks, or until its slice is over while another waits; the end of a slice is noticed when the thread
//! returns to its program. A CPU with nothing to run takes a thread that waits for another CPU.
//!
//! While a CPU runs a thread, or is on its way from it to the next, that CPU is the thread's home, and only that CPU takes
//! it from a queue. So no CPU waits for another to leave a thread, and no two wait for each other.
//!
//! No thread waits while a CPU idles: whoever queues a thread looks for idle CPUs after that, and a CPU looks at all queues
//! after it has said that it idles.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

use aios_abi::Errno;
use kernel_hal::cpu::{self, IrqGuard, MAX_CPUS};
use kernel_hal::cpuset::AtomicCpuSet;
use kernel_hal::ipi;
use kernel_hal::task::{self, HasTask};
use kernel_hal::time::{Instant, now};
use kernel_sync::{IrqLock, Once};

use crate::thread::{State, Thread, current};
use crate::timer;

/// How long a thread runs while others wait.
const SLICE: Duration = Duration::from_millis(4);

struct Cpu {
    queue: IrqLock<VecDeque<Arc<Thread>>>,
    idle: Once<Arc<Thread>>,
    /// The running thread's slice is over and another waits.
    need: AtomicBool,
    slice_end: AtomicU64,
}

static CPUS: [Cpu; MAX_CPUS] = [const {
    Cpu {
        queue: IrqLock::new(VecDeque::new()),
        idle: Once::new(),
        need: AtomicBool::new(false),
        slice_end: AtomicU64::new(u64::MAX),
    }
}; MAX_CPUS];

/// CPUs that found nothing to run, and wait.
static IDLE: AtomicCpuSet = AtomicCpuSet::new();

/// CPUs that run or are about to; their queues have room.
static POSSIBLE: AtomicUsize = AtomicUsize::new(1);

/// What each other CPU does first.
static PREPARE: Once<fn()> = Once::new();

/// Threads that exist; every queue has room for all of them, so that waking never allocates.
static THREADS: AtomicUsize = AtomicUsize::new(0);

fn this_cpu() -> &'static Cpu {
    &CPUS[cpu::id()]
}

/// A thread's place in the queues.
pub(crate) struct Place(());

impl Drop for Place {
    fn drop(&mut self) {
        THREADS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Makes room for one more thread in the queues.
pub(crate) fn reserve() -> Result<Place, Errno> {
    THREADS.fetch_add(1, Ordering::SeqCst);
    let place = Place(());
    make_room()?;
    Ok(place)
}

/// Gives every queue room for all threads there are.
fn make_room() -> Result<(), Errno> {
    for cpu in CPUS.iter().take(POSSIBLE.load(Ordering::SeqCst)) {
        let threads = THREADS.load(Ordering::SeqCst);
        let mut queue = cpu.queue.lock();
        if queue.capacity() < threads {
            let more = threads + 16 - queue.len();
            queue.try_reserve(more).map_err(|_| Errno::ENOMEM)?;
        }
    }
    Ok(())
}

/// Starts the processors with these interrupt-controller numbers and gives them threads to run, after each has called
/// `prepare`. Returns how many CPUs run then. Called once, by a thread.
pub fn start_cpus(numbers: &[u32], prepare: fn()) -> Result<usize, Errno> {
    PREPARE.set(prepare);
    // Before the look at the number of threads: one that is made meanwhile sees the new CPUs, or is seen.
    POSSIBLE.store((numbers.len() + 1).min(MAX_CPUS), Ordering::SeqCst);
    make_room()?;
    Ok(cpu::start_others(numbers, || {
        adopt_idle();
        if let Some(prepare) = PREPARE.get() {
            prepare();
        }
        cpu::enable_interrupts();
        run_idle()
    }))
}

/// Makes the calling code this CPU's idle thread.
pub(crate) fn adopt_idle() {
    let idle = Thread::idle();
    task::adopt(idle.clone());
    this_cpu().idle.set(idle);
}

pub(crate) fn wake(thread: &Thread) {
    {
        let mut status = thread.status.lock();
        match status.state {
            State::Parked => status.state = State::Runnable,
            State::Running | State::Runnable => {
                status.woken = true;
                return;
            }
            State::Dead => return,
        }
    }
    if let Some(thread) = thread.this.upgrade() {
        enqueue(thread);
    }
}

/// The CPU whose queue a woken thread goes to: its own, or an idle one when that is busy. And whether it idles.
fn place(thread: &Thread) -> (usize, bool) {
    let home = thread.home.load(Ordering::Relaxed);
    if cpu::count() == 1 {
        return (home, true);
    }
    // An idle CPU is taken out of the set, so that the next thread goes elsewhere.
    if IDLE.remove(home) {
        return (home, true);
    }
    if thread.task().is_on_cpu() {
        return (home, false);
    }
    IDLE.load().iter().find(|cpu| IDLE.remove(*cpu)).map_or((home, false), |idle| (idle, true))
}

fn enqueue(thread: Arc<Thread>) {
    let (number, idle) = place(&thread);
    thread.home.store(number, Ordering::Relaxed);
    let cpu = &CPUS[number];
    cpu.queue.lock().push_back(thread);
    if number == cpu::id() {
        timer::arm_by(Instant(cpu.slice_end.load(Ordering::Relaxed)));
    } else {
        ipi::reschedule(number);
    }
    if !idle {
        find_helper();
    }
}

/// Has an idle CPU look for work: one that went idle after the thread's place was chosen.
fn find_helper() {
    if let Some(idle) = IDLE.load().iter().find(|cpu| IDLE.remove(*cpu))
        && idle != cpu::id()
    {
        ipi::reschedule(idle);
    }
}

/// Brings `thread` to the user boundary if it runs its program on another CPU.
pub(crate) fn poke(thread: &Thread) {
    if cpu::count() == 1 || thread.status.lock().state != State::Running {
        return;
    }
    // It may have moved on meanwhile: then it has passed the boundary or is not in its program.
    let home = thread.home.load(Ordering::Relaxed);
    if home != cpu::id() {
        ipi::reschedule(home);
    }
}

/// The interrupt by which another CPU says that something changed here.
pub(crate) fn kicked() {
    tick(now());
}

/// Parks the running thread; see [`Parking::park`](kernel_sync::Parking::park).
pub(crate) fn park(deadline: Option<Instant>, interruptible: bool) {
    let me = current();
    let _off = IrqGuard::new();
    {
        let mut status = me.status.lock();
        if core::mem::take(&mut status.woken) || interruptible && me.is_interrupted() {
            return;
        }
        status.state = State::Parked;
    }
    count(&me.parks);
    match (deadline, &me.timer) {
        (Some(deadline), Some(timer)) => {
            timer.set(deadline, me.timer_slack(), me.clone());
            switch_from(&me);
            timer.cancel();
        }
        // An idle thread, which has no timer, waits for nothing.
        _ => switch_from(&me),
    }
}

/// Adds one to a counter that only its thread changes.
fn count(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Takes the next thread off the queue, or the idle one, and makes it the running one in the books.
fn pick(me: &Thread) -> Arc<Thread> {
    let number = cpu::id();
    let cpu = &CPUS[number];
    cpu.need.store(false, Ordering::Relaxed);
    let (mut next, waiting) = {
        let mut queue = cpu.queue.lock();
        let next = queue.pop_front();
        (next, !queue.is_empty())
    };
    if next.is_none() {
        next = steal(number);
    }
    let at = now();
    let (next, end) = match (next, cpu.idle.get()) {
        (Some(next), _) => (next, at + SLICE),
        (None, Some(idle)) => (idle.clone(), Instant::NEVER),
        (None, None) => panic!("this CPU has no idle thread"),
    };
    next.status.lock().state = State::Running;
    me.ran.fetch_add(at.0.saturating_sub(me.since.load(Ordering::Relaxed)), Ordering::Relaxed);
    next.since.store(at.0, Ordering::Relaxed);
    cpu.slice_end.store(end.0, Ordering::Relaxed);
    if waiting {
        timer::arm_by(end);
    }
    next
}

/// Takes a thread that waits for another CPU.
fn steal(me: usize) -> Option<Arc<Thread>> {
    let count = cpu::count();
    (1..count).find_map(|distance| {
        let mut queue = CPUS[(me + distance) % count].queue.lock();
        let place = queue.iter().position(|thread| !thread.task().is_on_cpu())?;
        let thread = queue.remove(place)?;
        thread.home.store(me, Ordering::Relaxed);
        Some(thread)
    })
}

/// Goes on with the next thread. Interrupts are off; the caller's state is set already.
fn switch_from(me: &Arc<Thread>) {
    let next = pick(me);
    if !Arc::ptr_eq(&next, me) {
        task::switch_to(next);
        arrived();
    }
}

/// First thing after a switch: lets go of the thread before.
fn arrived() {
    // A thread that exited dropped what it ran for; what may go here is its stack.
    drop(task::take_previous());
}

/// First thing a new thread does.
pub(crate) fn begin() {
    arrived();
    cpu::enable_interrupts();
}

/// True when the running thread should let another run.
#[inline]
pub fn need_resched() -> bool {
    this_cpu().need.load(Ordering::Relaxed)
}

/// Lets another thread run if the slice is over.
#[inline]
pub fn reschedule() {
    if need_resched() {
        yield_now();
    }
}

/// Lets all other runnable threads run first.
pub fn yield_now() {
    let _off = IrqGuard::new();
    let cpu = this_cpu();
    cpu.need.store(false, Ordering::Relaxed);
    if cpu.queue.lock().is_empty() {
        return;
    }
    let me = current();
    me.status.lock().state = State::Runnable;
    cpu.queue.lock().push_back(me.clone());
    count(&me.yields);
    switch_from(&me);
}

/// Ends the running thread. What hangs on the stack of the caller is not dropped: the caller lets go of it first.
pub fn exit() -> ! {
    let me = current();
    me.drop_owner();
    let _off = IrqGuard::new();
    me.status.lock().state = State::Dead;
    let next = pick(&me);
    // This stack is never unwound, so no reference may stay on it; the switch itself holds the last one.
    drop(me);
    task::switch_to(next);
    panic!("a dead thread ran again");
}

/// What the idle thread does for ever: waits for interrupts and runs whatever they woke.
pub fn run_idle() -> ! {
    let me = current();
    let number = cpu::id();
    loop {
        let off = IrqGuard::new();
        switch_from(&me);
        IDLE.insert(number);
        // A thread that was queued before is seen here; whoever queues one later sees this CPU idle.
        let work = CPUS.iter().take(cpu::count()).any(|cpu| !cpu.queue.lock().is_empty());
        if !work && task::can_trim_stacks() {
            drop(off);
            task::trim_stacks();
        } else if !work {
            cpu::wait_for_interrupt(off);
        }
        IDLE.remove(number);
    }
}

/// The timer came: the slice may be over.
pub(crate) fn tick(at: Instant) {
    let cpu = this_cpu();
    let end = Instant(cpu.slice_end.load(Ordering::Relaxed));
    if cpu.queue.lock().is_empty() {
        return;
    }
    if at >= end {
        cpu.need.store(true, Ordering::Relaxed);
    } else {
        timer::arm_by(end);
    }
}

/// How long CPUs had nothing to run, all together, up to when each last found something.
pub fn idle_time() -> Duration {
    let idle = CPUS.iter().take(cpu::count()).filter_map(|cpu| cpu.idle.get());
    idle.map(|thread| Duration::from_nanos(thread.ran.load(Ordering::Relaxed))).sum()
}

/// Threads in run queues and running, of all threads.
pub fn load() -> (usize, usize) {
    let count = cpu::count();
    let queued: usize = CPUS.iter().take(count).map(|cpu| cpu.queue.lock().len()).sum();
    (queued + count - IDLE.load().count().min(count), THREADS.load(Ordering::Relaxed))
}
