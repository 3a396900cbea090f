//! Kernel tasks: a stack each, and the switch between them.
//!
//! Which task runs is the scheduler's choice. That a task runs on one CPU at a time, on a stack of its own, with its
//! own page table and user registers, is made sure of here.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;

use crate::addr::Virt;
use crate::frame::OutOfMemory;
use crate::machine;
use crate::paging::Root;

pub use machine::{FpuArea, FpuState, Task};

/// What the scheduler switches between: its own thread objects, which have a [`Task`] inside.
pub trait HasTask: Any + Send + Sync {
    fn task(&self) -> &Task;
}

/// Registers of a program that are not saved at each trap.
#[derive(Clone, Default)]
pub struct UserState {
    pub fpu: FpuState,
    pub fs_base: u64,
    pub gs_base: u64,
}

/// What a task runs. It returns what ends the task, so that nothing of its own is left on the stack by then.
pub type Entry = Box<dyn FnOnce() -> End + Send>;

/// Switches away from the calling task for good.
pub type End = fn() -> !;

impl Task {
    /// A task that begins with `entry`, with interrupts off, as [`switch_to`] left them; it first calls
    /// [`take_previous`]. With `user` it can run programs.
    pub fn new(entry: Entry, user: Option<UserState>, root: Option<Arc<Root>>) -> Result<Task, OutOfMemory> {
        Task::with_stack(entry, user, root)
    }
}

/// The running task; `None` before the first.
pub fn current() -> Option<Arc<dyn HasTask>> {
    machine::current_task()
}

/// Makes the code that runs now a task. Called once a CPU, with a task made by [`Task::boot`].
pub fn adopt(task: Arc<dyn HasTask>) {
    machine::adopt_task(task);
}

/// A task that no CPU runs and that this one is about to. [`Task::is_on_cpu`] is true from here on.
pub struct Claimed(Option<Arc<dyn HasTask>>);

/// Makes `next` the caller's to switch to; `None` while a CPU runs it, or has not left its stack.
pub fn claim(next: Arc<dyn HasTask>) -> Option<Claimed> {
    next.task().claim().then(|| Claimed(Some(next)))
}

impl Drop for Claimed {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.task().release();
        }
    }
}

/// Switches to `next`, which must be ready to run; returns when something switches back. Interrupts are off before and
/// after. The caller holds no spinning lock, and calls [`take_previous`] next.
pub fn switch_to(mut next: Claimed) {
    if let Some(task) = next.0.take() {
        machine::switch_task(task);
    }
}

/// The task that ran before on this CPU, for the caller to let go of at a good moment.
pub fn take_previous() -> Option<Arc<dyn HasTask>> {
    machine::take_previous_task()
}

/// Runs the calling task on another page table from now on.
pub fn set_root(root: Option<Arc<Root>>) {
    machine::set_root(root);
}

/// True when [`trim_stacks`] would give something back.
pub fn can_trim_stacks() -> bool {
    machine::can_trim_stacks()
}

/// Gives back the memory of kernel stacks that are kept ready and are more than a few. The caller holds no lock; interrupts
/// are on.
pub fn trim_stacks() {
    machine::trim_stacks();
}

/// The thread-local-storage base of the running program; it must be a user address.
pub fn fs_base() -> u64 {
    machine::fs_base()
}

/// Sets it; false when the address is not in user space.
pub fn set_fs_base(base: u64) -> bool {
    let fits = Virt(base).is_user();
    if fits {
        machine::set_fs_base(base);
    }
    fits
}

pub fn gs_base() -> u64 {
    machine::gs_base()
}

pub fn set_gs_base(base: u64) -> bool {
    let fits = Virt(base).is_user();
    if fits {
        machine::set_gs_base(base);
    }
    fits
}

/// A copy of the running program's user state.
pub fn user_state() -> UserState {
    UserState { fpu: save_fpu(), fs_base: fs_base(), gs_base: gs_base() }
}

/// A copy of the running program's extended registers.
pub fn save_fpu() -> FpuState {
    machine::save_fpu()
}

/// Gives the running program other extended registers.
pub fn load_fpu(state: FpuState) {
    machine::load_fpu(state);
}
