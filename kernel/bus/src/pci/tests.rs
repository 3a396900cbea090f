//! A configuration space in memory that behaves as the specification says, and one that lies.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::vec::Vec;

use kernel_hal::addr::Phys;
use kernel_hal::{hosted, irq};

use super::*;

/// One function: its bytes, and which bits of each base address register can be written.
struct Model {
    space: Vec<u8>,
    bar_masks: [u32; 6],
}

#[derive(Default)]
struct Machine(Mutex<BTreeMap<Address, Model>>);

fn at(bus: u8, device: u8, function: u8) -> Address {
    Address { segment: 0, bus, device, function }
}

impl Machine {
    fn put(&self, address: Address, words: &[(usize, u32)], bar_masks: [u32; 6]) {
        let mut space = std::vec![0u8; 256];
        for (offset, word) in words {
            space[*offset..offset + 4].copy_from_slice(&word.to_le_bytes());
        }
        self.0.lock().expect("model").insert(address, Model { space, bar_masks });
    }

    fn write(&self, at: Address, offset: u16, bytes: &[u8]) {
        let mut machine = self.0.lock().expect("model");
        let Some(model) = machine.get_mut(&at) else { return };
        let offset = usize::from(offset);
        if let (0x10..0x28, Ok(word)) = (offset, bytes.try_into().map(u32::from_le_bytes)) {
            let mask = model.bar_masks[(offset - 0x10) / 4];
            let fixed = u32::from_le_bytes(model.space[offset..offset + 4].try_into().expect("a word")) & !mask;
            model.space[offset..offset + 4].copy_from_slice(&(word & mask | fixed).to_le_bytes());
        } else {
            model.space[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
    }
}

impl ConfigAccess for Machine {
    fn read32(&self, at: Address, offset: u16) -> u32 {
        let machine = self.0.lock().expect("model");
        let Some(model) = machine.get(&at) else { return u32::MAX };
        let offset = usize::from(offset);
        u32::from_le_bytes(model.space[offset..offset + 4].try_into().expect("a word"))
    }

    fn write32(&self, at: Address, offset: u16, value: u32) {
        self.write(at, offset, &value.to_le_bytes());
    }

    fn write16(&self, at: Address, offset: u16, value: u16) {
        self.write(at, offset, &value.to_le_bytes());
    }
}

fn functions(machine: Machine) -> Vec<Function> {
    let access: Arc<dyn ConfigAccess> = Arc::new(machine);
    scan::scan(&access, 0, 0)
}

const ENDPOINT: u32 = 0;
const BRIDGE: u32 = 1 << 16;
const SEVERAL: u32 = 0x80 << 16;

#[test]
fn the_scan_follows_bridges_and_functions_once() {
    let machine = Machine::default();
    machine.put(at(0, 0, 0), &[(0, 0x29c0_8086), (0xc, ENDPOINT)], [0; 6]);
    machine.put(at(0, 3, 0), &[(0, 0x1009_1af4), (8, 0x0002_0001), (0xc, SEVERAL), (0x2c, 0x0009_1af4)], [0; 6]);
    machine.put(at(0, 3, 5), &[(0, 0x1009_1af4)], [0; 6]);
    machine.put(at(0, 4, 1), &[(0, 0x1009_1af4)], [0; 6]);
    machine.put(at(0, 31, 0), &[(0, 0x0001_1b36), (0xc, BRIDGE), (0x18, 0x0002_0200)], [0; 6]);
    machine.put(at(2, 0, 0), &[(0, 0x0010_1b36), (0xc, BRIDGE), (0x18, 0x0002_0200)], [0; 6]);
    machine.put(at(2, 1, 0), &[(0, 0x1041_1af4)], [0; 6]);
    let found = functions(machine);
    let addresses: Vec<_> = found.iter().map(|function| function.address).collect();
    assert_eq!(addresses, [at(0, 0, 0), at(0, 3, 0), at(0, 3, 5), at(0, 31, 0), at(2, 0, 0), at(2, 1, 0)]);
    assert_eq!(found[1].identity.subsystem, (0x1af4, 9));
    assert_eq!(found[1].identity.class, 0x200);
    assert_eq!(found[3].header, Header::Bridge { secondary: 2 });
}

#[test]
fn registers_are_sized_and_kept() {
    let machine = Machine::default();
    let words =
        [(0, 0x1041_1af4), (4, 0x0010_0003), (0x10, 0xc001), (0x14, 0xfebd_1000), (0x20, 0x8000_000c), (0x24, 0x8)];
    machine.put(at(0, 1, 0), &words, [0xffe0, 0xffff_f000, 0, 0, 0xffff_c000, u32::MAX]);
    let found = functions(machine);
    let function = &found[0];
    assert_eq!(function.bar(0), Some(Bar::Ports { base: 0xc000, size: 32 }));
    assert_eq!(function.bar(1), Some(Bar::Memory { address: 0xfebd_1000, size: 4096, prefetchable: false }));
    assert_eq!(function.bar(2), None);
    assert_eq!(function.bar(4), Some(Bar::Memory { address: 0x8_8000_0000, size: 0x4000, prefetchable: true }));
    assert_eq!(function.bar(5), None, "the upper half of register 4");
    assert_eq!(function.bar(6), None);
    assert_eq!((function.read32(0x14), function.read16(4)), (0xfebd_1000, 3));
    assert!(function.map(1, 0x800, 0x801).is_none(), "longer than the register");
    assert!(function.map(1, u64::MAX, 2).is_none());
}

#[test]
fn a_circular_capability_list_ends() {
    let machine = Machine::default();
    machine.put(at(0, 1, 0), &[(0, 1), (4, 0x0010_0000), (0x34, 0x40), (0x40, 0x5009), (0x50, 0x4005)], [0; 6]);
    machine.put(at(0, 2, 0), &[(0, 1), (4, 0x0010_0000), (0x34, 0x3c), (0x3c, 0x4005)], [0; 6]);
    machine.put(at(0, 3, 0), &[(0, 1), (0x34, 0x40), (0x40, 0x5009)], [0; 6]);
    let found = functions(machine);
    assert_eq!(found[0].capabilities().count(), 48);
    assert_eq!((found[0].capability(5), found[0].capability(0x11)), (Some(0x50), None));
    assert_eq!(found[1].capabilities().count(), 0, "a pointer into the header");
    assert_eq!(found[2].capabilities().count(), 0, "no list");
}

/// A vector table that remembers what was written.
struct Registers(Mutex<Vec<u8>>);

impl hosted::Device for Registers {
    fn read(&self, offset: usize, width: usize) -> u64 {
        let bytes = self.0.lock().expect("registers");
        (0..width).rev().fold(0, |value, byte| value << 8 | u64::from(bytes[offset + byte]))
    }

    fn write(&self, offset: usize, width: usize, value: u64) {
        let mut bytes = self.0.lock().expect("registers");
        bytes[offset..offset + width].copy_from_slice(&value.to_le_bytes()[..width]);
    }
}

#[test]
fn msi_x_masks_everything_and_sets_one() {
    hosted::init(16 << 20);
    let registers = Arc::new(Registers(Mutex::new(std::vec![0; 4096])));
    hosted::add_device(Phys(0x7_0000_0000), 4096, registers.clone());
    let machine = Machine::default();
    let words = [(0, 1), (4, 0x0010_0000), (0x10, 4), (0x14, 7), (0x34, 0x40), (0x40, 0x0002_0011), (0x44, 0x800)];
    machine.put(at(0, 1, 0), &words, [0xffff_f000, u32::MAX, 0, 0, 0, 0]);
    let found = functions(machine);
    let msix = MsiX::enable(&found[0]).expect("MSI-X");
    assert_eq!((msix.len(), found[0].read16(0x42)), (3, 0x8002));
    let vector = irq::allocate_vector("test", std::boxed::Box::new(|| irq::Claim::Mine)).expect("a vector");
    assert!(msix.set(1, vector));
    assert!(!msix.set(3, vector));
    let word = |offset: usize| {
        let bytes = registers.0.lock().expect("registers");
        u32::from_le_bytes(bytes[0x800 + offset..0x804 + offset].try_into().expect("a word"))
    };
    assert_eq!([word(12), word(28), word(44)], [1, 0, 1], "all masked but the one");
    assert_eq!(irq::Message { address: u64::from(word(16)), data: word(24) }, vector.message());
    assert!(vector.set_cpu(3));
    assert_eq!(irq::Message { address: u64::from(word(16)), data: word(24) }, vector.message());
    assert_eq!([word(12), word(28), word(44), word(16)], [1, 0, 1, 0xfee0_3000]);
    vector.mask();
    assert_eq!(word(28), 1);
}

#[test]
fn msi_is_set_moved_and_masked() {
    let machine = Machine::default();
    for (device, control) in [(1, 0x00f6_0005u32), (2, 0x0007_0005)] {
        let words = [(0, 1), (4, 0x0010_0000), (0x34, 0x40), (0x40, control)];
        machine.put(at(0, device, 0), &words, [0; 6]);
    }
    let found = functions(machine);
    for (function, data) in found.iter().zip([0x4c, 0x48]) {
        let vector = irq::allocate_vector("test", std::boxed::Box::new(|| irq::Claim::Mine)).expect("a vector");
        assert!(enable_msi(function, vector));
        assert_eq!(u64::from(function.read32(0x44)), vector.message().address);
        assert_eq!(u32::from(function.read16(data)), vector.message().data);
        assert_eq!(function.read16(0x42) & 0x71, 1, "on, with one message");
        assert!(vector.set_cpu(2));
        assert_eq!(function.read32(0x44), 0xfee0_2000);
        vector.mask();
        assert_eq!(function.read16(0x42) & 1, 0);
        vector.unmask();
        assert_eq!(function.read16(0x42) & 1, 1);
    }
}

#[test]
fn a_table_outside_its_register_is_refused() {
    let machine = Machine::default();
    let words = [(0, 1), (4, 0x0010_0000), (0x10, 0xfebd_0000), (0x34, 0x40), (0x40, 0x07ff_0011), (0x44, 0)];
    machine.put(at(0, 1, 0), &words, [0xffff_f000, 0, 0, 0, 0, 0]);
    assert!(MsiX::enable(&functions(machine)[0]).is_none());
}

#[test]
fn a_claimed_function_is_gone() {
    let machine = Machine::default();
    machine.put(at(0, 1, 0), &[(0, 0x1049_1af4)], [0; 6]);
    machine.put(at(0, 2, 0), &[(0, 0x1009_1af4), (8, 0x0108_0200)], [0; 6]);
    let unclaimed = functions(machine);
    let found = unclaimed.iter().map(|function| (function.address, function.identity)).collect();
    let mut pci = Pci { unclaimed, found };
    let ninep = Match { vendor: Some(0x1af4), devices: &[0x1009, 0x1049], class: None };
    assert!(pci.claim(&Match { vendor: Some(0x8086), ..ninep }).is_none());
    let class = Match { vendor: None, devices: &[], class: Some((0x01_0802, 0xff_ff00)) };
    assert_eq!(pci.claim(&class).map(|function| function.address), Some(at(0, 2, 0)));
    assert_eq!(pci.claim(&ninep).map(|function| function.address), Some(at(0, 1, 0)));
    assert!(pci.claim(&ninep).is_none());
    assert_eq!(pci.found().len(), 2);
}
