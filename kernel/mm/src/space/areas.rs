//! The areas of one address space in order of address: lookup, cutting, joining, and the search for free room.
//!
//! Invariants: areas do not overlap and are not empty; `bytes` and `data_bytes` are the sums over them; there is no
//! usable gap of `hint.len` bytes or more between `hint.top` and `base`, so a search for that much starts at the top.

use alloc::collections::BTreeMap;
use core::ops::Range;

use kernel_hal::addr::{PAGE_SIZE, USER_END, USER_MIN};

use super::area::Area;

/// Linux's default for `vm.max_map_count`.
pub(crate) const MAX_AREAS: usize = 65530;

#[derive(Clone, Copy)]
pub(crate) struct Hint {
    top: u64,
    len: u64,
}

#[derive(Clone)]
pub(crate) struct Areas {
    map: BTreeMap<u64, Area>,
    bytes: u64,
    data_bytes: u64,
    base: u64,
    hint: Hint,
    /// Counts changes: what was read of an area holds while it stands still.
    changes: u64,
}

impl Areas {
    /// No areas; room is searched from `base` downwards.
    pub(crate) fn new(base: u64) -> Areas {
        Areas { map: BTreeMap::new(), bytes: 0, data_bytes: 0, base, hint: Hint { top: base, len: 0 }, changes: 0 }
    }

    pub(crate) fn set_base(&mut self, base: u64) {
        self.base = base;
        self.hint = Hint { top: base, len: 0 };
    }

