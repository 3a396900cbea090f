//! The switch between tasks, and what travels with it.

use alloc::sync::Arc;
use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::fpu::FpuState;
use super::stack::KernelStack;
use super::{features, msr, percpu, phys};
use crate::frame::OutOfMemory;
use crate::lock::SpinLock;
use crate::paging::Root;
use crate::task::{Entry, HasTask, UserState};

global_asm!(
    r#"
    .text
    // rdi: where to leave this stack pointer, rsi: the one to go on with.
    .global switch_stacks
switch_stacks:
    push rbp
    push rbx
    push r12
    push r13
    push r14
    push r15
    mov [rdi], rsp
    mov rsp, rsi
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbx
    pop rbp
    ret

    // First thing on a new stack.
task_begin:
    xor ebp, ebp
    push rbp
    call {begin}
    ud2
    "#,
    begin = sym begin,
);

unsafe extern "C" {
    fn switch_stacks(save: *mut u64, next: u64);
    fn task_begin();
}

/// A stack with the state to go on from, and the program registers that a switch saves.
pub struct Task {
    /// Kept for as long as the task.
    stack: Option<KernelStack>,
    /// True from when a CPU claims it until after that CPU left its stack.
    on_cpu: AtomicBool,
    /// Saved stack pointer; its CPU's alone while `on_cpu`.
    sp: UnsafeCell<u64>,
    /// Saved while it does not run; its CPU's alone while `on_cpu`.
    user: UnsafeCell<Option<UserState>>,
    /// What it owes to others, while it does not run.
    obligations: AtomicU32,
    root: SpinLock<Option<Arc<Root>>>,
    entry: SpinLock<Option<Entry>>,
    /// Sleeping locks that it holds, for the lock checker; its CPU's alone.
    #[cfg(debug_assertions)]
    pub(super) locks: crate::lock::check::Held,
}

// SAFETY: `sp` and `user` are touched only by the CPU that set `on_cpu` (acquire) until it clears it (release).
unsafe impl Sync for Task {}

impl Task {
    pub(crate) fn with_stack(
        entry: Entry,
        user: Option<UserState>,
        root: Option<Arc<Root>>,
    ) -> Result<Task, OutOfMemory> {
        let stack = KernelStack::new()?;
        // What `switch_stacks` pops: six registers and the address to go on at. `task_begin` pushes one word more before it
        // calls, so that the stack is aligned there as the ABI wants it.
        let sp = stack.top() - 8 - 7 * 8;
        let begin = task_begin as *const () as u64;
        for (index, word) in [0, 0, 0, 0, 0, 0, begin].into_iter().enumerate() {
            // SAFETY: the words lie in the new stack, which nothing else uses yet.
            unsafe { (sp as *mut u64).add(index).write(word) };
        }
        Ok(Task {
            stack: Some(stack),
            on_cpu: AtomicBool::new(false),
            sp: UnsafeCell::new(sp),
            user: UnsafeCell::new(user),
            obligations: AtomicU32::new(0),
            root: SpinLock::new(root),
            entry: SpinLock::new(Some(entry)),
            #[cfg(debug_assertions)]
            locks: crate::lock::check::Held::new(),
        })
    }

    /// True while a CPU runs it, or is about to, or has not left its stack yet.
    pub fn is_on_cpu(&self) -> bool {
        self.on_cpu.load(Ordering::Acquire)
    }

    /// Makes it the caller's to run, if it is nobody's.
    pub(crate) fn claim(&self) -> bool {
        !self.on_cpu.swap(true, Ordering::Acquire)
    }

    /// It is nobody's again: what claimed it does not run it.
    pub(crate) fn release(&self) {
        self.on_cpu.store(false, Ordering::Release);
    }

    /// The code that runs already, on the boot stack.
    pub fn boot() -> Task {
        Task {
            stack: None,
            on_cpu: AtomicBool::new(false),
            sp: UnsafeCell::new(0),
            user: UnsafeCell::new(None),
            obligations: AtomicU32::new(0),
            root: SpinLock::new(None),
            entry: SpinLock::new(None),
            #[cfg(debug_assertions)]
            locks: crate::lock::check::Held::new(),
        }
    }
}

/// The task of this CPU as a plain reference, for code that finishes before anything can switch.
pub(super) fn with_current<T>(act: impl FnOnce(&Task) -> T) -> Option<T> {
    let was_on = msr::interrupts_off();
    let value = percpu::this().current.borrow().as_ref().map(|current| act(current.task()));
    if was_on {
        msr::interrupts_on();
    }
    value
}

/// True when `sp` lies on the running task's own stack, with so many bytes below it.
pub(super) fn has_room(sp: u64, bytes: u64) -> bool {
    with_current(|task| {
        task.stack.as_ref().is_some_and(|stack| stack.holds(sp) && stack.holds(sp.saturating_sub(bytes)))
    })
    .unwrap_or(false)
}

pub fn current_task() -> Option<Arc<dyn HasTask>> {
    let was_on = msr::interrupts_off();
    let current = percpu::this().current.borrow().clone();
    if was_on {
        msr::interrupts_on();
    }
    current
}

