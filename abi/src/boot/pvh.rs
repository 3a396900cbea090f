//! Decodes PVH start information: how `qemu -kernel` and microVM monitors hand over.
//!
//! Layout: `struct hvm_start_info` of Xen's `public/arch-x86/hvm/start_info.h`. Version 0 has no memory map (Xen guests ask
//! the hypervisor), so such information is refused with [`BootError::NoMemory`].

use core::ops::Range;

use super::{BootError, MAX_CMDLINE, MemoryRegion, PhysRead, RawBoot, fetch, memory_kind, method, u32_at, u64_at};

/// `xEn3` with the top bit of the `E` set.
pub const MAGIC: u32 = 0x336e_c578;
/// Bytes of version 0 and version 1.
const SIZE_V0: usize = 40;
const SIZE_V1: usize = 56;
const MODULE: usize = 32;
const MAP_ENTRY: usize = 24;
/// More modules than anyone passes; a bound for reserving their list.
const MAX_MODULES: u32 = 16;

/// Reads the start information at `start_info` into `out`. `image` is where the kernel lies; the first module is
/// the initramfs.
pub fn parse(memory: &impl PhysRead, start_info: u64, image: Range<u64>, out: &mut RawBoot) -> Result<(), BootError> {
    out.start(method::PVH, image);
    let head = fetch::<SIZE_V0>(memory, start_info)?;
    let word = |at| u32_at(&head, at).unwrap_or(0);
    let long = |at| u64_at(&head, at).unwrap_or(0);
    if word(0) != MAGIC {
        return Err(BootError::BadMagic(word(0).into()));
    }
    if word(4) == 0 {
        return Err(BootError::NoMemory);
    }
    out.info.rsdp = long(32);
    cmdline(memory, long(24), out)?;
    modules(memory, long(16), word(12), out)?;

    let whole = fetch::<SIZE_V1>(memory, start_info)?;
    out.occupied(start_info, SIZE_V1 as u64, "start information")?;
    memory_map(memory, u64_at(&whole, 40).unwrap_or(0), u32_at(&whole, 48).unwrap_or(0), out)?;
    out.finish()
}

/// Measures the command line, which ends with a NUL byte.
fn cmdline(memory: &impl PhysRead, at: u64, out: &mut RawBoot) -> Result<(), BootError> {
    if at == 0 {
        return Ok(());
    }
    for len in 0..=MAX_CMDLINE {
        let addr = at.checked_add(len).ok_or(BootError::BadRange("command line"))?;
        if fetch::<1>(memory, addr)? == [0] {
            (out.info.cmdline, out.info.cmdline_len) = (at, len);
            return Ok(());
        }
    }
    Err(BootError::CmdlineTooLong)
}

fn modules(memory: &impl PhysRead, list: u64, count: u32, out: &mut RawBoot) -> Result<(), BootError> {
    if count > MAX_MODULES {
        return Err(BootError::BadSize(count.into()));
    }
    out.occupied(list, u64::from(count) * MODULE as u64, "module list")?;
    for index in 0..u64::from(count) {
        let entry = fetch::<MODULE>(memory, list + index * MODULE as u64)?;
        let (start, len) = (u64_at(&entry, 0).unwrap_or(0), u64_at(&entry, 8).unwrap_or(0));
        out.occupied(start, len, "boot module")?;
        if index == 0 {
            (out.info.initramfs, out.info.initramfs_len) = (start, len);
        }
    }
    Ok(())
}

fn memory_map(memory: &impl PhysRead, map: u64, count: u32, out: &mut RawBoot) -> Result<(), BootError> {
    if count as usize > super::MAX_REGIONS {
        return Err(BootError::TooManyRegions);
    }
    out.occupied(map, u64::from(count) * MAP_ENTRY as u64, "memory map")?;
    for index in 0..u64::from(count) {
        let entry = fetch::<MAP_ENTRY>(memory, map + index * MAP_ENTRY as u64)?;
        let (start, len) = (u64_at(&entry, 0).unwrap_or(0), u64_at(&entry, 8).unwrap_or(0));
        let kind = e820_kind(u32_at(&entry, 16).unwrap_or(0));
        out.found(MemoryRegion::new(start, len, kind))?;
    }
    Ok(())
}

