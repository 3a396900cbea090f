//! Device registers in memory.

use crate::addr::Phys;
use crate::machine;

/// A range of device memory, mapped uncached and never executable. Accesses out of range stop the machine: the
/// driver checks what a device says about its layout first.
pub struct Region {
    base: usize,
    len: usize,
}

impl Region {
    /// Maps `len` bytes at `start`. `None` when any of it is RAM the kernel manages, when it wraps, or when no room is left.
    pub fn map(start: Phys, len: usize) -> Option<Region> {
        let end = start.0.checked_add(len as u64)?;
        if len == 0 || machine::overlaps_ram(start.0, end) {
            return None;
        }
        machine::map_device(start.0, len).map(|base| Region { base, len })
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

macro_rules! register_access {
    ($($read:ident $write:ident $type:ty),*) => {
        impl Region {
            $(
                /// One volatile access; `offset` is a multiple of the width.
                #[inline]
                pub fn $read(&self, offset: usize) -> $type {
                    const SIZE: usize = size_of::<$type>();
                    assert!(offset.is_multiple_of(SIZE) && offset <= self.len && SIZE <= self.len - offset, "no register at {offset:#x}");
                    machine::read_device::<$type>(self.base + offset)
                }

                /// One volatile access; `offset` is a multiple of the width.
                #[inline]
                pub fn $write(&self, offset: usize, value: $type) {
                    const SIZE: usize = size_of::<$type>();
                    assert!(offset.is_multiple_of(SIZE) && offset <= self.len && SIZE <= self.len - offset, "no register at {offset:#x}");
                    machine::write_device::<$type>(self.base + offset, value);
                }
            )*
        }
    };
}

register_access!(read8 write8 u8, read16 write16 u16, read32 write32 u32, read64 write64 u64);
