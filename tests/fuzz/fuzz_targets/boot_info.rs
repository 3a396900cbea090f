//! Boot information of every kind in a physical memory made of the input.
//!
//! Whatever is accepted must keep the promises the kernel builds on: a sorted map without overlaps in which nothing
//! that the loader placed is free.
#![no_main]

use aios_abi::boot::{
    BOOT_MAGIC, BOOT_VERSION, BootInfo, PhysRead, RawBoot, memory_kind, method, multiboot2, native, pvh,
};
use libfuzzer_sys::fuzz_target;

/// The input from physical address `BASE` on.
const BASE: u64 = 0x1000;
const IMAGE: core::ops::Range<u64> = 0x20_0000..0x40_0000;

struct Memory(Vec<u8>);

impl PhysRead for Memory {
    fn read(&self, addr: u64, out: &mut [u8]) -> bool {
        let start = addr.checked_sub(BASE).and_then(|at| usize::try_from(at).ok());
        let found = start.and_then(|at| self.0.get(at..)?.get(..out.len()));
        found.map(|bytes| out.copy_from_slice(bytes)).is_some()
    }
}

/// Writes what only luck would find, so that the fuzzer works on the rest.
fn repair(memory: &mut [u8], method: u32) {
    let len = memory.len() as u32;
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(place) = memory.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    };
    match method {
        method::UEFI => {
            put(0, &BOOT_MAGIC.to_le_bytes());
            put(8, &BOOT_VERSION.to_le_bytes());
            put(12, &BootInfo::SIZE_V1.to_le_bytes());
        }
        method::PVH => {
            put(0, &pvh::MAGIC.to_le_bytes());
            put(4, &1u32.to_le_bytes());
        }
        _ => {
            // The total size, then a memory map (tag 6, 40 bytes) with one usable entry of 24 bytes.
            put(0, &len.to_le_bytes());
            for (at, word) in [(8, 6u32), (12, 40), (16, 24), (40, 1)] {
                put(at, &word.to_le_bytes());
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, memory)) = input.split_first() else { return };
    let method = 1 + u32::from(choice & 3) % 3;
    let mut memory = memory.to_vec();
    if choice & 4 != 0 {
        repair(&mut memory, method);
    }
    let memory = Memory(memory);
    let mut raw = RawBoot::new();
    let result = match method {
        method::UEFI => native::parse(&memory, BASE, &mut raw),
        method::PVH => pvh::parse(&memory, BASE, IMAGE, &mut raw),
        _ => multiboot2::parse(&memory, BASE, IMAGE, &mut raw),
    };
    if result.is_err() {
        return;
    }

    let (info, regions) = (raw.info, raw.regions());
    info.check().unwrap();
    assert!(regions.windows(2).all(|pair| pair[0].end() <= pair[1].start));
    let held = [
        (BASE, 8),
        (info.kernel_start, info.kernel_len),
        (info.initramfs, info.initramfs_len),
        (info.cmdline, info.cmdline_len),
    ];
    for region in regions.iter().filter(|region| region.kind == memory_kind::USABLE) {
        for (start, len) in held {
            assert!(len == 0 || region.end() <= start || start + len <= region.start, "{start:#x} is free");
        }
    }
    let _ = info.read_cmdline(&memory, &mut [0; 256]);
});
