//! `brk`: the heap that grows from the end of the program.

use kernel_hal::addr::{PAGE_SIZE, USER_END, USER_MIN, Virt};
use kernel_hal::paging::Prot;

use super::AddressSpace;
use super::area::{Area, Backing, Flags};
use super::areas::MAX_AREAS;
use super::map::{make_room_for, overcommit};
use super::unmap::Graveyard;

impl AddressSpace {
    /// Says where the heap begins; it is empty. Called by exec.
    pub fn set_brk_base(&self, start: Virt) {
        self.inner.lock().heap = start.0..start.0;
    }

    /// Moves the end of the heap to `to` and returns it; where that cannot be, the end stays and is returned.
    pub fn brk(&self, to: Virt) -> Virt {
        let mut graveyard = Graveyard::default();
        let more = to.0.saturating_sub(self.inner.lock().heap.end);
        let room_to_grow = more == 0 || make_room_for(more, &self.account).is_ok();
        let mut inner = self.inner.lock();
        let heap = inner.heap.clone();
        let unchanged = Virt(heap.end);
        let (Some(old_end), Some(new_end)) = (unchanged.page_up(), to.page_up()) else { return unchanged };
        if to.0 < heap.start || new_end.0 > USER_END || to.0 - heap.start > inner.limits.data {
            return unchanged;
        }
        if new_end < old_end {
            inner.remove(new_end.0..old_end.0, &mut graveyard);
        } else if new_end > old_end {
            let len = new_end.0 - old_end.0;
            let room = inner.areas.is_free_with_gaps(old_end.0..new_end.0 + PAGE_SIZE as u64);
            let count = inner.areas.count() + 1;
            let allowed = old_end.0 >= USER_MIN
                && room
                && count <= MAX_AREAS
                && room_to_grow
                && inner.may_grow(len, len).is_ok()
                && overcommit(len, &self.account).is_ok()
                && inner.ledger.cover(count).is_ok();
            if !allowed {
                return unchanged;
            }
            inner.areas.insert(Area {
                start: old_end.0,
                end: new_end.0,
                prot: Prot::RW,
                max: Prot::RWX,
                flags: Flags::default(),
                backing: Backing::Anonymous,
                label: "",
            });
        }
        inner.heap.end = to.0;
        drop(inner);
        to
    }
}
