//! `mprotect`: changing what a program may do with its pages.

use aios_abi::Errno;
use kernel_hal::addr::Virt;
use kernel_hal::paging::Prot;

use super::area::Area;
use super::areas::{Areas, MAX_AREAS};
use super::{AddressSpace, Inner};
use crate::object::reclaim::make_room;

impl AddressSpace {
    /// Gives the pages of `len` bytes from `start` the rights `prot`; with `grows_down` from the start of the stack
    /// there (`PROT_GROWSDOWN`). Errors are those of `mprotect(2)`; up to the first refusal the change is made.
    pub fn protect(&self, start: Virt, len: u64, prot: Prot, grows_down: bool) -> Result<(), Errno> {
        if !start.is_page_aligned() {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let end = Virt(len).page_up().and_then(|len| start.checked_add(len.0)).ok_or(Errno::ENOMEM)?.0;
        if end <= start.0 {
            return Err(Errno::ENOMEM);
        }
        make_room(&self.account)?;
        let mut inner = self.inner.lock();
        let first = inner.areas.find_or_next(start.0).ok_or(Errno::ENOMEM)?;
        let start = if grows_down {
            if first.start >= end {
                return Err(Errno::ENOMEM);
            }
            if !first.flags.grows_down {
                return Err(Errno::EINVAL);
            }
            first.start
        } else {
            start.0
        };
        let (reachable, result) = changeable(&inner.areas, start, end, prot);
        if reachable > start {
            let count = inner.areas.count() + inner.areas.cuts(start..reachable);
            if count > MAX_AREAS {
                return Err(Errno::ENOMEM);
            }
            inner.ledger.cover(count)?;
            inner.protect(start, reachable, prot);
        }
        result
    }
}

/// How far from `start` on the rights may be given, and why not further.
fn changeable(areas: &Areas, start: u64, end: u64, prot: Prot) -> (u64, Result<(), Errno>) {
    let mut at = start;
    for area in areas.overlapping(start..end) {
        if area.start > at {
            return (at, Err(Errno::ENOMEM));
        }
        if exceeds(area, prot) {
            return (at, Err(Errno::EACCES));
        }
        at = area.end;
    }
    if at < end { (at, Err(Errno::ENOMEM)) } else { (end, Ok(())) }
}

fn exceeds(area: &Area, prot: Prot) -> bool {
    (prot.read && !area.max.read) || (prot.write && !area.max.write) || (prot.exec && !area.max.exec)
}

impl Inner {
    fn protect(&mut self, start: u64, end: u64, prot: Prot) {
        let Inner { table, areas, .. } = self;
        areas.update(start..end, |area| {
            if area.prot != prot {
                area.prot = prot;
                table.protect_range(area.range(), area.entry_prot());
            }
        });
    }
}
