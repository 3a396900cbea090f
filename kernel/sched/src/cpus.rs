//! The CPUs' run queues, and the groups that all of them know.
//!
//! Lock order: a thread's status, then run queues (of two, that of the lower CPU number first), then what groups share
//! and timer lists. The list of groups is taken before a run queue. All are taken with interrupts off.

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

use aios_abi::Errno;
use kernel_hal::cpu::{self, MAX_CPUS};
use kernel_hal::cpuset::{AtomicCpuSet, CpuSet};
use kernel_hal::lock::IrqLockGuard;
use kernel_hal::task;
use kernel_hal::time::{Instant, now};
use kernel_sync::{IrqLock, Once};

use crate::group::CpuGroup;
use crate::policy::{CpuView, Entity, Group, Published, RunQueue, Topology, weight};
use crate::switch::run_idle;
use crate::thread::Thread;
use crate::{timer, trace};

pub(crate) type ThreadEntity = Box<Entity<Arc<Thread>>>;

/// What a run queue's lock protects.
pub(crate) struct Local {
    pub queue: RunQueue<Arc<Thread>>,
    /// The thread that this CPU is leaving and that may not run here any more. It goes elsewhere once it is left.
    pub outgoing: Option<(ThreadEntity, Arc<Thread>)>,
}

pub(crate) struct Cpu {
    local: IrqLock<Option<Box<Local>>>,
    pub idle: Once<Arc<Thread>>,
    /// Another thread should run.
    pub need: AtomicBool,
    pub published: Published,
    /// When it next compares itself with others, in nanoseconds.
    pub next_balance: AtomicU64,
}

pub(crate) static CPUS: [Cpu; MAX_CPUS] = [const {
    Cpu {
        local: IrqLock::new(None),
        idle: Once::new(),
        need: AtomicBool::new(false),
        published: Published::new(),
        next_balance: AtomicU64::new(0),
    }
}; MAX_CPUS];

/// CPUs that found nothing to run, and wait.
pub(crate) static IDLE: AtomicCpuSet = AtomicCpuSet::new();

/// Which CPUs share a core, and which a package.
pub(crate) static TOPOLOGY: Topology = Topology::flat();

/// CPUs that run or are about to; they have queues.
static POSSIBLE: AtomicUsize = AtomicUsize::new(1);

/// What each other CPU does first.
static PREPARE: Once<fn()> = Once::new();

/// The groups there are, at their numbers, which all queues know. The root's place stays empty.
static GROUPS: IrqLock<Vec<Option<Weak<CpuGroup>>>> = IrqLock::new(Vec::new());

/// Sole use of a CPU's run queue.
pub(crate) struct QueueGuard(IrqLockGuard<'static, Option<Box<Local>>>);

impl core::ops::Deref for QueueGuard {
    type Target = Local;
    #[inline]
    fn deref(&self) -> &Local {
        match self.0.as_ref() {
            Some(local) => local,
            None => panic!("this CPU has no run queue yet"),
        }
    }
}

impl core::ops::DerefMut for QueueGuard {
    #[inline]
    fn deref_mut(&mut self) -> &mut Local {
        match self.0.as_mut() {
            Some(local) => local,
            None => panic!("this CPU has no run queue yet"),
        }
    }
}

impl Cpu {
    #[inline]
    pub fn lock(&'static self) -> QueueGuard {
        reserve_queues();
        QueueGuard(self.local.lock())
    }

    /// Tells the other CPUs what this queue is like now.
    #[inline]
    pub fn publish(&self, local: &mut Local, at: Instant) {
        if cpu::count() > 1 {
            self.published.store(&local.queue.view(), at.0);
        }
    }
}

#[inline]
pub(crate) fn this_cpu() -> &'static Cpu {
    &CPUS[cpu::id()]
}

pub(crate) fn online() -> CpuSet {
    CpuSet::first(cpu::count())
}

/// The first of some sets in which a CPU runs; all CPUs when there is none. A thread is never left without one.
pub(crate) fn first_usable(sets: &[CpuSet]) -> CpuSet {
    let online = online();
    sets.iter().find(|set| !set.and(&online).is_empty()).copied().unwrap_or(CpuSet::ALL)
}

/// What CPUs are like at a time, as far as they told.
pub(crate) fn views(at: Instant) -> impl Fn(usize) -> CpuView {
    move |cpu| CPUS.get(cpu).map(|cpu| cpu.published.load(at.0)).unwrap_or_default()
}

