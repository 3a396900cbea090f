//! Kernel stacks, each with unmapped memory below it.
//!
//! Slots keep their frames when a stack is given back, up to a limit, since threads come and go.

use alloc::vec::Vec;

use super::kmap;
use super::layout::STACKS;
use crate::addr::Pfn;
use crate::frame::{self, AccountId, Kind, OutOfMemory};
use crate::lock::IrqLock;

/// Frames of a stack.
#[cfg(debug_assertions)]
const PAGES: usize = 8;
#[cfg(not(debug_assertions))]
const PAGES: usize = 4;
/// Bytes of address space for a stack and its guard.
const SLOT: u64 = 0x10000;
/// Stacks kept ready.
const SPARE: usize = 32;

struct Slots {
    /// Slots mapped with frames, ready for use.
    spare: Vec<(u64, [Pfn; PAGES])>,
    /// Slots whose frames were given back.
    empty: Vec<u64>,
    next: u64,
}

static SLOTS: IrqLock<Slots> = IrqLock::new(Slots { spare: Vec::new(), empty: Vec::new(), next: 0 });

/// A stack nobody else runs on.
pub struct KernelStack {
    slot: u64,
    frames: [Pfn; PAGES],
}

impl KernelStack {
    /// Its frames are the kernel's, since a spare stack has no owner; whoever makes threads charges for them.
    pub fn new() -> Result<KernelStack, OutOfMemory> {
        let slot = {
            let mut slots = SLOTS.lock();
            if let Some((slot, frames)) = slots.spare.pop() {
                return Ok(KernelStack { slot, frames });
            }
            slots.empty.pop().unwrap_or_else(|| {
                slots.next += 1;
                slots.next - 1
            })
        };
        let mut frames = [Pfn(0); PAGES];
        for index in 0..PAGES {
            let made = frame::take(0, Kind::Heap, AccountId::KERNEL).and_then(|pfn| {
                kmap::map(page_address(slot, index), pfn.phys(), true)
                    .inspect_err(|_| frame::release(pfn))
                    .map(|()| pfn)
            });
            match made {
                Ok(pfn) => frames[index] = pfn,
                Err(error) => {
                    frames[..index].iter().for_each(|pfn| frame::release(*pfn));
                    SLOTS.lock().empty.push(slot);
                    return Err(error);
                }
            }
        }
        Ok(KernelStack { slot, frames })
    }

    /// One past its highest byte, 16-byte aligned.
    pub fn top(&self) -> u64 {
        STACKS + (self.slot + 1) * SLOT
    }
}

fn page_address(slot: u64, index: usize) -> u64 {
    STACKS + (slot + 1) * SLOT - ((PAGES - index) as u64) * 4096
}

/// True when `address` is in the unmapped part below some stack.
pub fn is_guard(address: u64) -> bool {
    (STACKS..STACKS + (1 << 39)).contains(&address) && address % SLOT < SLOT - PAGES as u64 * 4096
}

impl Drop for KernelStack {
    fn drop(&mut self) {
        let mut slots = SLOTS.lock();
        if slots.spare.len() < SPARE {
            slots.spare.push((self.slot, self.frames));
            return;
        }
        for index in 0..PAGES {
            kmap::unmap(page_address(self.slot, index));
        }
        slots.empty.push(self.slot);
        drop(slots);
        self.frames.iter().for_each(|pfn| frame::release(*pfn));
    }
}
