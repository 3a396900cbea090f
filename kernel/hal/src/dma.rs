//! Memory that devices read and write: zeroed, physically contiguous, never given to a program.
//!
//! Every access is volatile and bounds-checked: an offset out of range is a mistake of the driver's own code and stops
//! the machine. A driver checks what a device wrote before it uses it as an offset.

use core::sync::atomic::{Ordering, fence};

use crate::addr::{PAGE_SIZE, Pfn, Phys};
use crate::frame::{self, AccountId, Kind, OutOfMemory};
use crate::machine;

/// A run of frames for one device. Freed when dropped: the driver stops the device first.
pub struct Buffer {
    first: Pfn,
    len: usize,
}

impl Buffer {
    /// At least `len` zeroed bytes, page aligned.
    pub fn new(len: usize) -> Result<Buffer, OutOfMemory> {
        let pages = len.div_ceil(PAGE_SIZE).max(1).next_power_of_two();
        let order = u8::try_from(pages.trailing_zeros()).map_err(|_| OutOfMemory)?;
        let first = frame::take(order, Kind::Dma, AccountId::KERNEL)?;
        for number in first.0..first.0 + pages {
            machine::zero_frame(Pfn(number));
        }
        Ok(Buffer { first, len })
    }

    /// Where a device finds it.
    pub fn phys(&self) -> Phys {
        self.first.phys()
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn check(&self, offset: usize, len: usize) {
        assert!(
            offset <= self.len && len <= self.len - offset,
            "{len} bytes at {offset} are not in a buffer of {}",
            self.len
        );
    }

    pub fn read(&self, offset: usize, into: &mut [u8]) {
        self.check(offset, into.len());
        machine::read_phys(self.first.phys().0 + offset as u64, into);
    }

    pub fn write(&self, offset: usize, from: &[u8]) {
        self.check(offset, from.len());
        machine::write_phys(self.first.phys().0 + offset as u64, from);
    }
}

macro_rules! word_access {
    ($($read:ident $write:ident $type:ty),*) => {
        impl Buffer {
            $(
                /// One access of that width; `offset` is a multiple of it.
                pub fn $read(&self, offset: usize) -> $type {
                    const SIZE: usize = size_of::<$type>();
                    self.check(offset, SIZE);
                    assert!(offset.is_multiple_of(SIZE), "misaligned access at {offset}");
                    machine::read_phys_word::<$type>(self.first.phys().0 + offset as u64)
                }

                /// One access of that width; `offset` is a multiple of it.
                pub fn $write(&self, offset: usize, value: $type) {
                    const SIZE: usize = size_of::<$type>();
                    self.check(offset, SIZE);
                    assert!(offset.is_multiple_of(SIZE), "misaligned access at {offset}");
                    machine::write_phys_word::<$type>(self.first.phys().0 + offset as u64, value);
                }
            )*
        }
    };
}

word_access!(read_u8 write_u8 u8, read_u16 write_u16 u16, read_u32 write_u32 u32, read_u64 write_u64 u64);

impl Drop for Buffer {
    fn drop(&mut self) {
        frame::release(self.first);
    }
}

/// Orders all earlier accesses before all later ones, as devices see them.
pub fn barrier() {
    fence(Ordering::SeqCst);
}
