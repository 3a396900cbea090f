//! Mappings of the kernel's own: stacks and device registers, page by page in the upper half.
//!
//! The root entries for both areas are made at start-up, before any other root copies them; tables below are added as
//! needed and stay.

use core::arch::asm;
use core::sync::atomic::Ordering;

use super::layout::{DEVICES, DEVICES_LEN, STACKS};
use super::phys;
use crate::addr::{PAGE_SIZE, Phys};
use crate::frame::{self, AccountId, Kind, OutOfMemory};
use crate::lock::IrqLock;
use crate::paging::{Table, bits};

/// Uncached memory type through the page attribute table's default entry 3 (SDM 3A §12.12.4).
const UNCACHED: u64 = 1 << 3 | 1 << 4;

/// An entry above the last level that maps memory itself.
const LARGE: u64 = 1 << 7;

static TABLES: IrqLock<()> = IrqLock::new(());
static NEXT_DEVICE: IrqLock<u64> = IrqLock::new(DEVICES);

/// Makes the root entries of both areas.
pub fn init() {
    for base in [STACKS, DEVICES] {
        let slot = &phys::kernel_root()[(base >> 39 & 511) as usize];
        match new_table() {
            Ok(entry) => slot.store(entry, Ordering::Relaxed),
            Err(OutOfMemory) => panic!("no memory for the kernel's page tables"),
        }
    }
}

fn new_table() -> Result<u64, OutOfMemory> {
    let pfn = frame::take(0, Kind::Table, AccountId::KERNEL)?;
    phys::zero_frame(pfn);
    Ok(pfn.phys().0 | bits::PRESENT | bits::WRITE)
}

fn leaf_table(va: u64) -> Result<&'static Table, OutOfMemory> {
    let mut table = phys::kernel_root();
    for level in (1..=3).rev() {
        let slot = &table[(va >> (12 + 9 * level) & 511) as usize];
        let mut entry = slot.load(Ordering::Relaxed);
        if entry & bits::PRESENT == 0 {
            entry = new_table()?;
            slot.store(entry, Ordering::Release);
        }
        table = phys::table(Phys(entry & bits::ADDRESS).pfn());
    }
    Ok(table)
}

/// Maps one page of data, never executable.
pub fn map(va: u64, phys: Phys, cached: bool) -> Result<(), OutOfMemory> {
    let _tables = TABLES.lock();
    let table = leaf_table(va)?;
    let kind = if cached { 0 } else { UNCACHED };
    table[(va >> 12 & 511) as usize]
        .store(phys.0 | bits::PRESENT | bits::WRITE | bits::GLOBAL | bits::NO_EXEC | kind, Ordering::Release);
    Ok(())
}

/// Removes one page; the caller owns what was mapped there, and makes other CPUs forget it.
pub fn unmap(va: u64) {
    let _tables = TABLES.lock();
    if let Ok(table) = leaf_table(va) {
        table[(va >> 12 & 511) as usize].store(0, Ordering::Release);
        invalidate(va);
    }
}

/// Whether an address of the kernel's half can be read now. Takes no lock: tables below the root are never removed.
pub fn is_mapped(va: u64) -> bool {
    let mut table = phys::kernel_root();
    for level in (0..=3).rev() {
        let entry = table[(va >> (12 + 9 * level) & 511) as usize].load(Ordering::Relaxed);
        if entry & bits::PRESENT == 0 {
            return false;
        }
        if level == 0 || entry & LARGE != 0 {
            return true;
        }
        table = phys::table(Phys(entry & bits::ADDRESS).pfn());
    }
    false
}

/// Maps device registers and returns their address.
pub fn map_device(start: u64, len: usize) -> Option<usize> {
    let first = start & !(PAGE_SIZE as u64 - 1);
    let pages = (start - first + len as u64).div_ceil(PAGE_SIZE as u64);
    let base = {
        let mut next = NEXT_DEVICE.lock();
        let base = *next;
        // One page stays unmapped behind each, so that running past the end faults.
        let end = base.checked_add((pages + 1) << 12)?;
        if end > DEVICES + DEVICES_LEN {
            return None;
        }
        *next = end;
        base
    };
    for page in 0..pages {
        map(base + (page << 12), Phys(first + (page << 12)), false).ok()?;
    }
    Some((base + (start - first)) as usize)
}

pub fn read_device<T: Copy>(at: usize) -> T {
    // SAFETY: `mmio::Region` checked that the address is inside a mapped device range and aligned.
    unsafe { (at as *const T).read_volatile() }
}

pub fn write_device<T: Copy>(at: usize, value: T) {
    // SAFETY: as above; a device is not memory that Rust knows, so no reference can be invalidated.
    unsafe { (at as *mut T).write_volatile(value) }
}

/// Forgets the translation of one address on this CPU.
pub fn invalidate(va: u64) {
    // SAFETY: dropping a translation only makes the CPU read the tables again.
    unsafe { asm!("invlpg [{}]", in(reg) va, options(nostack, preserves_flags)) };
}
