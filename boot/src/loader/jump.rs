//! The last step, and the look at the page tables that makes it safe to take.

use core::arch::asm;
use core::ptr;

use aios_abi::boot::MemoryRegion;
use aios_boot::paging::Tables;
use uefi::Status;

use super::failure::Failure;

const CR4_LA57: u64 = 1 << 12;

/// Checks that the firmware maps `region` to itself and, if asked, lets it be executed.
pub fn check(region: &MemoryRegion, execute: bool) -> Result<(), Failure> {
    let (root, cr4): (u64, u64);
    // SAFETY: a UEFI application runs at privilege level 0, where control registers can be read; that changes nothing.
    unsafe {
        asm!("mov {}, cr3", out(reg) root, options(nomem, nostack, preserves_flags));
        asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags));
    }
    let tables = Tables { root, levels: if cr4 & CR4_LA57 == 0 { 4 } else { 5 } };
    let entry = |at: u64| {
        // SAFETY: `Tables` only asks for entries of the page tables in use, which the processor itself reads at these
        // addresses, and UEFI maps physical memory to itself.
        unsafe { ptr::read_volatile(at as *const u64) }
    };
    let fault = tables.check(entry, region.start..region.end(), execute);
    fault.map_err(|fault| Failure::about(Status::UNSUPPORTED, "the kernel cannot be entered:", fault))
}

/// Enters the kernel: interrupts off, `rdi` = address of the boot information.
pub fn enter(entry: u64, info: u64) -> ! {
    // SAFETY: 1. `entry` lies in executable bytes of the loaded image (`Image::plan`), mapped to itself and executable
    // (`check`). 2. Boot services are over, so the processor is the kernel's. 3. The kernel never returns and assumes
    // nothing about registers other than `rdi`.
    unsafe {
        asm!("cli", "cld", "xor ebp, ebp", "jmp {entry}", entry = in(reg) entry, in("rdi") info, options(noreturn));
    }
}
