//! Faults: bringing in the one page that a program touched.
//!
//! Nothing here is allocated but the frame and, now and then, a page table; nothing is searched but the area.

use alloc::sync::Arc;

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SHIFT, PAGE_SIZE, USER_MIN, Virt};
use kernel_hal::frame::{AccountId, Frame, OutOfMemory};
use kernel_hal::paging::{Mapping, PageTable};
use kernel_hal::usermem::Access;

use super::area::{Area, Backing, ObjectMap, STACK_GUARD};
use super::{AddressSpace, Inner, ZERO};
use crate::object::MemoryObject;

/// Pages around a touched page of a file that are mapped with it when they are in memory (Linux's `fault_around_bytes`).
const AROUND: usize = 16;

/// Why a page cannot be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultError {
    Segv(SegvCode),
    /// The page lies beyond the end of its file, or could not be read.
    Bus,
    /// The machine, or the account, has no frame left.
    OutOfMemory,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SegvCode {
    /// Nothing is mapped there.
    Maperr,
    /// What is mapped there does not allow the access.
    Accerr,
}

impl From<OutOfMemory> for FaultError {
    fn from(_: OutOfMemory) -> FaultError {
        FaultError::OutOfMemory
    }
}

/// What a look under the lock ended with.
enum Step {
    Done,
    /// The page must be fetched first, without the lock.
    Fetch(Arc<MemoryObject>, u64),
}

impl AddressSpace {
    /// Makes `va` accessible, or says why not. May sleep.
    pub fn fault(&self, va: Virt, access: Access) -> Result<(), FaultError> {
        if !va.is_user() {
            return Err(FaultError::Segv(SegvCode::Maperr));
        }
        loop {
            let step = self.inner.lock().fault(va, access, self.account.id())?;
            let Step::Fetch(object, index) = step else { return Ok(()) };
            if let Err(error) = object.page(index, false) {
                return Err(if error == Errno::ENOMEM { FaultError::OutOfMemory } else { FaultError::Bus });
            }
        }
    }

    /// The frame at `va` after making it accessible; it may be replaced there at any time.
    pub fn frame(&self, va: Virt, access: Access) -> Result<Frame, FaultError> {
        if !va.is_user() {
            return Err(FaultError::Segv(SegvCode::Maperr));
        }
        loop {
            let step = {
                let mut inner = self.inner.lock();
                let step = inner.fault(va, access, self.account.id())?;
                if let Some(frame) = inner.table.frame(va.page_down()) {
                    return Ok(frame);
                }
                step
            };
            if let Step::Fetch(object, index) = step
                && let Err(error) = object.page(index, false)
            {
                return Err(if error == Errno::ENOMEM { FaultError::OutOfMemory } else { FaultError::Bus });
            }
        }
    }
}

impl Inner {
    fn fault(&mut self, va: Virt, access: Access, account: AccountId) -> Result<Step, FaultError> {
        if self.areas.find(va.0).is_none() {
            self.grow_stack(va.0)?;
        }
        let Inner { table, areas, resident, peak_resident, .. } = self;
        let area = areas.find(va.0).ok_or(FaultError::Segv(SegvCode::Maperr))?;
        let allowed = match access {
            Access::Read => !area.prot.is_none(),
            Access::Write => area.prot.write,
            Access::Execute => area.prot.exec,
        };
        if !allowed {
            return Err(FaultError::Segv(SegvCode::Accerr));
        }
        let page = va.page_down();
        if let Some(mapping) = table.lookup(page) {
            return match access {
                Access::Write if !mapping.prot.write => make_writable(table, area, page, mapping, account),
                // Someone else was faster, or the processor remembered less than is allowed now.
                _ => Ok(Step::Done),
            };
        }
        let write = access == Access::Write;
        let mapped = match &area.backing {
            Backing::Anonymous => {
                if write {
                    table.map(page, Frame::zeroed(account)?, area.prot)?;
                } else {
                    let zero = ZERO.get().ok_or(FaultError::OutOfMemory)?;
                    table.map(page, zero.clone(), area.prot.without_write())?;
                }
                1
            }
            Backing::Object(map) => match object_fault(table, area, map, page, write, account)? {
                Ok(mapped) => mapped,
                Err(step) => return Ok(step),
            },
        };
        *resident += mapped;
        *peak_resident = (*peak_resident).max(*resident);
        Ok(Step::Done)
    }

