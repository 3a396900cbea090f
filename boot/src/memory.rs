//! What the firmware's memory map means once boot services are gone.

use aios_abi::boot::{MemoryRegion, memory_kind, sanitize};

/// Bytes in a UEFI page.
pub const PAGE: u64 = 4096;

/// A memory descriptor (UEFI 2.10 §7.2.3, `EFI_MEMORY_DESCRIPTOR`).
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// `EFI_MEMORY_TYPE`.
    pub kind: u32,
    /// Physical address.
    pub start: u64,
    pub pages: u64,
    /// `EFI_MEMORY_*` bits.
    pub attributes: u64,
}

const WRITE_BACK: u64 = 1 << 3;
const SPECIFIC_PURPOSE: u64 = 1 << 18;
const RUNTIME: u64 = 1 << 63;

impl Descriptor {
    /// The same in the kernel's terms. What belongs to the loader or to boot services is usable: that includes the stack and page tables in
    /// use at the jump, which the kernel replaces before it hands out memory.
    pub fn region(&self) -> MemoryRegion {
        let plain = self.attributes & (WRITE_BACK | SPECIFIC_PURPOSE | RUNTIME) == WRITE_BACK;
        let kind = match self.kind {
            // Loader code and data, boot services code and data, conventional memory.
            1..=4 | 7 if plain => memory_kind::USABLE,
            9 => memory_kind::ACPI_RECLAIMABLE,
            10 => memory_kind::ACPI_NVS,
            _ => memory_kind::RESERVED,
        };
        MemoryRegion::new(self.start, self.pages.saturating_mul(PAGE), kind)
    }
}

/// Converts the firmware's map and carves out `held`, what the loader placed for the kernel.
///
/// `work` takes the regions as found, `map` the clean map; returns how many of `map` are filled. Never fails, because it
/// runs when there is no one left to tell: a region that finds no room is left out, so its memory stays unused.
pub fn convert(
    firmware: impl Iterator<Item = Descriptor>,
    held: &[MemoryRegion],
    work: &mut [MemoryRegion],
    map: &mut [MemoryRegion],
) -> usize {
    let regions = held.iter().copied().chain(firmware.map(|descriptor| descriptor.region()));
    let found = work.iter_mut().zip(regions).map(|(place, region)| *place = region).count();
    let found = work.get(..found).unwrap_or(&[]);
    sanitize(found, map).unwrap_or(map.len())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn descriptor(kind: u32, start: u64, pages: u64) -> Descriptor {
        Descriptor { kind, start, pages, attributes: 0xf }
    }

    fn converted(firmware: &[Descriptor], held: &[MemoryRegion], room: usize) -> Vec<MemoryRegion> {
        let mut map = vec![MemoryRegion::default(); room];
        let mut work = vec![MemoryRegion::default(); firmware.len() + held.len()];
        let len = convert(firmware.iter().copied(), held, &mut work, &mut map);
        map.truncate(len);
        map
    }

    #[test]
    fn what_the_firmware_gives_up_is_joined_into_usable_memory() {
        let firmware = [
            descriptor(7, 0x10_0000, 0x700),
            descriptor(4, 0x80_0000, 0x10),
            descriptor(2, 0x81_0000, 0x7f0),
            descriptor(6, 0x100_0000, 0x10),
            descriptor(9, 0x101_0000, 0x10),
            descriptor(10, 0x102_0000, 0x10),
            descriptor(0, 0x103_0000, 0x10),
        ];
        let held = [MemoryRegion::new(0x80_0800, 0x100, memory_kind::KERNEL)];
        let kinds: Vec<_> = converted(&firmware, &held, 16).iter().map(|r| (r.start, r.kind)).collect();
        let want = [
            (0x10_0000, memory_kind::USABLE),
            (0x80_0000, memory_kind::KERNEL),
            (0x80_1000, memory_kind::USABLE),
            (0x100_0000, memory_kind::RESERVED),
            (0x101_0000, memory_kind::ACPI_RECLAIMABLE),
            (0x102_0000, memory_kind::ACPI_NVS),
            (0x103_0000, memory_kind::RESERVED),
        ];
        assert_eq!(kinds, want);
    }

    #[test]
    fn memory_with_a_purpose_is_not_usable() {
        for attributes in [0, WRITE_BACK | RUNTIME, WRITE_BACK | SPECIFIC_PURPOSE] {
            let region = Descriptor { kind: 7, start: 0, pages: 1, attributes }.region();
            assert_eq!(region.kind, memory_kind::RESERVED);
        }
    }

    proptest! {
        #[test]
        fn what_is_held_is_never_usable_however_little_room(
            firmware in proptest::collection::vec((0u32..20, 0u64..64, 0u64..16), 0..40),
            held in (0u64..64 * PAGE, 1u64..4 * PAGE),
            room in 0usize..40,
        ) {
            let firmware: Vec<_> = firmware.iter().map(|(kind, page, pages)| descriptor(*kind, page * PAGE, *pages)).collect();
            let held = MemoryRegion::new(held.0, held.1, memory_kind::KERNEL);
            let map = converted(&firmware, &[held], room);
            for region in map.iter().filter(|r| r.kind == memory_kind::USABLE) {
                prop_assert!(region.end() <= held.start || region.start >= held.end());
                let given = |page: &u64| firmware.iter().any(|d| {
                    matches!(d.kind, 1..=4 | 7) && (d.start..d.start + d.pages * PAGE).contains(page)
                });
                prop_assert!((region.start..region.end()).step_by(PAGE as usize).all(|page| given(&page)));
            }
        }
    }
}