    /// Takes all areas out.
    pub(crate) fn take(&mut self) -> Areas {
        let mut none = Areas::new(self.base);
        none.changes = self.changes + 1;
        core::mem::replace(self, none)
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn count(&self) -> usize {
        self.map.len()
    }

    /// Bytes of all areas.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of private writable areas that are no stack.
    pub(crate) fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Area> {
        self.map.values()
    }

    /// The area that contains `address`.
    #[inline]
    pub(crate) fn find(&self, address: u64) -> Option<&Area> {
        self.map.range(..=address).next_back().map(|(_, area)| area).filter(|area| address < area.end)
    }

    /// The first area that ends above `address`: the one that contains it, or the next.
    pub(crate) fn find_or_next(&self, address: u64) -> Option<&Area> {
        self.find(address).or_else(|| self.map.range(address..).next().map(|(_, area)| area))
    }

    /// The last area that begins below `address`.
    pub(crate) fn before(&self, address: u64) -> Option<&Area> {
        self.map.range(..address).next_back().map(|(_, area)| area)
    }

    /// Areas that overlap `range`, in order.
    pub(crate) fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = &Area> {
        let first = self.find(range.start).map_or(range.start, |area| area.start);
        self.map.range(first..range.end.max(first)).map(|(_, area)| area)
    }

    pub(crate) fn overlaps(&self, range: Range<u64>) -> bool {
        self.overlapping(range).next().is_some()
    }

    /// Bytes of `range` that areas cover.
    pub(crate) fn covered(&self, range: Range<u64>) -> u64 {
        self.overlapping(range.clone()).map(|area| area.end.min(range.end) - area.start.max(range.start)).sum()
    }

    /// True when areas cover all of `range`.
    pub(crate) fn covers(&self, range: Range<u64>) -> bool {
        self.covered(range.clone()) == range.end - range.start
    }

    fn first_overlap(&self, range: &Range<u64>) -> Option<u64> {
        self.find_or_next(range.start).filter(|area| area.start < range.end).map(|area| area.start)
    }

    /// Adds an area where there is none, joining it with its neighbours.
    pub(crate) fn insert(&mut self, mut area: Area) {
        self.changes += 1;
        self.account(&area, true);
        let next = self.map.range(area.start..).next().map(|(_, next)| next);
        let below_stack = next.is_some_and(|next| next.flags.grows_down);
        if let Some(next) = next
            && area.joins(next)
        {
            let (start, end) = (next.start, next.end);
            self.map.remove(&start);
            area.end = end;
        }
        let range = area.start..area.end;
        self.place(area);
        if below_stack {
            // What lies below the new area is no longer below the stack.
            self.note_gap(range);
        }
    }

    fn place(&mut self, area: Area) {
        if let Some((_, previous)) = self.map.range_mut(..area.start).next_back()
            && previous.joins(&area)
        {
            previous.end = area.end;
            return;
        }
        self.map.insert(area.start, area);
    }

    /// Removes what lies in `range`, cutting areas that reach over its ends; `removed` gets each piece, in order.
    pub(crate) fn remove(&mut self, range: Range<u64>, mut removed: impl FnMut(Area)) {
        self.changes += 1;
        let mut from = range.start;
        while let Some(start) = self.first_overlap(&(from..range.end)) {
            let Some(mut area) = self.map.remove(&start) else { break };
            from = area.end.min(range.end);
            if area.end > range.end {
                let upper = area.split_off(range.end);
                self.map.insert(upper.start, upper);
            }
            let area = if area.start < range.start {
                let inner = area.split_off(range.start);
                self.map.insert(area.start, area);
                inner
            } else {
                area
            };
            self.account(&area, false);
            removed(area);
            if from == range.end {
                break;
            }
        }
        if from != range.start {
            self.note_gap(range);
        }
    }

    /// Changes all areas of `range`, cut at its ends, and joins what has become alike.
    pub(crate) fn update(&mut self, range: Range<u64>, mut change: impl FnMut(&mut Area)) {
        self.changes += 1;
        self.cut(range.start);
        self.cut(range.end);
        let mut at = range.start;
        while let Some((&start, area)) = self.map.range_mut(at..range.end).next() {
            let data_before = if area.is_data() { area.len() } else { 0 };
            change(area);
            let data_after = if area.is_data() { area.len() } else { 0 };
            at = area.end;
            self.data_bytes = self.data_bytes - data_before + data_after;
            self.join_with_previous(start);
        }
        if let Some((&next, _)) = self.map.range(range.end..).next() {
            self.join_with_previous(next);
        }
    }

    /// Moves the start of the area at `start` down to `to`; there is room.
    pub(crate) fn grow_down(&mut self, start: u64, to: u64) {
        self.changes += 1;
        if let Some(mut area) = self.map.remove(&start) {
            self.account(&area, false);
            area.start = to;
            self.account(&area, true);
            self.map.insert(to, area);
        }
    }

    /// Moves the end of the area at `start` up to `to`; there is room.
    pub(crate) fn grow_up(&mut self, start: u64, to: u64) {
        if let Some(mut area) = self.map.remove(&start) {
            self.account(&area, false);
            area.end = to;
            self.insert(area);
        }
    }

    /// Makes the areas those of a forked child: without what is not inherited, nothing locked.
    pub(crate) fn drop_what_a_child_lacks(&mut self) {
        for area in self.map.values_mut() {
            area.flags.locked = false;
        }
        let mut at = 0;
        while let Some(area) = self.map.range(at..).map(|(_, area)| area).find(|area| area.flags.dont_fork) {
            let range = area.start..area.end;
            at = range.end;
            self.remove(range, drop);
        }
    }

    /// How many areas more there would be after cutting at the ends of `range`.
    pub(crate) fn cuts(&self, range: Range<u64>) -> usize {
        let inside = |at: u64| self.find(at).is_some_and(|area| area.start < at);
        usize::from(inside(range.start)) + usize::from(inside(range.end))
    }

    fn cut(&mut self, at: u64) {
        if let Some((_, area)) = self.map.range_mut(..at).next_back()
            && at < area.end
        {
            let upper = area.split_off(at);
            self.map.insert(at, upper);
        }
    }

    fn join_with_previous(&mut self, start: u64) {
        let Some(area) = self.map.get(&start) else { return };
        let Some((&previous, before)) = self.map.range(..start).next_back() else { return };
        if before.joins(area) {
            let end = area.end;
            self.map.remove(&start);
            if let Some(before) = self.map.get_mut(&previous) {
                before.end = end;
            }
        }
    }

    fn account(&mut self, area: &Area, add: bool) {
        let data = if area.is_data() { area.len() } else { 0 };
        if add {
            self.bytes += area.len();
            self.data_bytes += data;
        } else {
            self.bytes -= area.len();
            self.data_bytes -= data;
        }
    }

    /// The room that has appeared around `range`, or below it where an area begins it, may be larger than the search hint
    /// promises.
    fn note_gap(&mut self, range: Range<u64>) {
        let top = self.map.range(range.start..).next().map_or(USER_END, |(_, area)| area.start_with_gap());
        if top > self.hint.top {
            let bottom = self.before(range.start).map_or(USER_MIN, |area| area.end);
            if top.saturating_sub(bottom) >= self.hint.len {
                self.hint.top = top.min(self.base);
            }
        }
    }

    /// The highest room for `len` bytes (a multiple of the page size, not zero) below the base, else below the end of
    /// user space. The hint goes to [`Areas::commit`] once something is there.
    pub(crate) fn find_room(&self, len: u64) -> Option<(u64, Hint)> {
        let from_hint = len >= self.hint.len;
        let top = if from_hint { self.hint.top } else { self.base };
        if let Some((start, skipped)) = self.search(top, len) {
            let nothing_of = skipped + PAGE_SIZE as u64;
            let len = if from_hint { nothing_of.max(self.hint.len) } else { nothing_of };
            return Some((start, Hint { top: start, len }));
        }
        self.search(USER_END, len).map(|(start, _)| (start, self.hint))
    }

    /// Tells that the room found is now taken.
    pub(crate) fn commit(&mut self, hint: Hint) {
        self.hint = hint;
    }

    /// The start of the highest room below `top`, and the largest gap that was too small.
    fn search(&self, top: u64, len: u64) -> Option<(u64, u64)> {
        let above = self.map.range(top..).next();
        let mut gap_top = above.map_or(top, |(_, area)| area.start_with_gap().min(top));
        let mut skipped = 0;
        for area in self.map.range(..top).rev().map(|(_, area)| area) {
            let gap = gap_top.saturating_sub(area.end);
            if gap >= len {
                return Some((gap_top - len, skipped));
            }
            skipped = skipped.max(gap);
            gap_top = area.start_with_gap();
        }
        (gap_top.saturating_sub(USER_MIN) >= len).then(|| (gap_top - len, skipped))
    }

    /// Whether nothing, guard gaps included, lies in `range`, so that a program's wish for it can be granted.
    pub(crate) fn is_free_with_gaps(&self, range: Range<u64>) -> bool {
        let above = self.find_or_next(range.start);
        above.is_none_or(|area| range.end <= area.start_with_gap())
    }
}

#[cfg(test)]
mod tests {
    use super::{Area, Areas};
    use crate::space::area::{Backing, Flags, STACK_GUARD};
    use crate::testing::Rng;
    use kernel_hal::addr::{PAGE_SIZE, USER_END, USER_MIN};
    use kernel_hal::paging::Prot;

