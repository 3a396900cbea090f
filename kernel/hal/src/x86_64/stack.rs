//! Kernel stacks, each with unmapped memory below it.
//!
//! A stack that is given back stays mapped, since threads come and go, and since every CPU must forget its translations
//! before its frames may go: what is more than a few is taken apart by [`trim`], which may wait for the other CPUs.

use alloc::vec::Vec;

use super::kmap;
use super::layout::STACKS;
use super::tlb;
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
/// Stacks that are taken apart at a time.
const BATCH: usize = 16;

struct Slots {
    /// Slots mapped with frames, ready for use.
    spare: Vec<(u64, [Pfn; PAGES])>,
    /// Slots whose frames were given back.
    empty: Vec<u64>,
    next: u64,
}

impl Slots {
    /// A new slot, with room in both lists for all there are: giving a stack back never allocates.
    fn add(&mut self) -> Result<u64, OutOfMemory> {
        let count = self.next as usize + 1;
        let missing = count.saturating_sub(self.spare.len());
        self.spare.try_reserve(missing).map_err(|_| OutOfMemory)?;
        let missing = count.saturating_sub(self.empty.len());
        self.empty.try_reserve(missing).map_err(|_| OutOfMemory)?;
        self.next += 1;
        Ok(self.next - 1)
    }
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
            match slots.empty.pop() {
                Some(slot) => slot,
                None => slots.add()?,
            }
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
                    // Nobody has used the stack, so no CPU knows its pages.
                    (0..index).for_each(|index| kmap::unmap(page_address(slot, index)));
                    frames[..index].iter().for_each(|pfn| frame::release(*pfn));
                    SLOTS.lock().empty.push(slot);
                    return Err(error);
                }
            }
        }
        Ok(KernelStack { slot, frames })
    }

    /// True when `address` is one of its bytes.
    pub fn holds(&self, address: u64) -> bool {
        (self.top() - PAGES as u64 * 4096..self.top()).contains(&address)
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
        SLOTS.lock().spare.push((self.slot, self.frames));
    }
}

/// True when [`trim`] would give something back.
pub fn can_trim() -> bool {
    SLOTS.lock().spare.len() > SPARE
}

/// Gives back the frames of stacks that are more than a few. Called with interrupts on and no lock held.
pub fn trim() {
    let mut batch = [(0, [Pfn(0); PAGES]); BATCH];
    loop {
        let mut count = 0;
        {
            let mut slots = SLOTS.lock();
            while count < BATCH && slots.spare.len() > SPARE {
                let Some(stack) = slots.spare.pop() else { break };
                batch[count] = stack;
                count += 1;
            }
        }
        if count == 0 {
            return;
        }
        let batch = &batch[..count];
        for (slot, _) in batch {
            (0..PAGES).for_each(|index| kmap::unmap(page_address(*slot, index)));
        }
        tlb::flush_kernel();
        batch.iter().flat_map(|(_, frames)| frames).for_each(|pfn| frame::release(*pfn));
        SLOTS.lock().empty.extend(batch.iter().map(|(slot, _)| *slot));
    }
}
