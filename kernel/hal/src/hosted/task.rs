//! Tasks as host threads of which one a "CPU" runs: a baton passes from thread to thread at each switch.
//!
//! A task's own host thread is its stack, and its thread-local cells are its user registers. A task that is dropped
//! before its entry ended leaves its host thread waiting until the process ends.

use core::sync::atomic::{AtomicBool, Ordering};
use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::vec::Vec;

use crate::frame::OutOfMemory;
use crate::lock::SpinLock;
use crate::paging::Root;
use crate::task::{Entry, HasTask, UserState};
use crate::user::{Registers, Trap};

/// What a CPU knows of its tasks.
#[derive(Default)]
struct Cpu {
    current: Mutex<Option<Arc<dyn HasTask>>>,
    previous: Mutex<Option<Arc<dyn HasTask>>>,
}

#[derive(Default)]
struct Baton {
    cpu: Mutex<Option<Arc<Cpu>>>,
    passed: Condvar,
}

impl Baton {
    fn pass(&self, cpu: Arc<Cpu>) {
        *lock(&self.cpu) = Some(cpu);
        self.passed.notify_one();
    }

    fn receive(&self) -> Arc<Cpu> {
        let mut cpu = lock(&self.cpu);
        loop {
            if let Some(cpu) = cpu.take() {
                return cpu;
            }
            cpu = self.passed.wait(cpu).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A program made of host code: looks at the registers, changes them, and says which trap it makes.
pub type Program = std::boxed::Box<dyn FnMut(&mut Registers) -> Trap>;

std::thread_local! {
    static CPU: RefCell<Option<Arc<Cpu>>> = const { RefCell::new(None) };
    static FS_BASE: Cell<u64> = const { Cell::new(0) };
    static GS_BASE: Cell<u64> = const { Cell::new(0) };
    static FPU: RefCell<FpuState> = RefCell::new(FpuState::new());
    static PROGRAM: RefCell<Option<Program>> = const { RefCell::new(None) };
}

/// The program that [`UserContext::run`](crate::user::UserContext::run) runs on the calling host thread.
pub fn set_program(program: Program) {
    PROGRAM.with(|slot| *slot.borrow_mut() = Some(program));
}

pub(crate) fn run_user(regs: &mut Registers, wanted: impl FnOnce() -> bool) -> Trap {
    if wanted() {
        return Trap::Interrupt;
    }
    PROGRAM.with(|slot| match &mut *slot.borrow_mut() {
        Some(program) => program(regs),
        None => panic!("no program on this host thread"),
    })
}

/// The bytes of extended registers, and a word more, in which signal frames put their end mark.
#[derive(Clone)]
pub struct FpuArea(Vec<u8>);

impl FpuArea {
    pub fn zeroed() -> FpuArea {
        FpuArea(std::vec![0; FpuState::size() + size_of::<u64>()])
    }
}

impl Deref for FpuArea {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for FpuArea {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

/// Extended registers: bytes that are only kept.
#[derive(Clone)]
pub struct FpuState(FpuArea);

impl FpuState {
    pub fn new() -> FpuState {
        FpuState(FpuArea::zeroed())
    }

    /// Bytes of an area: the legacy part and its header.
    pub fn size() -> usize {
        576
    }

    pub fn into_area(self) -> FpuArea {
        self.0
    }

    /// Takes an area that a program made, of which the first `len` bytes count.
    pub fn from_area(mut area: FpuArea, len: usize) -> FpuState {
        let len = len.min(area.len());
        area[len..].fill(0);
        FpuState(area)
    }
}

impl Default for FpuState {
    fn default() -> FpuState {
        FpuState::new()
    }
}

pub struct Task {
    baton: Arc<Baton>,
    on_cpu: AtomicBool,
    start: SpinLock<Option<(Entry, Option<UserState>)>>,
}

impl Task {
    pub(crate) fn with_stack(
        entry: Entry,
        user: Option<UserState>,
        _root: Option<Arc<Root>>,
    ) -> Result<Task, OutOfMemory> {
        let start = SpinLock::new(Some((entry, user)));
        Ok(Task { baton: Arc::default(), on_cpu: AtomicBool::new(false), start })
    }

    /// True while a CPU runs it, or is about to, or the next task has not begun there.
    pub fn is_on_cpu(&self) -> bool {
        self.on_cpu.load(Ordering::Acquire)
    }

    pub(crate) fn claim(&self) -> bool {
        !self.on_cpu.swap(true, Ordering::Acquire)
    }

    pub(crate) fn release(&self) {
        self.on_cpu.store(false, Ordering::Release);
    }

    /// The code that runs already on the calling host thread.
    pub fn boot() -> Task {
        Task { baton: Arc::default(), on_cpu: AtomicBool::new(false), start: SpinLock::new(None) }
    }
}

fn cpu() -> Option<Arc<Cpu>> {
    CPU.with(|cpu| cpu.borrow().clone())
}

pub(crate) fn current_task() -> Option<Arc<dyn HasTask>> {
    cpu().and_then(|cpu| lock(&cpu.current).clone())
}

pub(crate) fn adopt_task(task: Arc<dyn HasTask>) {
    assert!(task.task().claim(), "adopted a task that runs");
    let cpu = Arc::new(Cpu::default());
    *lock(&cpu.current) = Some(task);
    CPU.with(|slot| *slot.borrow_mut() = Some(cpu));
}

pub(crate) fn take_previous_task() -> Option<Arc<dyn HasTask>> {
    let previous = cpu().and_then(|cpu| lock(&cpu.previous).take())?;
    previous.task().release();
    Some(previous)
}

pub(crate) fn switch_task(next: Arc<dyn HasTask>) {
    let Some(cpu) = CPU.with(|slot| slot.borrow_mut().take()) else {
        panic!("a host thread without a task switches");
    };
    let Some(previous) = lock(&cpu.current).replace(next.clone()) else {
        panic!("a CPU without a task switches");
    };
    let own = previous.task().baton.clone();
    *lock(&cpu.previous) = Some(previous);
    let task = next.task();
    match task.start.lock().take() {
        None => task.baton.pass(cpu),
        Some((entry, user)) => {
            std::thread::spawn(move || {
                super::interrupts_off();
                CPU.with(|slot| *slot.borrow_mut() = Some(cpu));
                if let Some(user) = user {
                    FS_BASE.set(user.fs_base);
                    GS_BASE.set(user.gs_base);
                    FPU.with(|fpu| *fpu.borrow_mut() = user.fpu);
                }
                entry()();
            });
        }
    }
    drop(next);
    let cpu = own.receive();
    CPU.with(|slot| *slot.borrow_mut() = Some(cpu));
}

/// Page tables are activated by the test itself, for its host thread.
pub(crate) fn set_root(_root: Option<Arc<Root>>) {}

pub(crate) fn fs_base() -> u64 {
    FS_BASE.get()
}

pub(crate) fn set_fs_base(base: u64) {
    FS_BASE.set(base);
}

pub(crate) fn gs_base() -> u64 {
    GS_BASE.get()
}

pub(crate) fn set_gs_base(base: u64) {
    GS_BASE.set(base);
}

pub(crate) fn save_fpu() -> FpuState {
    FPU.with(|fpu| fpu.borrow().clone())
}

pub(crate) fn load_fpu(state: FpuState) {
    FPU.with(|fpu| *fpu.borrow_mut() = state);
}

/// The host keeps stacks.
pub(crate) fn can_trim_stacks() -> bool {
    false
}

pub(crate) fn trim_stacks() {}
