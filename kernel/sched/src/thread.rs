//! A thread of the kernel.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;

use aios_abi::Errno;
use kernel_hal::paging::Root;
use kernel_hal::task::{self, HasTask, Task, UserState};
use kernel_sync::{IrqLock, SpinLock, Wake};

use crate::change::Reserved;
use crate::clock::CpuClock;
use crate::cpus::{self, ThreadEntity};
use crate::events::ThreadCounters;
use crate::group::CpuGroup;
use crate::policy::{Class, CpuSet, Entity, GroupId, Key, Runnable};
use crate::timer::Timer;
use crate::{events, switch, trace, wake};

/// Where a thread is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// In a run queue.
    Runnable,
    /// On a CPU.
    Running,
    /// Until woken.
    Parked,
    /// Never again.
    Dead,
}

/// What a thread is up to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activity {
    Running,
    /// It waits for a CPU.
    Runnable,
    /// It waits for something, until that comes or it is interrupted.
    Waiting,
    /// The same, but no signal ends the wait: it will not be long.
    Blocked,
}

/// State, wake-up permit, and what it is scheduled by.
pub(crate) struct Status {
    pub state: State,
    /// Whether what it waits for, while it is parked, may be given up.
    pub interruptible: bool,
    /// A wake that no park has used up.
    pub woken: bool,
    /// What queues hold of it, while it is parked. It is in the queue of `home` while it is runnable.
    pub entity: Option<ThreadEntity>,
    pub class: Class,
    pub allowed: CpuSet,
    pub reserved: Reserved,
}

/// What a new thread is scheduled by.
#[derive(Clone)]
pub struct Params {
    pub class: Class,
    pub allowed: CpuSet,
    /// The kernel's own threads have none.
    pub group: Option<Arc<CpuGroup>>,
}

impl Default for Params {
    fn default() -> Params {
        Params { class: Class::default(), allowed: CpuSet::ALL, group: None }
    }
}

pub struct Thread {
    task: Task,
    pub(crate) id: u64,
    /// Where it is in its queue.
    key: AtomicU64,
    group: Option<Arc<CpuGroup>>,
    /// Itself, to be put into queues.
    pub(crate) this: Weak<Thread>,
    name: SpinLock<String>,
    /// The CPU whose queue it belongs to.
    pub(crate) home: AtomicUsize,
    pub(crate) status: IrqLock<Status>,
    /// The rooms above want it out of the kernel.
    interrupt: AtomicBool,
    pub(crate) clock: CpuClock,
    pub(crate) counters: ThreadCounters,
    /// The object of the room above that this thread runs for.
    owner: SpinLock<Option<Arc<dyn Any + Send + Sync>>>,
    /// For waits that end by themselves; an idle thread has none.
    pub(crate) timer: Option<Timer>,
    /// How much later than asked for such waits may end, nanoseconds.
    slack: AtomicU64,
}

impl HasTask for Thread {
    fn task(&self) -> &Task {
        &self.task
    }
}

impl Wake for Thread {
    fn wake(&self) {
        wake::wake(self);
    }
}

impl Runnable for Arc<Thread> {
    fn throttled(group: GroupId, stopped: bool) {
        events::throttled(group.0, stopped);
    }

    fn placed(&self, key: Key) {
        self.key.store(key.at, Ordering::Relaxed);
    }

    fn is_movable(&self) -> bool {
        !self.task.is_on_cpu()
    }
}

/// Numbers of threads; never reused.
static NUMBER: AtomicU64 = AtomicU64::new(1);

impl Thread {
    /// A thread that will run `entry` once started; with `user` it can run a program in `root`.
    pub fn new(
        name: String,
        owner: Option<Arc<dyn Any + Send + Sync>>,
        user: Option<UserState>,
        root: Option<Arc<Root>>,
        params: Params,
        entry: Box<dyn FnOnce() + Send>,
    ) -> Result<Arc<Thread>, Errno> {
        let begin = Box::new(move || {
            switch::begin();
            entry();
            switch::exit as task::End
        });
        let task = Task::new(begin, user, root).map_err(|_| Errno::ENOMEM)?;
        let timer = Timer::new()?;
        Ok(Arc::new_cyclic(|this| Thread::around(task, name, owner, this.clone(), params, Some(timer))))
    }

    pub(crate) fn idle() -> Arc<Thread> {
        Arc::new_cyclic(|this| {
            let thread =
                Thread::around(Task::boot(), String::from("idle"), None, this.clone(), Params::default(), None);
            thread.status.lock().state = State::Running;
            thread
        })
    }

