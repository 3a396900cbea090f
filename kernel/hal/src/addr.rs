//! Addresses and page arithmetic as types: a physical address, a virtual address, a frame number.
//!
//! The layout of the upper half is fixed here because every part of the machine leans on it.

use core::fmt;
use core::ops::Range;

/// Bytes in a page and in a frame.
pub const PAGE_SIZE: usize = 4096;
pub const PAGE_SHIFT: u32 = 12;

/// First address above user space: user addresses are below it (47 bits, less one guard page as on Linux).
pub const USER_END: u64 = 0x0000_7fff_ffff_f000;
/// Lowest address a user program may map (Linux's `vm.mmap_min_addr`).
pub const USER_MIN: u64 = 0x1_0000;

/// A physical address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Phys(pub u64);

/// A virtual address, canonical or not: whoever uses it checks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Virt(pub u64);

/// The number of a frame: its physical address divided by [`PAGE_SIZE`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pfn(pub usize);

impl Phys {
    pub const fn pfn(self) -> Pfn {
        Pfn((self.0 >> PAGE_SHIFT) as usize)
    }
}

impl Pfn {
    pub const fn phys(self) -> Phys {
        Phys((self.0 as u64) << PAGE_SHIFT)
    }
}

impl Virt {
    /// The address `bytes` further on; `None` past the end of the address space.
    pub const fn checked_add(self, bytes: u64) -> Option<Virt> {
        match self.0.checked_add(bytes) {
            Some(sum) => Some(Virt(sum)),
            None => None,
        }
    }

    pub const fn page_down(self) -> Virt {
        Virt(self.0 & !(PAGE_SIZE as u64 - 1))
    }

    /// Rounded up to a page; `None` past the end of the address space.
    pub const fn page_up(self) -> Option<Virt> {
        match self.0.checked_add(PAGE_SIZE as u64 - 1) {
            Some(sum) => Some(Virt(sum & !(PAGE_SIZE as u64 - 1))),
            None => None,
        }
    }

    pub const fn page_offset(self) -> usize {
        (self.0 & (PAGE_SIZE as u64 - 1)) as usize
    }

    pub const fn is_page_aligned(self) -> bool {
        self.page_offset() == 0
    }

    /// True for an address a user program could own.
    pub const fn is_user(self) -> bool {
        self.0 < USER_END
    }
}

/// True when `len` bytes from `start` lie in user space. A length of 0 is in user space anywhere up to its end.
pub const fn is_user_range(start: Virt, len: usize) -> bool {
    match start.0.checked_add(len as u64) {
        Some(end) => end <= USER_END,
        None => false,
    }
}

/// The user range a page table may be asked about: page aligned, ordered and in user space.
pub fn checked_user_range(range: &Range<Virt>) -> bool {
    range.start.is_page_aligned() && range.end.is_page_aligned() && range.start <= range.end && range.end.0 <= USER_END
}

macro_rules! hex_format {
    ($type:ty, $prefix:literal) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:#x}"), self.0)
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
        impl fmt::LowerHex for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    };
}

hex_format!(Phys, "phys:");
hex_format!(Virt, "virt:");
hex_format!(Pfn, "pfn:");
