//! Tables built in a sparse memory, whole and damaged.

use std::collections::BTreeMap;
use std::vec::Vec;

use aios_abi::boot::PhysRead;
use proptest::prelude::*;

use super::*;

#[derive(Default, Clone)]
struct Memory(BTreeMap<u64, Vec<u8>>);

impl PhysRead for Memory {
    fn read(&self, addr: u64, out: &mut [u8]) -> bool {
        let Some((start, bytes)) = self.0.range(..=addr).next_back() else { return false };
        let offset = (addr - start) as usize;
        match bytes.get(offset..).and_then(|rest| rest.get(..out.len())) {
            Some(found) => {
                out.copy_from_slice(found);
                true
            }
            None => false,
        }
    }
}

fn fix_sum(bytes: &mut [u8], at: usize) {
    bytes[at] = 0;
    bytes[at] = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_sub(*byte));
}

fn table(signature: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = signature.to_vec();
    bytes.extend((36 + body.len() as u32).to_le_bytes());
    bytes.extend([0; 28]);
    bytes.extend(body);
    fix_sum(&mut bytes, 9);
    bytes
}

fn rsdp(revision: u8, rsdt: u32, xsdt: u64) -> Vec<u8> {
    let mut bytes = b"RSD PTR \0OEMID_".to_vec();
    bytes.push(revision);
    bytes[15] = revision;
    bytes.extend(rsdt.to_le_bytes());
    fix_sum(&mut bytes, 8);
    bytes.extend(36u32.to_le_bytes());
    bytes.extend(xsdt.to_le_bytes());
    bytes.extend([0; 4]);
    fix_sum(&mut bytes, 32);
    bytes
}

