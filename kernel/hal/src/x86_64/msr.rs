//! Model-specific registers, control registers and the interrupt flag.

use core::arch::asm;

pub const APIC_BASE: u32 = 0x1b;
pub const TSC_DEADLINE: u32 = 0x6e0;
pub const STAR: u32 = 0xc000_0081;
pub const LSTAR: u32 = 0xc000_0082;
pub const SFMASK: u32 = 0xc000_0084;
pub const FS_BASE: u32 = 0xc000_0100;
pub const GS_BASE: u32 = 0xc000_0101;
pub const KERNEL_GS_BASE: u32 = 0xc000_0102;
pub const TSC_AUX: u32 = 0xc000_0103;

pub fn read(msr: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the callers are hal's own and name registers that every x86-64 processor has.
    unsafe { asm!("rdmsr", in("ecx") msr, out("eax") low, out("edx") high, options(nostack, preserves_flags)) };
    u64::from(high) << 32 | u64::from(low)
}

pub fn write(msr: u32, value: u64) {
    // SAFETY: the callers are hal's own; each value keeps the invariants its module states.
    unsafe {
        asm!("wrmsr", in("ecx") msr, in("eax") value as u32, in("edx") (value >> 32) as u32, options(nostack, preserves_flags))
    };
}

macro_rules! control_register {
    ($($read:ident $write:ident $name:literal),*) => {
        $(
            pub fn $read() -> u64 {
                let value: u64;
                // SAFETY: reading a control register changes nothing.
                unsafe { asm!(concat!("mov {}, ", $name), out(reg) value, options(nostack, preserves_flags)) };
                value
            }

            pub fn $write(value: u64) {
                // SAFETY: hal's own callers set bits that the processor has and that keep memory mapped as it is.
                unsafe { asm!(concat!("mov ", $name, ", {}"), in(reg) value, options(nostack, preserves_flags)) };
            }
        )*
    };
}

control_register!(read_cr0 write_cr0 "cr0", read_cr4 write_cr4 "cr4");

/// Global pages.
pub const CR4_PGE: u64 = 1 << 7;

/// The physical address of the active root.
pub fn read_cr3() -> u64 {
    let value: u64;
    // SAFETY: reading a control register changes nothing.
    unsafe { asm!("mov {}, cr3", out(reg) value, options(nostack, preserves_flags)) };
    value
}

/// Makes the table at that physical address the active one.
#[inline]
pub fn write_cr3(root: u64) {
    // SAFETY: the callers name live roots, whose upper half is the kernel's.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

pub fn read_cr2() -> u64 {
    let value: u64;
    // SAFETY: reading a control register changes nothing.
    unsafe { asm!("mov {}, cr2", out(reg) value, options(nostack, preserves_flags)) };
    value
}

/// The flag of interrupts (SDM 1 §3.4.3.3).
pub const INTERRUPTS_ON: u64 = 1 << 9;

/// Turns interrupts off and tells whether they were on.
#[inline]
pub fn interrupts_off() -> bool {
    let flags: u64;
    // SAFETY: the stack is balanced again at the end; turning interrupts off is always allowed in the kernel.
    unsafe { asm!("pushfq", "pop {}", "cli", out(reg) flags) };
    flags & INTERRUPTS_ON != 0
}

#[inline]
pub fn interrupts_on() {
    // SAFETY: the interrupt table is loaded before anything turns interrupts on.
    unsafe { asm!("sti", options(nostack)) };
}

/// Interrupts on and wait, in one step: `sti` holds them off for one more instruction.
pub fn wait_for_interrupt() {
    // SAFETY: as for `interrupts_on`; off again afterwards, as the caller had them.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}

/// Stops this CPU for good.
pub fn halt() -> ! {
    loop {
        // SAFETY: nothing follows.
        unsafe { asm!("cli", "hlt", options(nostack)) };
    }
}

#[inline]
pub fn read_tsc() -> u64 {
    // SAFETY: every x86-64 processor has RDTSC.
    unsafe { core::arch::x86_64::_rdtsc() }
}
