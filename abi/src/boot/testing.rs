//! A sparse physical memory and encoders for the boot tests.

extern crate std;
use std::collections::BTreeMap;
use std::vec::Vec;

use super::{BOOT_MAGIC, BOOT_VERSION, BootInfo, Framebuffer, MemoryRegion, PhysRead, method, pixel_format};

/// Bytes that were put can be read, all others cannot.
#[derive(Default)]
pub(super) struct Memory(BTreeMap<u64, u8>);

impl Memory {
    pub(super) fn put(&mut self, at: u64, bytes: &[u8]) {
        self.0.extend((at..).zip(bytes.iter().copied()));
    }

    /// Memory as it was dumped from a machine: lines of an address and bytes, in hexadecimal.
    pub(super) fn dumped(text: &str) -> Memory {
        let mut memory = Memory::default();
        for line in text.lines() {
            let (at, hex) = line.split_once(' ').unwrap();
            let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            let bytes: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
            memory.put(u64::from_str_radix(at, 16).unwrap(), &bytes);
        }
        memory
    }

    /// Changes one byte if it exists.
    pub(super) fn poke(&mut self, at: u64, value: u8) {
        if let Some(byte) = self.0.get_mut(&at) {
            *byte = value;
        }
    }
}

impl PhysRead for Memory {
    fn read(&self, addr: u64, out: &mut [u8]) -> bool {
        (addr..).zip(out).all(|(at, byte)| self.0.get(&at).map(|value| *byte = *value).is_some())
    }
}

pub(super) fn bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Boot information that passes its check.
pub(super) fn sample_info() -> BootInfo {
    BootInfo {
        magic: BOOT_MAGIC,
        version: BOOT_VERSION,
        size: BootInfo::SIZE_V1,
        method: method::UEFI,
        memory_map_len: 2,
        memory_map: 0x8000,
        cmdline: 0xa000,
        cmdline_len: 20,
        initramfs: 0x200_0000,
        initramfs_len: 0x1_2345,
        rsdp: 0x7fe_0014,
        kernel_start: 0x40_0000,
        kernel_len: 0x20_0000,
        framebuffer: Framebuffer {
            addr: 0x8000_0000,
            width: 1280,
            height: 800,
            stride: 5120,
            format: pixel_format::BGRX,
        },
    }
}

pub(super) fn encode_regions(regions: &[MemoryRegion]) -> Vec<u8> {
    regions.iter().flat_map(MemoryRegion::to_bytes).collect()
}
