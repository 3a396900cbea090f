//! `mremap`: resizing and moving areas together with their pages.

use core::ops::Range;

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SHIFT, USER_END, USER_MIN, Virt};

use super::area::{Area, Backing};
use super::areas::{Hint, MAX_AREAS};
use super::map::{make_room_for, overcommit};
use super::unmap::Graveyard;
use super::{AddressSpace, Inner, MapFlags};
use crate::account::Account;

/// The flags of `mremap(2)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RemapFlags {
    /// `MREMAP_MAYMOVE`
    pub may_move: bool,
    /// `MREMAP_FIXED`: to the given address, in place of what is there.
    pub fixed: bool,
    /// `MREMAP_DONTUNMAP`: the old range stays, empty.
    pub dont_unmap: bool,
}

/// A request whose lengths are whole pages.
struct Remap<'a> {
    from: u64,
    old: u64,
    new: u64,
    flags: RemapFlags,
    /// Who pays for what is added.
    account: &'a Account,
}

impl AddressSpace {
    /// Makes the mapping of `old_len` bytes at `start` one of `new_len` bytes, here or elsewhere (`to` is used with
    /// `fixed`). Errors are those of `mremap(2)`, in Linux's order.
    pub fn remap(&self, start: Virt, old_len: u64, new_len: u64, flags: RemapFlags, to: Virt) -> Result<Virt, Errno> {
        if (flags.fixed && !flags.may_move) || (flags.dont_unmap && (!flags.may_move || old_len != new_len)) {
            return Err(Errno::EINVAL);
        }
        if !start.is_page_aligned() {
            return Err(Errno::EINVAL);
        }
        // What rounds up past the end of addresses becomes zero, as in Linux.
        let old = Virt(old_len).page_up().map_or(0, |len| len.0);
        let new = Virt(new_len).page_up().map_or(0, |len| len.0);
        if new == 0 {
            return Err(Errno::EINVAL);
        }
        make_room_for(new.saturating_sub(old), &self.account)?;
        let request = Remap { from: start.0, old, new, flags, account: &self.account };
        let mut graveyard = Graveyard::default();
        let mut inner = self.inner.lock();
        if inner.areas.find(start.0).is_none() {
            return Err(Errno::EFAULT);
        }
        let result = if flags.fixed || flags.dont_unmap {
            inner.remap_to(request, to, &mut graveyard)
        } else {
            inner.remap_anywhere(request, &mut graveyard)
        };
        let grown = result.as_ref().ok().and_then(|moved| {
            let locked = inner.areas.find(moved.0).is_some_and(|area| area.flags.locked);
            let area = inner.areas.find(moved.0)?;
            (locked && new > old).then_some((moved.0 + old, moved.0 + new, area.prot, area.flags.shared))
        });
        drop(inner);
        if let Some((start, end, prot, shared)) = grown {
            self.populate(start, end, prot, shared);
        }
        result
    }
}

impl Inner {
    fn remap_to(&mut self, mut request: Remap<'_>, to: Virt, graveyard: &mut Graveyard) -> Result<Virt, Errno> {
        let fixed = request.flags.fixed;
        if !to.is_page_aligned() || request.new > USER_END || to.0 > USER_END - request.new {
            return Err(Errno::EINVAL);
        }
        let overlap = request.from.saturating_add(request.old) > to.0 && to.0 + request.new > request.from;
        if overlap {
            return Err(Errno::EINVAL);
        }
        // Four pieces more: two holes may be cut, each in the middle of an area.
        if self.areas.count() + 6 > MAX_AREAS {
            return Err(Errno::ENOMEM);
        }
        let count = self.areas.count() + 6;
        self.ledger.cover(count)?;
        if fixed {
            if to.0 < USER_MIN {
                return Err(Errno::EPERM);
            }
            self.may_bury(to.0..to.0 + request.new)?;
            self.remove(to.0..to.0 + request.new, graveyard);
        }
        if request.old > request.new {
            self.may_bury(request.from + request.new..request.from + request.old)?;
            self.remove(request.from + request.new..request.from + request.old, graveyard);
            request.old = request.new;
        }
        let area = self.resizable(&request)?;
        if request.flags.dont_unmap {
            self.may_grow(request.new, if area.is_data() { request.new } else { 0 })?;
        }
        let flags = MapFlags { fixed, ..MapFlags::default() };
        let (start, hint) = self.place(to, request.new, flags)?;
        self.relocate(&request, area, start, hint, graveyard)?;
        Ok(Virt(start))
    }

