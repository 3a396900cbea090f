//! Where the decoders collect what they find: fixed size, so that it can be a static before there is a heap.

use core::ops::Range;

use super::{BOOT_MAGIC, BOOT_VERSION, BootError, BootInfo, MemoryRegion, check_range, map, memory_kind};

/// The most regions a memory map may have, before and after cleaning.
pub const MAX_REGIONS: usize = 256;

/// Checked boot information with its memory map.
///
/// `info.memory_map` is 0: the map is in [`RawBoot::regions`], and only the kernel knows where it keeps this structure.
pub struct RawBoot {
    pub info: BootInfo,
    found: [MemoryRegion; MAX_REGIONS],
    found_len: usize,
    regions: [MemoryRegion; MAX_REGIONS],
    regions_len: usize,
}

impl RawBoot {
    /// An empty one, about 12 KiB.
    pub const fn new() -> RawBoot {
        const NONE: MemoryRegion = MemoryRegion::new(0, 0, memory_kind::RESERVED);
        RawBoot {
            info: BootInfo {
                magic: 0,
                version: 0,
                size: 0,
                method: 0,
                memory_map_len: 0,
                memory_map: 0,
                cmdline: 0,
                cmdline_len: 0,
                initramfs: 0,
                initramfs_len: 0,
                rsdp: 0,
                kernel_start: 0,
                kernel_len: 0,
                framebuffer: super::Framebuffer { addr: 0, width: 0, height: 0, stride: 0, format: 0 },
            },
            found: [NONE; MAX_REGIONS],
            found_len: 0,
            regions: [NONE; MAX_REGIONS],
            regions_len: 0,
        }
    }

    /// The cleaned memory map, as [`map::sanitize`] promises it.
    pub fn regions(&self) -> &[MemoryRegion] {
        self.regions.get(..self.regions_len).unwrap_or(&[])
    }

    /// Empties it and records how and where the kernel was loaded.
    pub(super) fn start(&mut self, method: u32, image: Range<u64>) {
        self.found_len = 0;
        self.regions_len = 0;
        self.info = BootInfo {
            magic: BOOT_MAGIC,
            version: BOOT_VERSION,
            size: BootInfo::SIZE_V1,
            method,
            kernel_start: image.start,
            kernel_len: image.end.saturating_sub(image.start),
            ..BootInfo::default()
        };
    }

    /// Notes a region of the loader's map.
    pub(super) fn found(&mut self, region: MemoryRegion) -> Result<(), BootError> {
        if region.len == 0 {
            return Ok(());
        }
        *self.found.get_mut(self.found_len).ok_or(BootError::TooManyRegions)? = region;
        self.found_len += 1;
        Ok(())
    }

    /// Notes memory that holds something the kernel needs; it is carved out of usable memory.
    pub(super) fn occupied(&mut self, start: u64, len: u64, what: &'static str) -> Result<(), BootError> {
        check_range(start, len, what)?;
        self.found(MemoryRegion::new(start, len, memory_kind::KERNEL))
    }

    /// Carves out what `info` names, cleans the map and checks the whole.
    pub(super) fn finish(&mut self) -> Result<(), BootError> {
        let info = self.info;
        self.occupied(info.kernel_start, info.kernel_len, "kernel image")?;
        self.occupied(info.initramfs, info.initramfs_len, "initramfs")?;
        self.occupied(info.cmdline, info.cmdline_len, "command line")?;
        let found = self.found.get(..self.found_len).unwrap_or(&[]);
        self.regions_len = map::sanitize(found, &mut self.regions)?;
        if !self.regions().iter().any(|region| region.kind == memory_kind::USABLE) {
            return Err(BootError::NoMemory);
        }
        self.info.memory_map = 0;
        self.info.memory_map_len = self.regions_len as u32;
        self.info.check()
    }
}

impl Default for RawBoot {
    fn default() -> RawBoot {
        RawBoot::new()
    }
}
