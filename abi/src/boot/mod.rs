//! What a loader hands to the kernel.
//!
//! One versioned structure, filled by the UEFI loader or, from PVH and Multiboot2 information, by the kernel's
//! own entry code. All addresses are physical. The kernel treats every field as foreign: a bad magic, version,
//! size or range stops the boot with a message.
//!
//! The three ways in ([`native`], [`pvh`], [`multiboot2`]) read their information through [`PhysRead`] and end in the
//! same [`RawBoot`]: one checked `BootInfo` and one memory map that is sorted, page aligned and free of overlaps.

pub mod map;
pub mod multiboot2;
pub mod native;
pub mod pvh;
mod raw;
#[cfg(test)]
mod testing;

use core::fmt;
use core::mem::size_of;

pub use map::sanitize;
pub use raw::{MAX_REGIONS, RawBoot};

/// `"AIOSBOOT"` read as a little-endian word.
pub const BOOT_MAGIC: u64 = u64::from_le_bytes(*b"AIOSBOOT");
/// Raised when a field changes meaning. Fields are only ever added at the end.
pub const BOOT_VERSION: u32 = 1;

/// Loader kinds for [`BootInfo::method`].
pub mod method {
    pub const UEFI: u32 = 1;
    pub const PVH: u32 = 2;
    pub const MULTIBOOT2: u32 = 3;
}

/// Kinds of [`MemoryRegion`]; an unknown kind is treated as reserved.
pub mod memory_kind {
    /// Free to use once the kernel runs.
    pub const USABLE: u32 = 1;
    /// Never touched by the kernel.
    pub const RESERVED: u32 = 2;
    /// ACPI tables; usable after they were read.
    pub const ACPI_RECLAIMABLE: u32 = 3;
    /// ACPI non-volatile storage.
    pub const ACPI_NVS: u32 = 4;
    /// Holds the kernel image, initramfs, command line or boot information.
    pub const KERNEL: u32 = 5;
}

/// Pixel layouts for [`Framebuffer::format`]: four bytes a pixel, lowest address first.
pub mod pixel_format {
    pub const RGBX: u32 = 1;
    pub const BGRX: u32 = 2;
}

/// The boot information itself.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootInfo {
    pub magic: u64,
    pub version: u32,
    /// `size_of::<BootInfo>()` as the loader knew it.
    pub size: u32,
    /// One of [`method`].
    pub method: u32,
    /// Entries in the array at `memory_map`.
    pub memory_map_len: u32,
    /// Physical address of an array of [`MemoryRegion`], sorted by start, not overlapping.
    pub memory_map: u64,
    /// Command line, UTF-8, not terminated.
    pub cmdline: u64,
    pub cmdline_len: u64,
    /// Initial RAM file system (cpio newc); length 0 when there is none.
    pub initramfs: u64,
    pub initramfs_len: u64,
    /// ACPI root pointer; 0 when the loader found none.
    pub rsdp: u64,
    /// Where the image was placed: lowest byte and length in memory.
    pub kernel_start: u64,
    pub kernel_len: u64,
    pub framebuffer: Framebuffer,
}

/// A linear framebuffer; `addr` is 0 when there is none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framebuffer {
    pub addr: u64,
    pub width: u32,
    pub height: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// One of [`pixel_format`].
    pub format: u32,
}

/// A range of physical memory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryRegion {
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// One of [`memory_kind`].
    pub kind: u32,
    pub reserved: u32,
}

impl MemoryRegion {
    /// A region of `len` bytes from `start`.
    pub const fn new(start: u64, len: u64, kind: u32) -> MemoryRegion {
        MemoryRegion { start, len, kind, reserved: 0 }
    }

    /// The in-memory form.
    pub fn to_bytes(&self) -> [u8; size_of::<MemoryRegion>()] {
        let mut bytes = [0; size_of::<MemoryRegion>()];
        let mut place = Place(&mut bytes);
        place.longs(&[self.start, self.len]).words(&[self.kind, self.reserved]);
        bytes
    }