    fn around(
        task: Task,
        name: String,
        owner: Option<Arc<dyn Any + Send + Sync>>,
        this: Weak<Thread>,
        params: Params,
        timer: Option<Timer>,
    ) -> Thread {
        let id = NUMBER.fetch_add(1, Ordering::Relaxed);
        trace::announce(id as u32, &name, timer.is_none());
        let group = params.group.as_ref().map_or(GroupId::ROOT, |group| group.id());
        let within = params.group.as_ref().map_or(CpuSet::ALL, |group| group.cpus());
        let usable = cpus::first_usable(&[params.allowed.and(&within), within]);
        let entity = timer.is_some().then(|| Box::new(Entity::thread(id, params.class, group, usable)));
        let status = Status {
            state: State::Parked,
            interruptible: true,
            woken: false,
            entity,
            class: params.class,
            allowed: params.allowed,
            reserved: None,
        };
        Thread {
            task,
            id,
            key: AtomicU64::new(0),
            group: params.group,
            this,
            name: SpinLock::new(name),
            home: AtomicUsize::new(0),
            status: IrqLock::new(status),
            interrupt: AtomicBool::new(false),
            clock: CpuClock::new(),
            counters: ThreadCounters::default(),
            owner: SpinLock::new(owner),
            timer,
            slack: AtomicU64::new(0),
        }
    }

    /// How much later than asked for its waits may end, so that one interrupt serves several.
    pub fn timer_slack(&self) -> Duration {
        Duration::from_nanos(self.slack.load(Ordering::Relaxed))
    }

    pub fn set_timer_slack(&self, slack: Duration) {
        self.slack.store(u64::try_from(slack.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Lets it run for the first time.
    pub fn start(self: &Arc<Self>) {
        wake::wake(self);
    }

    /// Whose share of the CPUs it runs on.
    pub fn group(&self) -> Option<&Arc<CpuGroup>> {
        self.group.as_ref()
    }

    pub(crate) fn group_id(&self) -> GroupId {
        self.group.as_ref().map_or(GroupId::ROOT, |group| group.id())
    }

    /// Where it was last put into a queue.
    pub(crate) fn key(&self) -> Key {
        Key { at: self.key.load(Ordering::Relaxed), id: self.id }
    }

    /// The CPU it runs on, or ran on last.
    pub fn cpu(&self) -> usize {
        self.home.load(Ordering::Relaxed)
    }

    /// What a thread that it makes is scheduled by: as itself, but no reservation is made twice.
    pub fn params(&self) -> Params {
        let status = self.status.lock();
        let class = if let Class::Deadline(_) = status.class { Class::default() } else { status.class };
        Params { class, allowed: status.allowed, group: self.group.clone() }
    }

    pub fn name(&self) -> String {
        self.name.lock().clone()
    }

    /// The room's object this thread runs for.
    pub fn owner(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.owner.lock().clone()
    }

    /// Lets go of the room's object; done by the thread itself before it exits.
    pub(crate) fn drop_owner(&self) {
        let owner = self.owner.lock().take();
        drop(owner);
    }

    /// Makes interruptible waits of the thread end, now and until [`clear_interrupt`](Thread::clear_interrupt).
    pub fn interrupt(&self) {
        self.interrupt.store(true, Ordering::SeqCst);
        wake::wake(self);
        wake::poke(self);
    }

    pub fn clear_interrupt(&self) {
        self.interrupt.store(false, Ordering::SeqCst);
    }

    #[inline]
    pub fn is_interrupted(&self) -> bool {
        self.interrupt.load(Ordering::SeqCst)
    }

    /// Time on a CPU. It never goes back.
    pub fn cpu_time(&self) -> Duration {
        self.clock.read()
    }

    /// It is what a CPU does that has nothing to run.
    pub(crate) fn is_idle(&self) -> bool {
        self.timer.is_none()
    }

    pub fn activity(&self) -> Activity {
        let status = self.status.lock();
        match status.state {
            State::Running => Activity::Running,
            State::Runnable => Activity::Runnable,
            State::Parked if !status.interruptible => Activity::Blocked,
            State::Parked | State::Dead => Activity::Waiting,
        }
    }
}

/// The running thread, if there is one yet.
pub fn running() -> Option<Arc<Thread>> {
    let running: Option<Arc<dyn Any + Send + Sync>> = task::current().map(|task| task as Arc<dyn Any + Send + Sync>);
    running?.downcast::<Thread>().ok()
}

/// The running thread.
///
/// Panics before the first: start-up code has no thread to wait with.
pub fn current() -> Arc<Thread> {
    match running() {
        Some(thread) => thread,
        None => panic!("no thread runs here"),
    }
}

/// Starts a thread of the kernel's own.
pub fn spawn(name: &str, entry: impl FnOnce() + Send + 'static) -> Result<Arc<Thread>, Errno> {
    let thread = Thread::new(String::from(name), None, None, None, Params::default(), Box::new(entry))?;
    thread.start();
    Ok(thread)
}
