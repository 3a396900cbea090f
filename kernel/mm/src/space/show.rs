//! What `/proc` tells about a space.

use alloc::sync::Arc;
use core::any::Any;
use core::ops::Range;

use kernel_hal::addr::{PAGE_SHIFT, Virt};
use kernel_hal::paging::Prot;

use super::AddressSpace;
use super::area::{Area, Backing};

/// One line of `/proc/PID/maps`.
pub struct AreaInfo<'a> {
    pub range: Range<Virt>,
    pub prot: Prot,
    pub shared: bool,
    /// Bytes into the file.
    pub offset: u64,
    /// The file as it was given to `map`.
    pub file: Option<&'a Arc<dyn Any + Send + Sync>>,
    /// `[heap]`, `[stack]`, the label given to `map`, or nothing.
    pub label: &'static str,
    /// Pages mapped now.
    pub resident: usize,
    pub locked: bool,
    pub grows_down: bool,
}

impl AddressSpace {
    /// Calls `each` for every area in order of address, without their resident pages. It runs under the space's lock: it
    /// must neither use this space nor copy to user memory.
    pub fn for_each_area(&self, each: &mut dyn FnMut(AreaInfo<'_>)) {
        let inner = self.inner.lock();
        for area in inner.areas.iter() {
            each(describe(area, &inner.heap, 0));
        }
    }

    /// Like [`AddressSpace::for_each_area`], counting each area's resident pages, which walks its page tables.
    pub fn for_each_area_counted(&self, each: &mut dyn FnMut(AreaInfo<'_>)) {
        let inner = self.inner.lock();
        for area in inner.areas.iter() {
            let mut resident = 0;
            inner.table.for_each(area.range(), &mut |_, _| resident += 1);
            each(describe(area, &inner.heap, resident));
        }
    }

    /// Pages that are mapped now.
    pub fn resident(&self) -> usize {
        self.inner.lock().resident
    }

    /// The most pages that were mapped at once.
    pub fn peak_resident(&self) -> usize {
        self.inner.lock().peak_resident
    }

    /// Bytes of all areas.
    pub fn size(&self) -> u64 {
        self.inner.lock().areas.bytes()
    }

    /// Bytes of private writable areas that are no stack.
    pub fn data_size(&self) -> u64 {
        self.inner.lock().areas.data_bytes()
    }

    /// From the start of the heap to the program break.
    pub fn heap(&self) -> Range<Virt> {
        let heap = self.inner.lock().heap.clone();
        Virt(heap.start)..Virt(heap.end)
    }

    /// Frames that the page table itself takes.
    pub fn table_frames(&self) -> usize {
        self.inner.lock().table.table_frames()
    }
}

fn describe<'a>(area: &'a Area, heap: &Range<u64>, resident: usize) -> AreaInfo<'a> {
    let (offset, file) = match &area.backing {
        Backing::Anonymous => (0, None),
        Backing::Object(map) => (map.first << PAGE_SHIFT, map.file.as_ref()),
    };
    let is_heap = area.label.is_empty() && file.is_none() && area.start < heap.end && area.end > heap.start;
    AreaInfo {
        range: area.range(),
        prot: area.prot,
        shared: area.flags.shared,
        offset,
        file,
        label: if is_heap { "[heap]" } else { area.label },
        resident,
        locked: area.flags.locked,
        grows_down: area.flags.grows_down,
    }
}
