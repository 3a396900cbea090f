//! `madvise`, `mlock`, `mincore` and `msync`: what a program says and asks about its pages.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SHIFT, PAGE_SIZE, Virt};
use kernel_hal::paging::Prot;
use kernel_hal::usermem::Access;

use super::area::{Area, Backing};
use super::areas::MAX_AREAS;
use super::{AddressSpace, FaultError, Inner};
use crate::object::MemoryObject;

/// The advice of `madvise(2)`, by what it asks for here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Advice {
    /// About speed only, and followed by doing nothing.
    Accepted,
    DontNeed,
    DontNeedLocked,
    Free,
    Remove,
    DontFork(bool),
    WipeOnFork(bool),
    Populate(Access),
}

impl Advice {
    fn decode(number: i32) -> Option<Advice> {
        Some(match number {
            // NORMAL, RANDOM, SEQUENTIAL, WILLNEED; MERGEABLE, UNMERGEABLE, HUGEPAGE, NOHUGEPAGE, DONTDUMP, DODUMP;
            // COLD, PAGEOUT.
            0..=3 | 12..=17 | 20 | 21 => Advice::Accepted,
            4 => Advice::DontNeed,
            8 => Advice::Free,
            9 => Advice::Remove,
            10 => Advice::DontFork(true),
            11 => Advice::DontFork(false),
            18 => Advice::WipeOnFork(true),
            19 => Advice::WipeOnFork(false),
            22 => Advice::Populate(Access::Read),
            23 => Advice::Populate(Access::Write),
            24 => Advice::DontNeedLocked,
            _ => return None,
        })
    }
}

/// Flags of `msync(2)`.
const MS_ASYNC: u32 = 1;
const MS_INVALIDATE: u32 = 2;
const MS_SYNC: u32 = 4;

impl AddressSpace {
    /// `madvise(2)`, with its number for the advice. Where nothing is mapped the rest is still done, and then `ENOMEM`
    /// is returned.
    pub fn advise(&self, start: Virt, len: u64, advice: i32) -> Result<(), Errno> {
        let advice = Advice::decode(advice).ok_or(Errno::EINVAL)?;
        let range = pages(start, len, Errno::EINVAL)?;
        if range.is_empty() {
            return Ok(());
        }
        if let Advice::Populate(access) = advice {
            return self.populate_now(range, access);
        }
        let mut punched: Vec<(Arc<MemoryObject>, Range<u64>)> = Vec::new();
        let result = {
            let mut inner = self.inner.lock();
            let whole = if inner.areas.covers(range.clone()) { Ok(()) } else { Err(Errno::ENOMEM) };
            inner.advise(range, advice, &mut punched).and(whole)
        };
        for (object, pages) in punched {
            object.discard(pages.start, pages.end);
        }
        result
    }

    fn populate_now(&self, range: Range<u64>, access: Access) -> Result<(), Errno> {
        for page in range.step_by(PAGE_SIZE) {
            match self.fault(Virt(page), access) {
                Ok(()) => {}
                Err(FaultError::OutOfMemory) => return Err(Errno::ENOMEM),
                Err(FaultError::Segv(super::SegvCode::Maperr)) => return Err(Errno::ENOMEM),
                Err(FaultError::Segv(super::SegvCode::Accerr)) => return Err(Errno::EINVAL),
                Err(FaultError::Bus) => return Err(Errno::EFAULT),
            }
        }
        Ok(())
    }

    /// `mlock(2)` and `munlock(2)`: pages are brought in, and there is no swap that could take them out.
    pub fn lock(&self, start: Virt, len: u64, locked: bool) -> Result<(), Errno> {
        let len = len.checked_add(start.page_offset() as u64).ok_or(Errno::EINVAL)?;
        let range = pages(start.page_down(), len, Errno::EINVAL)?;
        if range.is_empty() {
            return Ok(());
        }
        {
            let mut inner = self.inner.lock();
            if !inner.areas.covers(range.clone()) {
                return Err(Errno::ENOMEM);
            }
            inner.change(range.clone(), |area| area.flags.locked = locked)?;
        }
        if locked {
            for page in range.step_by(PAGE_SIZE) {
                let prot = self.inner.lock().areas.find(page).map_or(Prot::NONE, |area| area.prot);
                self.populate(page, page + PAGE_SIZE as u64, prot, false);
            }
        }
        Ok(())
    }