/// E820 address range types (ACPI 6.5 §15, table 15.2), which Multiboot2 shares.
pub(super) fn e820_kind(kind: u32) -> u32 {
    match kind {
        1 => memory_kind::USABLE,
        3 => memory_kind::ACPI_RECLAIMABLE,
        4 => memory_kind::ACPI_NVS,
        _ => memory_kind::RESERVED,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::testing::{Memory, bytes};
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    const INFO: u64 = 0x1000;
    const LIST: u64 = 0x1100;
    const MAP: u64 = 0x1200;
    const CMDLINE: u64 = 0x2_0000;
    const INITRAMFS: u64 = 0x300_0000;
    const IMAGE: Range<u64> = 0x20_0000..0x48_0000;

    fn start_info() -> Vec<u8> {
        let modules = 1u32;
        bytes(&[&MAGIC.to_le_bytes(), &1u32.to_le_bytes(), &[0; 4], &modules.to_le_bytes()])
            .into_iter()
            .chain(bytes(&[&LIST.to_le_bytes(), &CMDLINE.to_le_bytes(), &0xf_52a0u64.to_le_bytes()]))
            .chain(bytes(&[&MAP.to_le_bytes(), &3u32.to_le_bytes(), &[0; 4]]))
            .collect()
    }

    fn machine() -> Memory {
        let entry = |start: u64, len: u64, kind: u32| {
            bytes(&[&start.to_le_bytes(), &len.to_le_bytes(), &kind.to_le_bytes(), &[0; 4]])
        };
        let mut memory = Memory::default();
        memory.put(INFO, &start_info());
        memory.put(LIST, &bytes(&[&INITRAMFS.to_le_bytes(), &0x1_2345u64.to_le_bytes(), &[0; 16]]));
        let map = [entry(0, 0x9_fc00, 1), entry(0x9_fc00, 0x400, 2), entry(0x10_0000, 0x7ee_0000, 1)];
        memory.put(MAP, &map.concat());
        memory.put(CMDLINE, b"aios.run quiet\0");
        memory
    }

    #[test]
    fn what_qemu_hands_over_is_understood() {
        let mut out = RawBoot::new();
        parse(&machine(), INFO, IMAGE, &mut out).unwrap();
        assert_eq!((out.info.method, out.info.rsdp), (method::PVH, 0xf_52a0));
        assert_eq!((out.info.initramfs, out.info.initramfs_len), (INITRAMFS, 0x1_2345));
        assert_eq!((out.info.kernel_start, out.info.kernel_len), (0x20_0000, 0x28_0000));
        assert_eq!(out.info.read_cmdline(&machine(), &mut [0; 64]), Ok("aios.run quiet"));
        let (u, k, r) = (memory_kind::USABLE, memory_kind::KERNEL, memory_kind::RESERVED);
        let want = [
            MemoryRegion::new(0, 0x1000, u),
            MemoryRegion::new(0x1000, 0x1000, k),
            MemoryRegion::new(0x2000, 0x1_e000, u),
            MemoryRegion::new(0x2_0000, 0x1000, k),
            MemoryRegion::new(0x2_1000, 0x7_e000, u),
            MemoryRegion::new(0x9_f000, 0x1000, r),
            MemoryRegion::new(0x10_0000, 0x10_0000, u),
            MemoryRegion::new(0x20_0000, 0x28_0000, k),
            MemoryRegion::new(0x48_0000, 0x2b8_0000, u),
            MemoryRegion::new(0x300_0000, 0x1_3000, k),
            MemoryRegion::new(0x301_3000, 0x4fc_d000, u),
        ];
        assert_eq!(out.regions(), want);
    }

    #[test]
    fn start_information_dumped_from_qemu_7_2_is_understood() {
        let memory = Memory::dumped(include_str!("fixtures/qemu-pvh.hex"));
        let mut out = RawBoot::new();
        parse(&memory, 0x21e0, IMAGE, &mut out).unwrap();
        assert_eq!(out.info.read_cmdline(&memory, &mut [0; 64]), Ok("aios.run quiet"));
        assert_eq!((out.info.initramfs, out.info.initramfs_len, out.info.rsdp), (0x7fb_f000, 100_000, 0xf_59e0));
        let usable: u64 = out.regions().iter().filter(|r| r.kind == memory_kind::USABLE).map(|r| r.len).sum();
        // 128 MiB without image, initramfs, ACPI tables, the hole below 1 MiB and three pages of boot information.
        assert_eq!(usable, (128 << 20) - 0x28_0000 - 0x1_9000 - 0x2_0000 - 0x6_1000 - 0x3000);
    }

    #[test]
    fn version_0_has_no_memory_map() {
        let mut memory = machine();
        memory.put(INFO + 4, &0u32.to_le_bytes());
        assert_eq!(parse(&memory, INFO, IMAGE, &mut RawBoot::new()), Err(BootError::NoMemory));
    }

    #[test]
    fn an_endless_command_line_is_refused() {
        let mut memory = machine();
        memory.put(CMDLINE, &[b'x'; MAX_CMDLINE as usize + 1]);
        assert_eq!(parse(&memory, INFO, IMAGE, &mut RawBoot::new()), Err(BootError::CmdlineTooLong));
    }

    proptest! {
        #[test]
        fn damage_never_panics(changes in proptest::collection::vec((0u64..0x260, any::<u8>()), 1..6)) {
            let mut memory = machine();
            for (at, value) in changes {
                memory.poke(INFO + at, value);
            }
            let mut out = RawBoot::new();
            if parse(&memory, INFO, IMAGE, &mut out).is_ok() {
                let usable = |r: &&MemoryRegion| r.kind == memory_kind::USABLE;
                prop_assert!(out.regions().iter().filter(usable).all(|r| r.end() <= IMAGE.start || r.start >= IMAGE.end));
                prop_assert_eq!(out.info.check().is_ok(), true);
            }
        }
    }
}