/// On the hosted machine all CPUs run from the start, and nobody adopted them.
#[inline]
pub(crate) fn reserve_queues() {
    if cfg!(not(target_os = "none")) && POSSIBLE.load(Ordering::SeqCst) == 1 {
        let groups = GROUPS.lock();
        CPUS.iter().enumerate().take(cpu::count()).for_each(|(number, cpu)| make_queue(cpu, number));
        POSSIBLE.store(cpu::count(), Ordering::SeqCst);
        drop(groups);
    }
}

fn make_queue(cpu: &'static Cpu, number: usize) {
    if cpu.local.lock().is_some() {
        return;
    }
    let root = Arc::new(Group::new(weight::USUAL_SHARE, None));
    let local = Box::new(Local { queue: RunQueue::new(number as u32 + 1, root), outgoing: None });
    cpu.local.lock().get_or_insert(local);
}

/// Starts the processors with these interrupt-controller numbers and gives them threads to run, after each has called
/// `prepare`. Returns how many CPUs run then. Called once, by a thread.
pub fn start_cpus(numbers: &[u32], prepare: fn()) -> Result<usize, Errno> {
    PREPARE.set(prepare);
    {
        let groups = GROUPS.lock();
        let possible = (numbers.len() + 1).min(MAX_CPUS);
        for (number, cpu) in CPUS.iter().enumerate().take(possible) {
            make_queue(cpu, number);
            for group in groups.iter().flatten().filter_map(Weak::upgrade) {
                group.add_to(&mut cpu.lock().queue)?;
            }
        }
        POSSIBLE.store(possible, Ordering::SeqCst);
    }
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
    let number = cpu::id();
    make_queue(&CPUS[number], number);
    find_place(number);
    trace::add_cpu(number);
    let idle = Thread::idle();
    task::adopt(idle.clone());
    idle.clock.start(now());
    CPUS[number].idle.set(idle);
}

/// Says which core and package this CPU is in, if the processor does (Intel SDM 2A, CPUID leaf 0BH).
fn find_place(number: usize) {
    let [core_shift, threads, _, id] = cpu::identification(0xb, 0);
    let [package_shift, _, _, _] = cpu::identification(0xb, 1);
    if threads != 0 {
        TOPOLOGY.place(number, (id >> (core_shift & 31)) as u16, (id >> (package_shift & 31)) as u16);
    }
}

/// Makes a group known to all queues.
pub(crate) fn add_group(make: impl FnOnce(u32) -> Arc<CpuGroup>) -> Result<Arc<CpuGroup>, Errno> {
    let mut groups = GROUPS.lock();
    if groups.is_empty() {
        groups.try_reserve(8).map_err(|_| Errno::ENOMEM)?;
        groups.push(None);
    }
    let free = groups.iter().skip(1).position(Option::is_none);
    let number = free.map_or(groups.len(), |position| position + 1);
    if number == groups.len() {
        groups.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        groups.push(None);
    }
    let group = make(number as u32);
    for cpu in CPUS.iter().take(POSSIBLE.load(Ordering::SeqCst)) {
        group.add_to(&mut cpu.lock().queue)?;
    }
    if let Some(place) = groups.get_mut(number) {
        *place = Some(Arc::downgrade(&group));
    }
    Ok(group)
}

/// The group `number` is known to no queue any more.
pub(crate) fn forget_group(number: u32) {
    let mut groups = GROUPS.lock();
    let place = groups.get_mut(number as usize).and_then(Option::take);
    drop(groups);
    drop(place);
}

/// The CPUs that have queues.
pub(crate) fn possible() -> impl Iterator<Item = &'static Cpu> {
    CPUS.iter().take(POSSIBLE.load(Ordering::SeqCst))
}

/// Arms this CPU's timer for what its queue waits for.
pub(crate) fn arm(local: &Local) {
    let event = local.queue.next_event();
    if event != u64::MAX {
        timer::arm_by(Instant(event));
    }
}

/// How long CPUs had nothing to run, all together.
pub fn idle_time() -> Duration {
    (0..cpu::count()).map(idle_time_of).sum()
}

/// How long a CPU had nothing to run.
pub fn idle_time_of(cpu: usize) -> Duration {
    let idle = CPUS.get(cpu).and_then(|cpu| cpu.idle.get());
    idle.map_or(Duration::ZERO, |thread| thread.cpu_time())
}
