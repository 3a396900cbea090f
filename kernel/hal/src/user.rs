//! A program on the processor.
//!
//! Entering user mode is a call: [`UserContext::run`] returns when the program asks for something, faults or is
//! interrupted, and says which. The thread that runs a program is therefore an ordinary loop in safe code.

use crate::addr::Virt;
use crate::machine;
use crate::usermem::Access;

/// The registers of a program, in the order the entry code saves them.
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Registers {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    /// What the last trap was; written by the machine.
    pub(crate) vector: u64,
    pub(crate) error: u64,
    pub rip: u64,
    pub(crate) cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub(crate) ss: u64,
}

/// Why a program stopped running.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trap {
    /// A system call: number in `rax`, arguments in `rdi rsi rdx r10 r8 r9`.
    Syscall,
    PageFault {
        address: Virt,
        access: Access,
        /// A page is mapped there but forbids the access.
        present: bool,
    },
    /// Another exception, by its vector (SDM 3A table 6-1) and error code.
    Exception { vector: u8, error: u64 },
    /// An interrupt came, and was handled.
    Interrupt,
}

/// Flags a program may set: the arithmetic ones, direction, trap, nested-task-free, alignment check, ID, resume.
pub const USER_FLAGS: u64 = 0x0025_0dd5 | 1 << 16;

/// A program's registers, ready to run.
#[derive(Clone, Debug, Default)]
pub struct UserContext {
    pub regs: Registers,
}

impl UserContext {
    /// Registers with which a program starts at `entry`.
    pub fn new(entry: Virt, stack: Virt) -> UserContext {
        UserContext { regs: Registers { rip: entry.0, rsp: stack.0, rflags: 0x202, ..Registers::default() } }
    }

    /// Makes sure that the next return to the program loads all registers, also those a system call destroys.
    pub fn set_full_return(&mut self) {
        self.regs.vector = 0;
    }

    /// Runs the program until it traps. The running task must have a page table.
    ///
    /// `wanted` is asked last, when no interrupt can come any more before the program runs: what an interrupt handler
    /// leaves for the user boundary is not overlooked until the next trap. When it says that the kernel wants the
    /// thread, the program does not run and the trap is [`Trap::Interrupt`].
    #[inline]
    pub fn run(&mut self, wanted: impl FnOnce() -> bool) -> Trap {
        machine::run_user(&mut self.regs, wanted)
    }
}