pub fn adopt_task(task: Arc<dyn HasTask>) {
    assert!(task.task().claim(), "adopted a task that runs");
    let before = percpu::this().current.replace(Some(task));
    assert!(before.is_none(), "this CPU has a task already");
}

pub fn take_previous_task() -> Option<Arc<dyn HasTask>> {
    percpu::this().previous.take()
}

/// Switches to a task that the caller claimed.
pub fn switch_task(next: Arc<dyn HasTask>) {
    let cpu = percpu::this();
    assert!(cpu.preempt.get() == 0, "a task is switched away under a spinning lock");
    let Some(previous) = cpu.current.replace(Some(next.clone())) else {
        panic!("a CPU without a task switches");
    };
    assert!(!Arc::ptr_eq(&previous, &next), "a task is switched to itself");
    let to = next.task();
    let from = previous.task();
    let save = from.sp.get();
    // SAFETY: `from` runs on this CPU, so its user state is this CPU's alone.
    if let Some(user) = unsafe { &mut *from.user.get() } {
        user.fpu.save();
        user.fs_base = fs_base();
        user.gs_base = gs_base();
    }
    from.obligations.store(cpu.obligations.get(), Ordering::Relaxed);
    cpu.obligations.set(to.obligations.load(Ordering::Relaxed));
    load_root(to.root.lock().clone());
    // SAFETY: the caller claimed `to`, so its cells are this CPU's alone.
    let sp = unsafe {
        if let Some(user) = &*to.user.get() {
            user.fpu.load();
            set_fs_base(user.fs_base);
            set_gs_base(user.gs_base);
        }
        *to.sp.get()
    };
    drop(next);
    let stale = cpu.previous.replace(Some(previous));
    assert!(stale.is_none(), "the task before the last was not taken");
    // SAFETY: 1. `save` belongs to `from`, kept alive by `previous` until it is taken on the new stack. 2. `sp` was
    // left by this function or made by `with_stack`, on a stack that no CPU uses. 3. Interrupts are off on both sides.
    unsafe { switch_stacks(save, sp) };
    left_previous();
}

/// On the new stack: the old one is free for other CPUs.
fn left_previous() {
    if let Some(previous) = &*percpu::this().previous.borrow() {
        previous.task().release();
    }
}

extern "C" fn begin() {
    left_previous();
    match with_current(|task| task.entry.lock().take()).flatten() {
        Some(entry) => entry()(),
        None => panic!("a task begins twice"),
    }
}

fn load_root(root: Option<Arc<Root>>) {
    let mut active = percpu::this().root.borrow_mut();
    let same = match (&*active, &root) {
        (Some(active), Some(root)) => Arc::ptr_eq(active, root),
        (None, None) => true,
        _ => false,
    };
    if same {
        return;
    }
    let me = percpu::cpu_id();
    let address = match &root {
        Some(root) => {
            // Before the load: from here on its changes are told to this CPU.
            root.cpus.insert(me);
            root.phys().0
        }
        None => phys::kernel_root_phys(),
    };
    msr::write_cr3(address);
    // The old table's translations are forgotten, and it may be freed, only now.
    if let Some(old) = core::mem::replace(&mut *active, root) {
        old.cpus.remove(me);
    }
}

pub fn set_root(root: Option<Arc<Root>>) {
    let was_on = msr::interrupts_off();
    let old = with_current(|task| core::mem::replace(&mut *task.root.lock(), root.clone()));
    load_root(root);
    if was_on {
        msr::interrupts_on();
    }
    drop(old);
}

pub fn fs_base() -> u64 {
    if !features::fsgsbase() {
        return msr::read(msr::FS_BASE);
    }
    let base: u64;
    // SAFETY: CR4.FSGSBASE is on.
    unsafe { asm!("rdfsbase {}", out(reg) base, options(nostack, preserves_flags)) };
    base
}

pub fn set_fs_base(base: u64) {
    if !features::fsgsbase() {
        return msr::write(msr::FS_BASE, base);
    }
    // SAFETY: CR4.FSGSBASE is on; the kernel does not use `fs`; the base was checked or read back from the register.
    unsafe { asm!("wrfsbase {}", in(reg) base, options(nostack, preserves_flags)) };
}

/// The program's `gs` waits in the other register while the kernel runs.
pub fn gs_base() -> u64 {
    msr::read(msr::KERNEL_GS_BASE)
}

pub fn set_gs_base(base: u64) {
    msr::write(msr::KERNEL_GS_BASE, base);
}

pub fn save_fpu() -> FpuState {
    FpuState::of_program()
}

pub fn load_fpu(state: FpuState) {
    let was_on = msr::interrupts_off();
    state.load();
    with_current(|task| {
        // SAFETY: the running task's state is this CPU's alone, and interrupts are off.
        if let Some(user) = unsafe { &mut *task.user.get() } {
            user.fpu = state;
        }
    });
    if was_on {
        msr::interrupts_on();
    }
}