    fn remap_anywhere(&mut self, request: Remap<'_>, graveyard: &mut Graveyard) -> Result<Virt, Errno> {
        let Remap { from, old, new, flags, .. } = request;
        if old >= new {
            if old > new {
                let tail = super::unmap::checked_range(Virt(from), old)?;
                if self.areas.count() >= MAX_AREAS {
                    return Err(Errno::ENOMEM);
                }
                let count = self.areas.count() + 1;
                self.ledger.cover(count)?;
                self.may_bury(tail.start + new..tail.end)?;
                self.remove(tail.start + new..tail.end, graveyard);
            }
            return Ok(Virt(from));
        }
        let area = self.resizable(&request)?;
        let at_end = from + old == area.end;
        if at_end && old != 0 && self.is_room(from + old..from.saturating_add(new)) {
            self.areas.grow_up(area.start, from + new);
            return Ok(Virt(from));
        }
        if !flags.may_move {
            return Err(Errno::ENOMEM);
        }
        if self.areas.count() + 4 > MAX_AREAS {
            return Err(Errno::ENOMEM);
        }
        let count = self.areas.count() + 4;
        self.ledger.cover(count)?;
        let (start, hint) = self.place(Virt(0), new, MapFlags::default())?;
        self.relocate(&request, area, start, hint, graveyard)?;
        Ok(Virt(start))
    }

    fn is_room(&self, range: Range<u64>) -> bool {
        range.end <= USER_END && self.areas.is_free_with_gaps(range)
    }

    /// The area to be resized, after Linux's checks (`vma_to_resize`).
    fn resizable(&self, request: &Remap<'_>) -> Result<Area, Errno> {
        let area = self.areas.find(request.from).ok_or(Errno::EFAULT)?;
        if request.old == 0 && !area.flags.shared {
            return Err(Errno::EINVAL);
        }
        if request.old > area.end - request.from {
            return Err(Errno::EFAULT);
        }
        if request.old == request.new {
            return Ok(area.clone());
        }
        if let Backing::Object(map) = &area.backing {
            let first = area.object_page(map, request.from);
            let bytes = first.checked_shl(PAGE_SHIFT).ok_or(Errno::EINVAL)?;
            bytes.checked_add(request.new).ok_or(Errno::EINVAL)?;
        }
        let more = request.new.saturating_sub(request.old);
        self.may_grow(more, if area.is_data() { more } else { 0 })?;
        if area.is_data() && !area.flags.no_reserve {
            overcommit(more, request.account)?;
        }
        Ok(area.clone())
    }

    /// Moves the pages of the old range to `start`, where nothing is, and makes the area there.
    fn relocate(
        &mut self,
        request: &Remap<'_>,
        area: Area,
        start: u64,
        hint: Option<Hint>,
        graveyard: &mut Graveyard,
    ) -> Result<(), Errno> {
        let Remap { from, old, new, flags, .. } = *request;
        if old != 0 {
            let moved = self.table.move_range(Virt(from)..Virt(from + old), Virt(start));
            if moved.is_err() {
                // The pages are still at the old place too.
                self.table.unmap_range(Virt(start)..Virt(start + old));
                return Err(Errno::ENOMEM);
            }
        }
        // Before the old range becomes a gap that the hint does not know of.
        if let Some(hint) = hint {
            self.areas.commit(hint);
        }
        let mut target = area;
        if from > target.start {
            target = target.split_off(from);
        }
        target.start = start;
        target.end = start + new;
        if old != 0 && !flags.dont_unmap {
            self.areas.remove(from..from + old, |area| graveyard.bury(area));
        }
        self.areas.insert(target);
        Ok(())
    }
}
