//! Faults: bringing in the one page that a program touched.
//!
//! Nothing here is allocated but the frame and, now and then, a page table; nothing is searched but the area.

use alloc::sync::Arc;

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SHIFT, PAGE_SIZE, USER_MIN, Virt};
use kernel_hal::frame::{AccountId, Frame, OutOfMemory};
use kernel_hal::paging::{Mapping, PageTable, Prot};
use kernel_hal::usermem::Access;

use super::area::{Area, Backing, ObjectMap, STACK_GUARD};
use super::{AddressSpace, Inner, ZERO};
use crate::object::MemoryObject;
use crate::object::reclaim::relieve;

/// Pages around a touched page of a file that are mapped with it when they are in memory (Linux's `fault_around_bytes`).
const AROUND: usize = 16;

/// How often clean pages are given up for one fault.
const MAX_RELIEVED: u32 = 4;

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
        self.fault_then(va, access, |_| ())
    }

    /// The frame at `va` after making it accessible; it may be replaced there at any time.
    pub fn frame(&self, va: Virt, access: Access) -> Result<Frame, FaultError> {
        loop {
            if let Some(frame) = self.fault_then(va, access, |inner| inner.table.frame(va.page_down()))? {
                return Ok(frame);
            }
        }
    }

    /// Makes `va` accessible and looks at it before the lock is given up.
    #[inline]
    fn fault_then<T>(&self, va: Virt, access: Access, look: impl Fn(&Inner) -> T) -> Result<T, FaultError> {
        if !va.is_user() {
            return Err(FaultError::Segv(SegvCode::Maperr));
        }
        let mut relieved = 0;
        loop {
            let step = {
                let mut inner = self.inner.lock();
                match inner.fault(va, access, self.account.id()) {
                    Ok(Step::Done) => return Ok(look(&inner)),
                    step => step,
                }
            };
            match step {
                Ok(Step::Fetch(object, index)) => {
                    if let Err(error) = object.page(index, false) {
                        return Err(if error == Errno::ENOMEM { FaultError::OutOfMemory } else { FaultError::Bus });
                    }
                }
                // Not for ever: what is given up may be what is wanted.
                Err(FaultError::OutOfMemory) if relieved < MAX_RELIEVED && relieve(&self.account) => relieved += 1,
                Err(error) => return Err(error),
                Ok(Step::Done) => {}
            }
        }
    }
}

/// The private anonymous area that was touched last: most faults come in runs. Valid while areas are unchanged.
#[derive(Clone, Copy)]
pub(super) struct Recent {
    start: u64,
    end: u64,
    prot: Prot,
    changes: u64,
}

impl Recent {
    fn prot_at(self, address: u64, changes: u64) -> Option<Prot> {
        (self.changes == changes && self.start <= address && address < self.end).then_some(self.prot)
    }
}

fn check(prot: Prot, access: Access) -> Result<(), FaultError> {
    let allowed = match access {
        Access::Read => !prot.is_none(),
        Access::Write => prot.write,
        Access::Execute => prot.exec,
    };
    if allowed { Ok(()) } else { Err(FaultError::Segv(SegvCode::Accerr)) }
}

impl Inner {
    fn fault(&mut self, va: Virt, access: Access, account: AccountId) -> Result<Step, FaultError> {
        let page = va.page_down();
        let write = access == Access::Write;
        let changes = self.areas.changes();
        if let Some(prot) = self.recent.and_then(|recent| recent.prot_at(va.0, changes)) {
            check(prot, access)?;
            let mapped = anonymous_fault(&mut self.table, prot, page, write, account)?;
            self.count_mapped(mapped);
            return Ok(Step::Done);
        }
        if self.areas.find(va.0).is_none() {
            self.grow_stack(va.0)?;
        }
        let Inner { table, areas, recent, .. } = self;
        let area = areas.find(va.0).ok_or(FaultError::Segv(SegvCode::Maperr))?;
        check(area.prot, access)?;
        let mapped = match &area.backing {
            Backing::Anonymous => {
                *recent = Some(Recent { start: area.start, end: area.end, prot: area.prot, changes: areas.changes() });
                anonymous_fault(table, area.prot, page, write, account)?
            }
            Backing::Object(map) => match table.lookup(page) {
                Some(mapping) if write && !mapping.prot.write => {
                    if area.flags.shared {
                        map.object.object().mark_dirty(area.object_page(map, page.0));
                        table.protect(page, area.prot);
                    } else {
                        own_page(table, area.prot, page, mapping, account)?;
                    }
                    0
                }
                // Someone else was faster, or the processor remembered less than is allowed now.
                Some(_) => 0,
                None => match object_fault(table, area, map, page, write, account)? {
                    Ok(mapped) => mapped,
                    Err(step) => return Ok(step),
                },
            },
        };
        self.count_mapped(mapped);
        Ok(Step::Done)
    }

    fn count_mapped(&mut self, mapped: usize) {
        self.resident += mapped;
        self.peak_resident = self.peak_resident.max(self.resident);
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

/// A fault in private memory without an object. Returns how many pages were mapped.
fn anonymous_fault(
    table: &mut PageTable,
    prot: Prot,
    page: Virt,
    write: bool,
    account: AccountId,
) -> Result<usize, FaultError> {
    match table.lookup(page) {
        Some(mapping) if write && !mapping.prot.write => {
            own_page(table, prot, page, mapping, account)?;
            Ok(0)
        }
        Some(_) => Ok(0),
        None if write => {
            table.map(page, Frame::zeroed(account)?, prot)?;
            Ok(1)
        }
        None => {
            let zero = ZERO.get().ok_or(FaultError::OutOfMemory)?;
            table.map(page, zero.clone(), prot.without_write())?;
            Ok(1)
        }
    }
}

/// A write to a private page that is mapped without the right to write, in an area that allows it: the page becomes
/// this space's own, by copying unless it is already.
fn own_page(
    table: &mut PageTable,
    prot: Prot,
    page: Virt,
    mapping: Mapping,
    account: AccountId,
) -> Result<(), FaultError> {
    if ZERO.get().is_some_and(|zero| zero.pfn() == mapping.pfn) {
        table.map(page, Frame::zeroed(account)?, prot)?;
        return Ok(());
    }
    let Some(frame) = table.frame(page) else { return Ok(()) };
    // One reference is the entry's, one is ours: with no other, nobody else sees the frame. New references to a
    // private frame are made only under the lock of a space that maps it.
    if frame.references() == 2 {
        table.protect(page, prot);
    } else {
        table.map(page, frame.duplicate(account)?, prot)?;
    }
    Ok(())
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
    // The window is aligned, so it lies within one table.
    let used = ((end - start) >> PAGE_SHIFT) as usize;
    let frames = frames.get_mut(..used).unwrap_or_default();
    Ok(table.map_missing(Virt(start), frames, area.entry_prot())?)
}
