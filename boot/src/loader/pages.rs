//! Pages taken from the firmware, which keep their address until the kernel has them.

use core::ptr::NonNull;
use core::slice;

use aios_boot::memory::PAGE;
use uefi::Status;
use uefi::boot::{self, AllocateType, MemoryType};

use super::IMAGE_ALIGN;
use super::failure::Failure;

/// Everything the kernel is handed lies below this.
const FOUR_GIB: u64 = 1 << 32;

/// What the pages are for.
#[derive(Clone, Copy)]
pub enum Placement {
    /// Files and boot information.
    Data,
    /// The kernel image: executable, at an address that equals `congruent` modulo 2 MiB.
    Image { congruent: u64 },
}

/// Zeroed memory below 4 GiB that starts at a page boundary. Stays allocated unless [`Pages::free`] is called.
pub struct Pages {
    /// The firmware's allocation.
    base: NonNull<u8>,
    count: usize,
    /// The part in use.
    skip: usize,
    len: usize,
}

impl Pages {
    /// Takes `len` bytes.
    pub fn allocate(len: u64, placement: Placement) -> Result<Pages, Failure> {
        let out_of_memory =
            || Failure::about(Status::OUT_OF_RESOURCES, len, "bytes of memory are not available below 4 GiB");
        let (kind, slack) = match placement {
            Placement::Data => (MemoryType::LOADER_DATA, 0),
            Placement::Image { .. } => (MemoryType::LOADER_CODE, IMAGE_ALIGN),
        };
        let bytes = len.max(1).checked_add(slack).filter(|bytes| *bytes < FOUR_GIB).ok_or_else(out_of_memory)?;
        let count = bytes.div_ceil(PAGE) as usize;
        let limit = AllocateType::MaxAddress(FOUR_GIB - 1);
        let base = boot::allocate_pages(limit, kind, count).map_err(|_| out_of_memory())?;
        let skip = match placement {
            Placement::Data => 0,
            Placement::Image { congruent } => congruent.wrapping_sub(base.as_ptr() as u64) % IMAGE_ALIGN,
        };
        let mut pages = Pages { base, count, skip: skip as usize, len: len as usize };
        pages.bytes().fill(0);
        Ok(pages)
    }

    /// Physical address of the first byte, which is its address here (identity mapping).
    pub fn start(&self) -> u64 {
        self.base.as_ptr() as u64 + self.skip as u64
    }

    pub fn len(&self) -> u64 {
        self.len as u64
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: 1. Valid: `skip + len` bytes lie in the `count` pages, because `skip` is less than the slack that was added for an
        // image and 0 for data. 2. Initialised: the firmware's pages are plain memory, and any byte is a `u8`.
        // 3. Unaliased: the pages belong to this value alone, which is borrowed.
        unsafe { slice::from_raw_parts_mut(self.base.as_ptr().add(self.skip), self.len) }
    }

    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: as for `bytes`, with a shared borrow.
        unsafe { slice::from_raw_parts(self.base.as_ptr().add(self.skip), self.len) }
    }

    /// Gives the pages back to the firmware.
    pub fn free(self) {
        // SAFETY: base and count are those of the allocation, and `self` was the only way to reach it.
        let freed = unsafe { boot::free_pages(self.base, self.count) };
        // Memory that the firmware does not take back is only lost until boot services end.
        let _ = freed;
    }
}
