//! Running a program: the safe call around the entry and exit code.

use super::{layout, mce, msr, nmi, traps};
use crate::addr::Virt;
use crate::lock::check;
use crate::user::{Registers, Trap, USER_FLAGS};

#[inline]
pub fn run_user(regs: &mut Registers, wanted: impl FnOnce() -> bool) -> Trap {
    // What a program, a signal frame or a debugger put here must not reach ring 0 or fault on the way out.
    regs.rflags = regs.rflags & USER_FLAGS | 0x202;
    regs.cs = u64::from(layout::USER_CODE);
    regs.ss = u64::from(layout::USER_DATA);
    if (regs.rip as i64) << 16 >> 16 != regs.rip as i64 {
        regs.vector = 13;
        return Trap::Exception { vector: 13, error: 0 };
    }
    check::nothing_held("a program is entered");
    msr::interrupts_off();
    if wanted() {
        msr::interrupts_on();
        return Trap::Interrupt;
    }
    // SAFETY: 1. Interrupts are off until the program runs. 2. Code and stack selectors are user mode's, flags are
    // masked, the address is canonical: the return to user mode cannot fault in ring 0. 3. The registers stay in
    // place for the call, their end is 16-byte aligned, and traps write only within them. 4. The kernel half of the
    // page table in use is the same in all.
    unsafe { traps::enter_user(regs) };
    match regs.vector {
        traps::SYSCALL => {
            msr::interrupts_on();
            Trap::Syscall
        }
        traps::PAGE_FAULT => {
            let address = Virt(msr::read_cr2());
            msr::interrupts_on();
            Trap::PageFault { address, access: traps::fault_access(regs.error), present: regs.error & 1 != 0 }
        }
        vector if vector >= 32 => {
            traps::interrupt(vector);
            msr::interrupts_on();
            Trap::Interrupt
        }
        traps::NMI => {
            nmi::handle(regs, true);
            msr::interrupts_on();
            Trap::Interrupt
        }
        traps::MACHINE_CHECK => {
            let goes_on = mce::handle(regs.rip, true);
            msr::interrupts_on();
            if goes_on { Trap::Interrupt } else { Trap::Exception { vector: traps::MACHINE_CHECK as u8, error: 0 } }
        }
        vector => {
            msr::interrupts_on();
            if vector == traps::DOUBLE_FAULT {
                panic!("{} in user mode at {:#x}", traps::name(vector), regs.rip);
            }
            Trap::Exception { vector: vector as u8, error: regs.error }
        }
    }
}