    /// Extends the stack above `address` down to it, within its limit and clear of what lies below.
    fn grow_stack(&mut self, address: u64) -> Result<(), FaultError> {
        const NOTHING: FaultError = FaultError::Segv(SegvCode::Maperr);
        let area = self.areas.find_or_next(address).filter(|area| area.flags.grows_down).ok_or(NOTHING)?;
        let (start, end) = (area.start, area.end);
        let to = Virt(address).page_down().0;
        let neighbour = self.areas.before(address);
        let crowded = neighbour.is_some_and(|below| {
            !below.flags.grows_down && !below.prot.is_none() && to - below.end.min(to) < STACK_GUARD
        });
        let total = self.areas.bytes() + (start - to);
        if to < USER_MIN || end - to > self.limits.stack || crowded || total > self.limits.address_space {
            return Err(NOTHING);
        }
        self.areas.grow_down(start, to);
        Ok(())
    }
}

/// A write to a page that is mapped without the right to write, in an area that allows it.
fn make_writable(
    table: &mut PageTable,
    area: &Area,
    page: Virt,
    mapping: Mapping,
    account: AccountId,
) -> Result<Step, FaultError> {
    if area.flags.shared {
        if let Backing::Object(map) = &area.backing {
            map.object.object().mark_dirty(area.object_page(map, page.0));
        }
        table.protect(page, area.prot);
        return Ok(Step::Done);
    }
    if ZERO.get().is_some_and(|zero| zero.pfn() == mapping.pfn) {
        table.map(page, Frame::zeroed(account)?, area.prot)?;
        return Ok(Step::Done);
    }
    let Some(frame) = table.frame(page) else { return Ok(Step::Done) };
    // One reference is the entry's, one is ours: with no other, nobody else sees the frame. New references to a
    // private frame are made only under the lock of a space that maps it.
    if frame.references() == 2 {
        table.protect(page, area.prot);
    } else {
        table.map(page, frame.duplicate(account)?, area.prot)?;
    }
    Ok(Step::Done)
}

/// Maps a page of an object, and its neighbours if it is read. The inner error is the page that must be fetched.
fn object_fault(
    table: &mut PageTable,
    area: &Area,
    map: &ObjectMap,
    page: Virt,
    write: bool,
    account: AccountId,
) -> Result<Result<usize, Step>, FaultError> {
    let object = map.object.object();
    let index = area.object_page(map, page.0);
    let limit = object.size().div_ceil(PAGE_SIZE as u64);
    if index >= limit {
        return Err(FaultError::Bus);
    }
    if !write {
        let mapped = map_around(table, area, map, page, limit)?;
        return Ok(if mapped == 0 { Err(Step::Fetch(object.clone(), index)) } else { Ok(mapped) });
    }
    let Some(frame) = object.lookup(index) else { return Ok(Err(Step::Fetch(object.clone(), index))) };
    if area.flags.shared {
        object.mark_dirty(index);
        table.map(page, frame, area.prot)?;
    } else {
        table.map(page, frame.duplicate(account)?, area.prot)?;
    }
    Ok(Ok(1))
}

/// Maps `page`, and those pages of its aligned window that are in memory and not mapped. Returns how many: none when
/// `page` itself is not in memory.
fn map_around(
    table: &mut PageTable,
    area: &Area,
    map: &ObjectMap,
    page: Virt,
    limit: u64,
) -> Result<usize, FaultError> {
    let window = (AROUND * PAGE_SIZE) as u64;
    let start = (page.0 & !(window - 1)).max(area.start);
    let end = ((page.0 & !(window - 1)) + window).min(area.end);
    let first = area.object_page(map, start);
    let last = (first + ((end - start) >> PAGE_SHIFT)).min(limit);
    let wanted = ((page.0 - start) >> PAGE_SHIFT) as usize;
    let mut frames: [Option<Frame>; AROUND] = [const { None }; AROUND];
    map.object.object().for_each_cached(first, last, &mut |index, frame| {
        if let Some(slot) = frames.get_mut((index - first) as usize) {
            *slot = Some(frame.clone());
        }
        true
    });
    if frames.get(wanted).is_none_or(Option::is_none) {
        return Ok(0);
    }
    let prot = area.entry_prot();
    let mut mapped = 0;
    for (number, frame) in (0..).zip(frames) {
        let Some(frame) = frame else { continue };
        let va = Virt(start + (number << PAGE_SHIFT));
        if table.lookup(va).is_none() {
            table.map(va, frame, prot)?;
            mapped += 1;
        }
    }
    Ok(mapped)
}