    /// The first address behind the region; saturates at the top of the address space.
    pub const fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

/// One past the highest physical address x86-64 can express (52 bits, Intel SDM 3A 4.1.4).
pub const PHYS_LIMIT: u64 = 1 << 52;
/// The longest command line taken over, in bytes.
pub const MAX_CMDLINE: u64 = 4096;

/// Reads physical memory for the decoders; the kernel's entry code and the tests each have one.
pub trait PhysRead {
    /// Fills `out` from physical address `addr`; false when that memory cannot be read.
    fn read(&self, addr: u64, out: &mut [u8]) -> bool;
}

/// Why boot information was refused. Every variant stops the boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootError {
    /// Physical memory at this address could not be read.
    Unreadable(u64),
    BadMagic(u64),
    BadVersion(u32),
    /// The structure claims this many bytes, too few or too many for its version.
    BadSize(u64),
    BadMethod(u32),
    /// No memory map, or one without usable memory.
    NoMemory,
    /// More regions than this kernel can hold.
    TooManyRegions,
    CmdlineTooLong,
    /// A range wraps, exceeds the physical address space or is empty; names what it should have held.
    BadRange(&'static str),
    BadFramebuffer,
    /// A Multiboot2 tag at this offset has an impossible size.
    BadTag(u64),
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            BootError::Unreadable(addr) => write!(f, "boot information points at unreadable memory at {addr:#x}"),
            BootError::BadMagic(magic) => write!(f, "boot information has the wrong magic number {magic:#x}"),
            BootError::BadVersion(version) => {
                write!(
                    f,
                    "boot information has version {version}, this kernel cannot read it: update loader and kernel together"
                )
            }
            BootError::BadSize(size) => write!(f, "boot information claims an impossible size of {size} bytes"),
            BootError::BadMethod(method) => write!(f, "boot information names the unknown boot method {method}"),
            BootError::NoMemory => f.write_str("the loader described no usable memory"),
            BootError::TooManyRegions => write!(f, "the memory map has more than {MAX_REGIONS} regions"),
            BootError::CmdlineTooLong => write!(f, "the command line is longer than {MAX_CMDLINE} bytes"),
            BootError::BadRange(what) => write!(f, "the loader gave an impossible address range for the {what}"),
            BootError::BadFramebuffer => f.write_str("the loader described an impossible framebuffer"),
            BootError::BadTag(offset) => write!(f, "Multiboot2 information is damaged at offset {offset:#x}"),
        }
    }
}

impl core::error::Error for BootError {}

impl BootInfo {
    /// Bytes of version 1, the least a loader may give.
    pub const SIZE_V1: u32 = 112;

    /// Decodes the in-memory form. Fields that `bytes` or the loader's `size` do not reach are zero.
    /// Nothing but the length is judged; call [`BootInfo::check`] before using any field.
    pub fn from_bytes(bytes: &[u8]) -> Result<BootInfo, BootError> {
        let claimed = u32_at(bytes, 12).ok_or(BootError::BadSize(bytes.len() as u64))?;
        let known = bytes.len().min(claimed as usize);
        let bytes = bytes.get(..known).unwrap_or(bytes);
        let word = |at| u32_at(bytes, at).unwrap_or(0);
        let long = |at| u64_at(bytes, at).unwrap_or(0);
        Ok(BootInfo {
            magic: long(0),
            version: word(8),
            size: claimed,
            method: word(16),
            memory_map_len: word(20),
            memory_map: long(24),
            cmdline: long(32),
            cmdline_len: long(40),
            initramfs: long(48),
            initramfs_len: long(56),
            rsdp: long(64),
            kernel_start: long(72),
            kernel_len: long(80),
            framebuffer: Framebuffer {
                addr: long(88),
                width: word(96),
                height: word(100),
                stride: word(104),
                format: word(108),
            },
        })
    }

    /// The in-memory form, which [`BootInfo::from_bytes`] reads.
    pub fn to_bytes(&self) -> [u8; BootInfo::SIZE_V1 as usize] {
        let mut bytes = [0; BootInfo::SIZE_V1 as usize];
        let screen = &self.framebuffer;
        Place(&mut bytes)
            .longs(&[self.magic])
            .words(&[self.version, self.size, self.method, self.memory_map_len])
            .longs(&[self.memory_map, self.cmdline, self.cmdline_len, self.initramfs, self.initramfs_len])
            .longs(&[self.rsdp, self.kernel_start, self.kernel_len, screen.addr])
            .words(&[screen.width, screen.height, screen.stride, screen.format]);
        bytes
    }

