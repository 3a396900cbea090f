//! `munmap`: taking areas and pages away.

use alloc::collections::BTreeMap;
use core::ops::Range;

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SHIFT, USER_END, Virt};

use super::area::{Area, Backing};
use super::areas::MAX_AREAS;
use super::{AREA_BYTES, AddressSpace, Inner};
use crate::frames::gate_for_bytes;
use crate::object::MemoryObject;

/// Areas on their way out. They are dropped after the space's lock: the last user of a file closes it.
#[derive(Default)]
pub(super) struct Graveyard(BTreeMap<u64, Area>);

impl Graveyard {
    pub(super) fn bury(&mut self, area: Area) {
        if matches!(area.backing, Backing::Object(_)) {
            self.0.insert(area.start, area);
        }
    }
}

/// The pages that `len` bytes from `start` touch, for calls that want it mapped and say `EINVAL` otherwise.
pub(super) fn checked_range(start: Virt, len: u64) -> Result<Range<u64>, Errno> {
    if !start.is_page_aligned() || start.0 > USER_END || len > USER_END - start.0 {
        return Err(Errno::EINVAL);
    }
    let len = Virt(len).page_up().ok_or(Errno::EINVAL)?.0;
    Ok(start.0..start.0 + len)
}

impl AddressSpace {
    /// Removes what is mapped in `len` bytes from `start`, rounded up to pages. Errors are those of `munmap(2)`.
    pub fn unmap(&self, start: Virt, len: u64) -> Result<(), Errno> {
        let range = checked_range(start, len)?;
        if range.is_empty() {
            return Err(Errno::EINVAL);
        }
        let mut graveyard = Graveyard::default();
        let mut inner = self.inner.lock();
        let count = inner.areas.count() + 1;
        let another = count <= MAX_AREAS && inner.ledger.cover(count).is_ok();
        // Only a cut in the middle of an area needs another: giving memory back works also when there is none left.
        if !another && inner.areas.cuts(range.clone()) == 2 {
            return Err(Errno::ENOMEM);
        }
        inner.may_bury(range.clone())?;
        inner.remove(range, &mut graveyard);
        drop(inner);
        Ok(())
    }

    /// Removes the pages `pages` of `object` from all areas that map them; the areas stay.
    pub(super) fn unmap_object(&self, object: &MemoryObject, pages: Range<u64>) {
        let mut inner = self.inner.lock();
        let Inner { table, areas, resident, .. } = &mut *inner;
        for area in areas.iter() {
            if let Some(range) = area.where_mapped(object, &pages) {
                *resident -= table.unmap_range(range);
            }
        }
    }

    /// Takes the right to write from the pages `pages` of `object` where they are shared.
    pub(super) fn write_protect_object(&self, object: &MemoryObject, pages: Range<u64>) {
        let mut inner = self.inner.lock();
        let Inner { table, areas, .. } = &mut *inner;
        for area in areas.iter().filter(|area| area.flags.shared) {
            if let Some(range) = area.where_mapped(object, &pages) {
                table.write_protect_range(range);
            }
        }
    }
}

impl Area {
    /// Where the pages `pages` of `object` lie in this area.
    fn where_mapped(&self, object: &MemoryObject, pages: &Range<u64>) -> Option<Range<Virt>> {
        let Backing::Object(map) = &self.backing else { return None };
        if !core::ptr::eq(map.object.object().as_ref(), object) {
            return None;
        }
        let from = pages.start.max(map.first);
        let to = pages.end.min(map.first.saturating_add(self.pages()));
        let address = |page: u64| Virt(self.start + ((page - map.first) << PAGE_SHIFT));
        (from < to).then(|| address(from)..address(to))
    }
}

impl Inner {
    /// Whether the kernel has room to keep the areas of `range` until they are dropped. Few can always be removed.
    pub(super) fn may_bury(&self, range: Range<u64>) -> Result<(), Errno> {
        const FEW: usize = 32;
        let count = self.areas.overlapping(range).count();
        if count <= FEW { Ok(()) } else { gate_for_bytes(count * AREA_BYTES) }
    }

    /// Removes areas and pages of `range`.
    pub(super) fn remove(&mut self, range: Range<u64>, graveyard: &mut Graveyard) {
        self.areas.remove(range.clone(), |area| graveyard.bury(area));
        self.resident -= self.table.unmap_range(Virt(range.start)..Virt(range.end));
    }
}
