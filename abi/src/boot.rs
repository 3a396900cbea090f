//! What a loader hands to the kernel.
//!
//! One versioned structure, filled by the UEFI loader or, from PVH and Multiboot2 information, by the kernel's
//! own entry code. All addresses are physical. The kernel treats every field as foreign: a bad magic, version,
//! size or range stops the boot with a message.

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
#[derive(Clone, Copy, Debug)]
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
#[derive(Clone, Copy, Debug, Default)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRegion {
    pub start: u64,
    /// Bytes.
    pub len: u64,
    /// One of [`memory_kind`].
    pub kind: u32,
    pub reserved: u32,
}