    /// `mincore(2)`: one byte a page, 1 for those in memory. `ENOMEM` when something in between is not mapped.
    pub fn mincore(&self, start: Virt, present: &mut [u8]) -> Result<(), Errno> {
        if !start.is_page_aligned() {
            return Err(Errno::EINVAL);
        }
        let len = (present.len() as u64).checked_mul(PAGE_SIZE as u64).ok_or(Errno::ENOMEM)?;
        let range = pages(start, len, Errno::ENOMEM)?;
        let inner = self.inner.lock();
        if !inner.areas.covers(range.clone()) {
            return Err(Errno::ENOMEM);
        }
        for (page, byte) in range.step_by(PAGE_SIZE).zip(present) {
            let cached = || match inner.areas.find(page) {
                Some(area) => match &area.backing {
                    Backing::Object(map) => map.object.object().lookup(area.object_page(map, page)).is_some(),
                    Backing::Anonymous => false,
                },
                None => false,
            };
            *byte = u8::from(inner.table.lookup(Virt(page)).is_some() || cached());
        }
        Ok(())
    }

    /// `msync(2)`: writes changed pages of shared files back.
    pub fn sync(&self, start: Virt, len: u64, flags: u32) -> Result<(), Errno> {
        if flags & !(MS_ASYNC | MS_INVALIDATE | MS_SYNC) != 0
            || !start.is_page_aligned()
            || flags & (MS_ASYNC | MS_SYNC) == MS_ASYNC | MS_SYNC
        {
            return Err(Errno::EINVAL);
        }
        let range = pages(start, len, Errno::ENOMEM)?;
        let mut at = range.start;
        let mut result = Ok(());
        while at < range.end {
            let (next, work) = {
                let inner = self.inner.lock();
                let Some(area) = inner.areas.find_or_next(at).filter(|area| area.start < range.end) else {
                    return Err(Errno::ENOMEM);
                };
                if area.start > at {
                    result = Err(Errno::ENOMEM);
                }
                if flags & MS_INVALIDATE != 0 && area.flags.locked {
                    return Err(Errno::EBUSY);
                }
                (area.end, area.shared_pages(at..range.end))
            };
            if flags & MS_SYNC != 0
                && let Some((object, pages)) = work
            {
                object.write_back_range(pages)?;
            }
            at = next;
        }
        result
    }
}

/// Whole pages of a range that may reach into nothing, but not around the end of addresses.
fn pages(start: Virt, len: u64, wraps: Errno) -> Result<Range<u64>, Errno> {
    if !start.is_page_aligned() {
        return Err(Errno::EINVAL);
    }
    let len = Virt(len).page_up().ok_or(wraps)?;
    let end = start.checked_add(len.0).ok_or(wraps)?;
    Ok(start.0..end.0)
}

impl Area {
    /// The pages of a shared object that lie in `range`, if the area has one.
    fn shared_pages(&self, range: Range<u64>) -> Option<(Arc<MemoryObject>, Range<u64>)> {
        let Backing::Object(map) = &self.backing else { return None };
        if !self.flags.shared {
            return None;
        }
        let (start, end) = (range.start.max(self.start), range.end.min(self.end));
        let first = self.object_page(map, start);
        Some((map.object.object().clone(), first..first + ((end - start) >> PAGE_SHIFT)))
    }
}

impl Inner {
    fn advise(
        &mut self,
        range: Range<u64>,
        advice: Advice,
        punched: &mut Vec<(Arc<MemoryObject>, Range<u64>)>,
    ) -> Result<(), Errno> {
        for area in self.areas.overlapping(range.clone()) {
            let anonymous = matches!(area.backing, Backing::Anonymous);
            match advice {
                Advice::DontNeed if area.flags.locked => return Err(Errno::EINVAL),
                Advice::Free | Advice::WipeOnFork(true) if !anonymous => return Err(Errno::EINVAL),
                Advice::Remove if area.flags.locked || anonymous => return Err(Errno::EINVAL),
                Advice::Remove if !area.flags.shared || !area.max.write => return Err(Errno::EACCES),
                _ => {}
            }
            let part = area.start.max(range.start)..area.end.min(range.end);
            match advice {
                Advice::DontNeed | Advice::DontNeedLocked | Advice::Free => {
                    self.resident -= self.table.unmap_range(Virt(part.start)..Virt(part.end));
                }
                Advice::Remove => {
                    let Some((object, pages)) = area.shared_pages(part) else { continue };
                    if object.has_source() {
                        return Err(Errno::EOPNOTSUPP);
                    }
                    punched.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                    punched.push((object, pages));
                }
                _ => {}
            }
        }
        match advice {
            Advice::DontFork(on) => self.change(range, |area| area.flags.dont_fork = on),
            Advice::WipeOnFork(on) => self.change(range, |area| area.flags.wipe_on_fork = on),
            _ => Ok(()),
        }
    }

    /// Changes the areas of `range`, within the limit on areas.
    fn change(&mut self, range: Range<u64>, change: impl FnMut(&mut Area)) -> Result<(), Errno> {
        let count = self.areas.count() + self.areas.cuts(range.clone());
        if count > MAX_AREAS {
            return Err(Errno::ENOMEM);
        }
        self.ledger.cover(count)?;
        self.areas.update(range, change);
        Ok(())
    }
}
