//! Takes over a [`BootInfo`] that a loader of ours wrote (the UEFI loader, or a monitor that speaks the protocol).

use core::mem::size_of;

use super::{BootError, BootInfo, MemoryRegion, PhysRead, RawBoot, fetch, u32_at, u64_at};

const INFO: usize = BootInfo::SIZE_V1 as usize;
const REGION: usize = size_of::<MemoryRegion>();

/// Reads the structure at physical address `info` and its memory map into `out`.
pub fn parse(memory: &impl PhysRead, info: u64, out: &mut RawBoot) -> Result<(), BootError> {
    let given = BootInfo::from_bytes(&fetch::<INFO>(memory, info)?)?;
    given.check()?;
    out.start(given.method, 0..0);
    out.info = given;
    out.occupied(info, given.size.into(), "boot information")?;
    let entries = u64::from(given.memory_map_len);
    out.occupied(given.memory_map, entries * REGION as u64, "memory map")?;
    for index in 0..entries {
        let entry = fetch::<REGION>(memory, given.memory_map + index * REGION as u64)?;
        if let (Some(start), Some(len), Some(kind)) = (u64_at(&entry, 0), u64_at(&entry, 8), u32_at(&entry, 16)) {
            out.found(MemoryRegion::new(start, len, kind))?;
        }
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::testing::{Memory, encode_regions, sample_info};
    use super::super::{BOOT_MAGIC, memory_kind};
    use super::*;
    use proptest::prelude::*;

    const AT: u64 = 0x5000;

    fn machine(info: &BootInfo, regions: &[MemoryRegion]) -> Memory {
        let mut memory = Memory::default();
        memory.put(AT, &info.to_bytes());
        memory.put(info.memory_map, &encode_regions(regions));
        memory
    }

    #[test]
    fn what_the_loader_placed_is_not_usable() {
        let mut info = sample_info();
        info.memory_map_len = 1;
        let memory = machine(&info, &[MemoryRegion::new(0, 64 << 20, memory_kind::USABLE)]);
        let mut out = RawBoot::new();
        parse(&memory, AT, &mut out).unwrap();
        let kind_at = |addr| out.regions().iter().find(|r| r.start <= addr && addr < r.end()).map(|r| r.kind);
        for addr in [AT, info.memory_map, info.kernel_start, info.initramfs, info.cmdline] {
            assert_eq!(kind_at(addr), Some(memory_kind::KERNEL), "{addr:#x}");
        }
        assert_eq!(kind_at(63 << 20), Some(memory_kind::USABLE));
        assert_eq!(out.info.memory_map_len as usize, out.regions().len());
    }

    #[test]
    fn a_map_that_is_not_there_is_refused() {
        let mut info = sample_info();
        info.memory_map_len = 2;
        let memory = machine(&info, &[MemoryRegion::new(0, 64 << 20, memory_kind::USABLE)]);
        assert_eq!(parse(&memory, AT, &mut RawBoot::new()), Err(BootError::Unreadable(info.memory_map + 24)));
        assert_eq!(parse(&memory, 0x9_0000, &mut RawBoot::new()), Err(BootError::Unreadable(0x9_0000)));
        assert_eq!(parse(&memory, u64::MAX, &mut RawBoot::new()), Err(BootError::BadRange("boot information")));
    }

    proptest! {
        #[test]
        fn flipped_bytes_never_panic(at in 0usize..INFO, value in any::<u8>()) {
            let info = sample_info();
            let mut bytes = info.to_bytes();
            bytes[at] = value;
            let mut memory = machine(&info, &[MemoryRegion::new(0, 64 << 20, memory_kind::USABLE); 2]);
            memory.put(AT, &bytes);
            if parse(&memory, AT, &mut RawBoot::new()).is_ok() {
                prop_assert_eq!(&bytes[..8], BOOT_MAGIC.to_le_bytes());
            }
        }
    }
}
