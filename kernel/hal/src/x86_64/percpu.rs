//! What each CPU has for itself, found through `gs` while in the kernel.

use alloc::sync::Arc;
use core::arch::asm;
use core::cell::{Cell, RefCell};
use core::mem::offset_of;

use super::gdt::Tables;
use crate::paging::Root;
use crate::task::HasTask;

/// One CPU's data. Only its own CPU touches it, with interrupts off where an interrupt handler does too.
#[repr(C)]
pub struct PerCpu {
    /// Its own address, for a load through `gs`.
    this: *const PerCpu,
    /// User stack pointer, for the few instructions before the registers are saved.
    scratch: Cell<u64>,
    /// One past the saved registers of the user context that runs here.
    pub context_top: Cell<u64>,
    /// Kernel stack to go back to when the user context traps.
    pub kernel_sp: Cell<u64>,
    /// Preemption guards held.
    pub preempt: Cell<u32>,
    pub number: u32,
    pub tables: Tables,
    pub current: RefCell<Option<Arc<dyn HasTask>>>,
    pub previous: RefCell<Option<Arc<dyn HasTask>>>,
    /// The table in CR3, kept alive; `None` for the kernel's own.
    pub root: RefCell<Option<Arc<Root>>>,
    /// Interrupt handlers that run.
    pub handlers: Cell<u32>,
    /// What others wait for from the task that runs; it takes the number along.
    pub obligations: Cell<u32>,
    /// An exception of the kernel's own code that is about to be a panic: where it came, and whether interrupts were on.
    pub fault: Cell<Option<(u64, bool)>>,
    /// Spinning locks that are held here, for the lock checker.
    #[cfg(debug_assertions)]
    pub locks: crate::lock::check::Held,
}

pub const SCRATCH: usize = offset_of!(PerCpu, scratch);
pub const CONTEXT_TOP: usize = offset_of!(PerCpu, context_top);
pub const KERNEL_SP: usize = offset_of!(PerCpu, kernel_sp);
pub const PREEMPT: usize = offset_of!(PerCpu, preempt);
pub const OBLIGATIONS: usize = offset_of!(PerCpu, obligations);
pub const NUMBER: usize = offset_of!(PerCpu, number);
pub const RSP0: usize = offset_of!(PerCpu, tables) + Tables::RSP0;

impl PerCpu {
    pub const fn new(number: u32) -> PerCpu {
        PerCpu {
            this: core::ptr::null(),
            scratch: Cell::new(0),
            context_top: Cell::new(0),
            kernel_sp: Cell::new(0),
            preempt: Cell::new(0),
            number,
            tables: Tables::new(number),
            current: RefCell::new(None),
            previous: RefCell::new(None),
            root: RefCell::new(None),
            handlers: Cell::new(0),
            obligations: Cell::new(0),
            fault: Cell::new(None),
            #[cfg(debug_assertions)]
            locks: crate::lock::check::Held::new(),
        }
    }

    /// Makes this the data of the running CPU: fills in its address, loads `gs`.
    pub fn install(&'static mut self) {
        self.this = self;
        let address = self.this as u64;
        super::msr::write(super::msr::GS_BASE, address);
        super::msr::write(super::msr::KERNEL_GS_BASE, 0);
    }
}

/// Lets programs read this CPU's number with the counter (`rdtscp`, `rdpid`), as Linux does.
pub fn number_for_programs() {
    if super::features::rdtscp() {
        super::msr::write(super::msr::TSC_AUX, u64::from(this().number));
    }
}

/// This CPU's data. The reference must not be kept over anything that may move the task to another CPU.
#[inline]
pub fn this() -> &'static PerCpu {
    let this: *const PerCpu;
    // SAFETY: `gs` points at this CPU's `PerCpu` from `install` on, before any caller; its first field is its address.
    unsafe { asm!("mov {}, gs:[0]", out(reg) this, options(nostack, pure, readonly, preserves_flags)) };
    // SAFETY: `install` took it for ever; all later access is through shared references on its own CPU.
    unsafe { &*this }
}

#[inline]
pub fn preempt_off() {
    // SAFETY: one read-modify-write of this CPU's counter; `gs` is set up before any lock is taken.
    unsafe { asm!("inc dword ptr gs:[{}]", const PREEMPT, options(nostack)) };
}

#[inline]
pub fn preempt_on() {
    // SAFETY: as above.
    unsafe { asm!("dec dword ptr gs:[{}]", const PREEMPT, options(nostack)) };
}

/// Counts what the running task owes to others. One instruction, so that it is the same task's from beginning to end.
#[inline]
pub fn oblige() {
    // SAFETY: one read-modify-write of this CPU's counter, which a switch saves and loads.
    unsafe { asm!("inc dword ptr gs:[{}]", const OBLIGATIONS, options(nostack)) };
}

#[inline]
pub fn discharge() {
    // SAFETY: as above.
    unsafe { asm!("dec dword ptr gs:[{}]", const OBLIGATIONS, options(nostack)) };
}

/// What the lock checker asks.
#[cfg(debug_assertions)]
mod checked {
    use super::this;
    use crate::lock::check::Held;
    use crate::x86_64::{msr, task};

    fn undisturbed<T>(act: impl FnOnce() -> T) -> T {
        let was_on = msr::interrupts_off();
        let value = act();
        if was_on {
            msr::interrupts_on();
        }
        value
    }

    pub fn with_cpu_locks<T>(act: impl FnOnce(&Held) -> T) -> T {
        undisturbed(|| act(&this().locks))
    }

    /// `None` before the first task.
    pub fn with_task_locks<T>(act: impl FnOnce(&Held) -> T) -> Option<T> {
        task::with_current(|task| act(&task.locks))
    }

    pub fn in_interrupt() -> bool {
        undisturbed(|| this().handlers.get() != 0)
    }

    /// Nothing takes a lock before this CPU has its data.
    pub fn has_cpu_locks() -> bool {
        true
    }
}

#[cfg(debug_assertions)]
pub use checked::{has_cpu_locks, in_interrupt, with_cpu_locks, with_task_locks};

#[inline]
pub fn preempt_depth() -> u32 {
    this().preempt.get()
}

#[inline]
pub fn cpu_id() -> usize {
    let number: u32;
    // SAFETY: a load of this CPU's number.
    unsafe {
        asm!("mov {:e}, gs:[{}]", out(reg) number, const NUMBER, options(nostack, pure, readonly, preserves_flags))
    };
    number as usize
}