    /// Checks everything that can be checked without reading what the fields point at.
    pub fn check(&self) -> Result<(), BootError> {
        if self.magic != BOOT_MAGIC {
            return Err(BootError::BadMagic(self.magic));
        }
        if self.version != BOOT_VERSION {
            return Err(BootError::BadVersion(self.version));
        }
        if self.size < BootInfo::SIZE_V1 || self.size > 4096 {
            return Err(BootError::BadSize(self.size.into()));
        }
        if !matches!(self.method, method::UEFI | method::PVH | method::MULTIBOOT2) {
            return Err(BootError::BadMethod(self.method));
        }
        if self.memory_map_len == 0 {
            return Err(BootError::NoMemory);
        }
        if self.memory_map_len as usize > MAX_REGIONS {
            return Err(BootError::TooManyRegions);
        }
        if self.cmdline_len > MAX_CMDLINE {
            return Err(BootError::CmdlineTooLong);
        }
        check_range(self.cmdline, self.cmdline_len, "command line")?;
        check_range(self.initramfs, self.initramfs_len, "initramfs")?;
        check_range(self.kernel_start, self.kernel_len, "kernel image")?;
        check_range(self.rsdp, 0, "ACPI root pointer")?;
        let map_bytes = u64::from(self.memory_map_len) * size_of::<MemoryRegion>() as u64;
        check_range(self.memory_map, map_bytes, "memory map")?;
        if self.kernel_len == 0 || self.kernel_start + self.kernel_len > 1 << 32 {
            return Err(BootError::BadRange("kernel image"));
        }
        self.framebuffer.check()
    }

    /// Copies the command line into `buffer` and returns it up to the first byte that is not UTF-8 or does not fit.
    pub fn read_cmdline<'b>(&self, memory: &impl PhysRead, buffer: &'b mut [u8]) -> Result<&'b str, BootError> {
        let len = usize::try_from(self.cmdline_len).unwrap_or(usize::MAX).min(buffer.len());
        let Some(text) = buffer.get_mut(..len) else { return Ok("") };
        if !text.is_empty() && !memory.read(self.cmdline, text) {
            return Err(BootError::Unreadable(self.cmdline));
        }
        let text: &[u8] = text;
        let valid = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        Ok(valid.trim_matches(|c: char| c == '\0' || c.is_ascii_whitespace()))
    }
}

impl Framebuffer {
    /// Accepts "none" and any framebuffer whose rows and pixels fit together.
    pub fn check(&self) -> Result<(), BootError> {
        if self.addr == 0 {
            return Ok(());
        }
        let row = u64::from(self.width) * 4;
        let plausible = (1..=1 << 16).contains(&self.width)
            && (1..=1 << 16).contains(&self.height)
            && u64::from(self.stride) >= row
            && matches!(self.format, pixel_format::RGBX | pixel_format::BGRX)
            && check_range(self.addr, u64::from(self.stride) * u64::from(self.height), "framebuffer").is_ok();
        if plausible { Ok(()) } else { Err(BootError::BadFramebuffer) }
    }
}

/// Fails when the range leaves the physical address space.
fn check_range(start: u64, len: u64, what: &'static str) -> Result<(), BootError> {
    match start.checked_add(len) {
        Some(end) if end <= PHYS_LIMIT => Ok(()),
        _ => Err(BootError::BadRange(what)),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let field = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(field.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(field.try_into().ok()?))
}

/// Writes fields one behind the other.
struct Place<'b>(&'b mut [u8]);

impl Place<'_> {
    fn longs(&mut self, values: &[u64]) -> &mut Self {
        values.iter().for_each(|value| self.put(value.to_le_bytes()));
        self
    }

    fn words(&mut self, values: &[u32]) -> &mut Self {
        values.iter().for_each(|value| self.put(value.to_le_bytes()));
        self
    }

    fn put<const N: usize>(&mut self, field: [u8; N]) {
        if let Some((head, rest)) = core::mem::take(&mut self.0).split_first_chunk_mut::<N>() {
            *head = field;
            self.0 = rest;
        }
    }
}

/// Reads `N` bytes at `addr`, which must not wrap.
fn fetch<const N: usize>(memory: &impl PhysRead, addr: u64) -> Result<[u8; N], BootError> {
    let mut bytes = [0; N];
    check_range(addr, N as u64, "boot information")?;
    if memory.read(addr, &mut bytes) { Ok(bytes) } else { Err(BootError::Unreadable(addr)) }
}