fn madt_body() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(0xfee0_0000u32.to_le_bytes());
    body.extend(1u32.to_le_bytes());
    body.extend([0, 8, 0, 0, 1, 0, 0, 0]);
    body.extend([0, 8, 1, 1, 0, 0, 0, 0]);
    body.extend([0, 8, 2, 2, 2, 0, 0, 0]);
    body.extend([1, 12, 7, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]);
    body.extend([2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
    body.extend([2, 10, 0, 9, 9, 0, 0, 0, 0xf, 0]);
    body.extend([0x80, 4, 0, 0]);
    body.extend([9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    body
}

fn fadt_body() -> Vec<u8> {
    let mut table = std::vec![0u8; 244];
    table[40..44].copy_from_slice(&0x5000u32.to_le_bytes());
    table[48..52].copy_from_slice(&0xb2u32.to_le_bytes());
    table[52] = 2;
    table[64..68].copy_from_slice(&0x604u32.to_le_bytes());
    table[76..80].copy_from_slice(&0x608u32.to_le_bytes());
    table[112..116].copy_from_slice(&(1u32 << 10).to_le_bytes());
    table[116] = 1;
    table[120..128].copy_from_slice(&0xcf9u64.to_le_bytes());
    table[128] = 0xf;
    table.split_off(36)
}

fn mcfg_body() -> Vec<u8> {
    let mut body = std::vec![0u8; 8];
    body.extend(0xb000_0000u64.to_le_bytes());
    body.extend([0, 0, 0, 0xff, 0, 0, 0, 0]);
    body
}

fn hpet_body() -> Vec<u8> {
    let mut body = std::vec![1, 2, 3, 4, 0, 64, 0, 0];
    body.extend(0xfed0_0000u64.to_le_bytes());
    body.extend([0; 4]);
    body
}

/// A machine like QEMU's, listed in an RSDT and, with `xsdt`, in an XSDT.
fn machine(xsdt: bool) -> Memory {
    let mut memory = Memory::default();
    let places: [(u64, Vec<u8>); 5] = [
        (0x2000, table(b"APIC", &madt_body())),
        (0x3000, table(b"FACP", &fadt_body())),
        (0x4000, table(b"MCFG", &mcfg_body())),
        (0x4800, table(b"HPET", &hpet_body())),
        (0x5000, table(b"DSDT", b"\x10\x08_S5_\x12\x06\x04\x0a\x05\x0a\x05\x00\x00")),
    ];
    let list: Vec<u64> = places.iter().map(|place| place.0).take(4).collect();
    let narrow: Vec<u8> = list.iter().flat_map(|at| (*at as u32).to_le_bytes()).collect();
    let wide: Vec<u8> = list.iter().flat_map(|at| at.to_le_bytes()).collect();
    memory.0.extend(places);
    memory.0.insert(0x1000, table(b"RSDT", &narrow));
    memory.0.insert(0x1800, table(b"XSDT", &wide));
    memory.0.insert(0xf_0010, rsdp(if xsdt { 2 } else { 0 }, 0x1000, 0x1800));
    memory
}

fn check(acpi: &Acpi) {
    let madt = acpi.madt().expect("a MADT");
    assert_eq!(madt.local_apic_address, 0xfee0_0000);
    assert!(madt.has_legacy_pics);
    let cpus: Vec<_> = madt.local_apics.iter().map(|cpu| (cpu.apic_id, cpu.enabled)).collect();
    assert_eq!(cpus, [(0, true), (2, false), (0x100, true)]);
    assert_eq!(madt.io_apics, [IoApic { id: 7, address: 0xfec0_0000, gsi_base: 0 }]);
    let moved = [
        SourceOverride { isa_irq: 0, gsi: 2, active_low: false, level: false },
        SourceOverride { isa_irq: 9, gsi: 9, active_low: true, level: true },
    ];
    assert_eq!(madt.overrides, moved);
    assert_eq!(acpi.ecam(), [Ecam { base: 0xb000_0000, segment: 0, first_bus: 0, last_bus: 255 }]);
    assert_eq!(acpi.hpet(), Some(0xfed0_0000));
    let control = acpi.power_control();
    let sleep = SleepType { a: 5, b: 5 };
    let off = PowerOff::Fixed { pm1a: Register::Port(0x604), pm1b: None, sleep, enable: Some((0xb2, 2)) };
    assert_eq!(control, PowerControl { off: Some(off), reset: Some((Register::Port(0xcf9), 0xf)) });
    assert_eq!(acpi.fadt().and_then(|fadt| fadt.pm_timer), Some((Register::Port(0x608), false)));
}

#[test]
fn both_root_tables_lead_to_the_same_facts() {
    check(&Acpi::read(&machine(false), 0).expect("RSDT"));
    check(&Acpi::read(&machine(true), 0).expect("XSDT"));
    check(&Acpi::read(&machine(true), 0xf_0010).expect("hint"));
    check(&Acpi::read(&machine(true), 0x2000).expect("a wrong hint is searched past"));
}

#[test]
fn a_broken_xsdt_falls_back_to_the_rsdt() {
    let mut memory = machine(true);
    memory.0.get_mut(&0x1800).expect("XSDT")[20] ^= 1;
    check(&Acpi::read(&memory, 0).expect("RSDT"));
}

#[test]
fn a_table_with_a_wrong_sum_is_left_out_and_the_rest_stays() {
    let mut memory = machine(true);
    memory.0.get_mut(&0x4000).expect("MCFG")[40] ^= 0x10;
    let acpi = Acpi::read(&memory, 0).expect("tables");
    assert!(acpi.ecam().is_empty());
    assert!(acpi.madt().is_some());
}

#[test]
fn no_root_is_an_error() {
    assert_eq!(Acpi::read(&Memory::default(), 0).err(), Some(AcpiError::NoRoot));
    let mut memory = machine(false);
    memory.0.remove(&0x1000);
    assert_eq!(Acpi::read(&memory, 0).err(), Some(AcpiError::Unreadable(0x1000)));
}

proptest! {
    /// Damage that keeps the checksum right reaches the decoders: none of them may panic.
    #[test]
    fn damaged_tables_are_survived(
        which in 0usize..5, at in 0usize..300, value: u8, length in proptest::option::of(0u32..400), cut in 0usize..40,
    ) {
        let mut memory = machine(true);
        let place = [0x2000, 0x3000, 0x4000, 0x4800, 0x5000][which];
        let bytes = memory.0.get_mut(&place).expect("a table");
        bytes.truncate((bytes.len() - cut.min(bytes.len() - 36)).max(36));
        let at = at % bytes.len();
        bytes[at] = value;
        let length = length.unwrap_or(bytes.len() as u32);
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        let end = (length as usize).clamp(10, bytes.len());
        fix_sum(&mut bytes[..end], 9);
        if let Ok(acpi) = Acpi::read(&memory, 0) {
            let _ = (acpi.madt(), acpi.fadt(), acpi.ecam(), acpi.hpet(), acpi.power_control());
        }
    }
}