    const PAGE: u64 = PAGE_SIZE as u64;

    fn area(start: u64, end: u64, prot: Prot, grows_down: bool) -> Area {
        let flags = Flags { grows_down, ..Flags::default() };
        Area { start, end, prot, max: Prot::RWX, flags, backing: Backing::Anonymous, label: "" }
    }

    /// The highest room below `top`, found by looking at every area.
    fn naive(areas: &Areas, top: u64, len: u64) -> Option<u64> {
        let mut best = None;
        let mut bottom = USER_MIN;
        let all = areas.iter().map(|area| (area.start_with_gap(), area.end));
        for (start, end) in all.chain([(top, top)]) {
            let start = start.min(top);
            if start >= bottom && start - bottom >= len {
                best = Some(start - len);
            }
            bottom = bottom.max(end);
            if start == top {
                break;
            }
        }
        best
    }

    #[test]
    fn the_room_found_is_the_highest() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let base = USER_MIN + 600 * PAGE;
            let mut areas = Areas::new(base);
            for _ in 0..300 {
                let len = (1 + rng.below(12)) as u64 * PAGE;
                if rng.below(5) < 3 {
                    let found = areas.find_room(len);
                    let expected = naive(&areas, base, len).or_else(|| naive(&areas, USER_END, len));
                    assert_eq!(found.map(|(start, _)| start), expected, "seed {seed}, {len:#x} bytes");
                    if let Some((start, hint)) = found
                        && rng.below(5) != 0
                    {
                        let prot = if rng.below(2) == 0 { Prot::R } else { Prot::RW };
                        areas.insert(area(start, start + len, prot, false));
                        areas.commit(hint);
                    }
                } else {
                    let start = USER_MIN + rng.below(620) as u64 * PAGE;
                    areas.remove(start..start + len, drop);
                    if rng.below(8) == 0 {
                        areas.insert(area(start, start + len, Prot::RW, rng.below(2) == 0));
                    }
                }
                let bytes: u64 = areas.iter().map(Area::len).sum();
                let data: u64 = areas.iter().filter(|area| area.is_data()).map(Area::len).sum();
                assert_eq!((areas.bytes(), areas.data_bytes()), (bytes, data));
            }
        }
    }

    #[test]
    fn neighbours_that_are_alike_become_one() {
        let mut areas = Areas::new(USER_END);
        let at = |page: u64| USER_MIN + page * PAGE;
        areas.insert(area(at(0), at(2), Prot::RW, false));
        areas.insert(area(at(4), at(6), Prot::RW, false));
        areas.insert(area(at(2), at(4), Prot::RW, false));
        assert_eq!(areas.count(), 1);
        areas.update(at(1)..at(5), |area| area.prot = Prot::R);
        assert_eq!(areas.count(), 3);
        areas.update(at(0)..at(6), |area| area.prot = Prot::RW);
        assert_eq!(areas.count(), 1);
        assert_eq!(areas.cuts(at(1)..at(5)), 2);
        assert_eq!(areas.cuts(at(0)..at(5)), 1);
    }

    #[test]
    fn a_stack_claims_its_guard() {
        let mut areas = Areas::new(USER_END);
        let stack = USER_END - 10 * PAGE;
        areas.insert(area(stack, USER_END, Prot::RW, true));
        assert!(!areas.is_free_with_gaps(stack - PAGE..stack));
        assert!(areas.is_free_with_gaps(stack - STACK_GUARD - PAGE..stack - STACK_GUARD));
        assert_eq!(areas.find_room(PAGE).map(|(start, _)| start), Some(stack - STACK_GUARD - PAGE));
    }
}