const _: () = assert!(size_of::<BootInfo>() == BootInfo::SIZE_V1 as usize);
const _: () = assert!(size_of::<MemoryRegion>() == 24);

#[cfg(test)]
mod tests {
    extern crate std;
    use super::testing::{Memory, sample_info};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_structure_survives_encoding() {
        let info = sample_info();
        assert_eq!(BootInfo::from_bytes(&info.to_bytes()), Ok(info));
        assert_eq!(info.check(), Ok(()));
    }

    #[test]
    fn each_wrong_field_is_named() {
        let refuse = |change: fn(&mut BootInfo)| {
            let mut info = sample_info();
            change(&mut info);
            info.check().unwrap_err()
        };
        assert_eq!(refuse(|i| i.magic ^= 1), BootError::BadMagic(BOOT_MAGIC ^ 1));
        assert_eq!(refuse(|i| i.version = 2), BootError::BadVersion(2));
        assert_eq!(refuse(|i| i.size = 111), BootError::BadSize(111));
        assert_eq!(refuse(|i| i.method = 9), BootError::BadMethod(9));
        assert_eq!(refuse(|i| i.memory_map_len = 0), BootError::NoMemory);
        assert_eq!(refuse(|i| i.memory_map_len = u32::MAX), BootError::TooManyRegions);
        assert_eq!(refuse(|i| i.cmdline_len = u64::MAX), BootError::CmdlineTooLong);
        assert_eq!(refuse(|i| i.initramfs_len = u64::MAX), BootError::BadRange("initramfs"));
        assert_eq!(refuse(|i| i.kernel_len = 0), BootError::BadRange("kernel image"));
        assert_eq!(refuse(|i| i.kernel_start = 1 << 33), BootError::BadRange("kernel image"));
        assert_eq!(refuse(|i| i.memory_map = u64::MAX - 8), BootError::BadRange("memory map"));
        assert_eq!(refuse(|i| i.framebuffer.stride = 4), BootError::BadFramebuffer);
    }

    #[test]
    fn fields_beyond_an_older_loaders_size_read_as_zero() {
        let mut bytes = sample_info().to_bytes();
        bytes[12..16].copy_from_slice(&88u32.to_le_bytes());
        let info = BootInfo::from_bytes(&bytes).unwrap();
        assert_eq!(info.framebuffer, Framebuffer::default());
        assert_eq!(info.check(), Err(BootError::BadSize(88)));
        assert_eq!(BootInfo::from_bytes(&bytes[..15]), Err(BootError::BadSize(15)));
    }

    #[test]
    fn the_command_line_ends_where_utf8_does() {
        let mut memory = Memory::default();
        memory.put(0x1000, b" quiet aios.run\0\xffrest");
        let mut info = sample_info();
        (info.cmdline, info.cmdline_len) = (0x1000, 21);
        let mut buffer = [0; 64];
        assert_eq!(info.read_cmdline(&memory, &mut buffer), Ok("quiet aios.run"));
        assert_eq!(info.read_cmdline(&memory, &mut buffer[..6]), Ok("quiet"));
        info.cmdline = 0x9_0000;
        assert_eq!(info.read_cmdline(&memory, &mut buffer), Err(BootError::Unreadable(0x9_0000)));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(info) = BootInfo::from_bytes(&bytes) {
                let _ = info.check();
            }
        }

        #[test]
        fn what_passes_the_check_has_ranges_that_can_be_added(
            fields in any::<[u64; 9]>(), small in any::<[u32; 4]>(),
        ) {
            let mut info = sample_info();
            [info.memory_map, info.cmdline, info.cmdline_len, info.initramfs, info.initramfs_len, info.rsdp,
                info.kernel_start, info.kernel_len, info.framebuffer.addr] = fields.map(|f| f >> (f % 64));
            [info.framebuffer.width, info.framebuffer.height, info.framebuffer.stride, info.memory_map_len] = small.map(|f| f >> (f % 32));
            if info.check().is_ok() {
                prop_assert!(info.initramfs + info.initramfs_len <= PHYS_LIMIT);
                prop_assert!(info.kernel_start + info.kernel_len <= 1 << 32);
                prop_assert!(info.cmdline + info.cmdline_len <= PHYS_LIMIT);
            }
        }
    }
}
