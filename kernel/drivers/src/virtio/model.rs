//! A 9P device as the specification describes it, in a thread of the test, and its misbehaving relatives.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::vec::Vec;

use kernel_bus::pci::{Address, ConfigAccess, Function};
use kernel_hal::addr::Phys;
use kernel_hal::hosted;

use super::spec::{common, feature, status};

/// What the device does with a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Answers with the request's bytes, each inverted.
    Proper,
    /// As proper, but the answers of one notification come last first.
    Reversed,
    /// Overwrites the descriptors of a chain before it returns it.
    Scribbler,
    /// Returns three bytes.
    Short,
    /// Returns a chain that does not exist.
    UnknownId,
    /// Returns every chain twice.
    Twice,
    /// Claims to have written more than there was room for.
    TooLong,
    /// Claims to have returned a thousand chains.
    IndexJump,
    /// Gives up and says so.
    NeedsReset,
    /// Never answers.
    Silent,
}

/// How the device describes itself; the default is usable.
#[derive(Clone)]
pub struct Shape {
    pub features: u64,
    pub queue_size: u16,
    pub notify_offset: u16,
    pub tag: Vec<u8>,
    pub tag_len: u16,
    /// Register that the common structure is said to be in.
    pub common_bar: u8,
    pub msix: bool,
    pub accepts_features: bool,
}

impl Default for Shape {
    fn default() -> Shape {
        let tag = b"image".to_vec();
        Shape {
            features: feature::VERSION_1 | 1,
            queue_size: 128,
            notify_offset: 1,
            tag_len: tag.len() as u16,
            tag,
            common_bar: 4,
            msix: true,
            accepts_features: true,
        }
    }
}

pub const COMMON: usize = 0x0000;
pub const CONFIG: usize = 0x1000;
pub const NOTIFY: usize = 0x2000;
pub const TABLE: usize = 0x3000;
pub const BAR: usize = 0x4000;
pub const MULTIPLIER: u32 = 4;

struct Registers {
    bytes: Vec<u8>,
    status: u8,
    seen_available: u16,
    used: u16,
}

/// The device: its configuration space and its registers.
pub struct Model {
    manner: Manner,
    shape: Shape,
    config_space: Mutex<Vec<u8>>,
    registers: Mutex<Registers>,
}

static NEXT_BAR: AtomicU64 = AtomicU64::new(0x20_0000_0000);

/// Puts a device into the machine; the function to probe.
pub fn function(manner: Manner, shape: Shape) -> Function {
    hosted::init(64 << 20);
    let base = next_base();
    let model = Arc::new(Model::new(manner, shape, base));
    hosted::add_device(Phys(base), BAR, Arc::new(Window(model.clone())));
    let access: Arc<dyn ConfigAccess> = model;
    let address = Address { segment: 0, bus: 0, device: 3, function: 0 };
    Function::probe(&access, address).expect("the model answers").0
}

/// The configuration space of a virtio device whose structures lie at [`COMMON`], [`CONFIG`], [`NOTIFY`] and [`TABLE`] in
/// BAR 4, which is at `base`.
pub fn config_space(device: u32, base: u64, common_bar: u8, config_len: usize, msix: bool) -> Vec<u8> {
    let mut space = std::vec![0u8; 256];
    let mut put = |at: usize, value: u32| space[at..at + 4].copy_from_slice(&value.to_le_bytes());
    put(0x00, device << 16 | 0x1af4);
    put(0x04, 0x0010_0000);
    put(0x20, base as u32 | 0xc);
    put(0x24, (base >> 32) as u32);
    put(0x34, 0x40);
    for (at, next, kind, bar, offset, len) in [
        (0x40, 0x54, 1, u32::from(common_bar), COMMON, 0x1000),
        (0x54, 0x68, 4, 4, CONFIG, config_len),
        (0x68, if msix { 0x80 } else { 0 }, 2, 4, NOTIFY, 0x100),
    ] {
        put(at, 0x09 | next << 8 | 20 << 16 | kind << 24);
        put(at + 4, bar);
        put(at + 8, offset as u32);
        put(at + 12, len as u32);
    }
    put(0x68 + 16, MULTIPLIER);
    put(0x80, 0x0001_0011);
    put(0x84, TABLE as u32 | 4);
    space
}

/// What a write to the configuration space leaves there.
pub fn config_write(space: &mut [u8], offset: usize, value: u32) {
    let kept = match offset {
        0x20 => value & !(BAR as u32 - 1) | 0xc,
        0x24 => value,
        0x10..0x28 => 0,
        _ => value,
    };
    space[offset..offset + 4].copy_from_slice(&kept.to_le_bytes());
}

/// A free place for a device's registers.
pub fn next_base() -> u64 {
    NEXT_BAR.fetch_add(BAR as u64, Ordering::SeqCst)
}

pub fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

impl Model {
    fn new(manner: Manner, shape: Shape, base: u64) -> Model {
        let space = config_space(0x1009, base, shape.common_bar, 2 + shape.tag.len(), shape.msix);
        let registers = Registers { bytes: std::vec![0; BAR], status: 0, seen_available: 0, used: 0 };
        let model = Model { manner, shape, config_space: Mutex::new(space), registers: Mutex::new(registers) };
        model.reset(&mut model.registers.lock().expect("registers"));
        model
    }

    fn reset(&self, registers: &mut Registers) {
        let shape = &self.shape;
        let mut put = |at: usize, bytes: &[u8]| registers.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        put(common::QUEUES, &1u16.to_le_bytes());
        put(common::QUEUE_SIZE, &shape.queue_size.to_le_bytes());
        put(common::QUEUE_ENABLE, &[0; 2]);
        put(common::QUEUE_NOTIFY_OFFSET, &shape.notify_offset.to_le_bytes());
        put(CONFIG, &shape.tag_len.to_le_bytes());
        put(CONFIG + 2, &shape.tag);
        (registers.status, registers.seen_available, registers.used) = (0, 0, 0);
    }

    fn raise(&self, entry: usize) {
        let (address, data, control) = {
            let registers = self.registers.lock().expect("registers");
            let at = TABLE + 16 * entry;
            (word(&registers.bytes, at), word(&registers.bytes, at + 8), word(&registers.bytes, at + 12))
        };
        if control & 1 == 0 {
            hosted::raise_msi(u64::from(address), data);
        }
    }

    /// Works on everything that is available.
    fn work(&self) {
        if self.manner == Manner::Silent {
            return;
        }
        if self.manner == Manner::NeedsReset {
            self.registers.lock().expect("registers").status |= status::NEEDS_RESET;
            return self.raise(1);
        }
        let mut registers = self.registers.lock().expect("registers");
        let address =
            |at: usize| u64::from(word(&registers.bytes, at)) | u64::from(word(&registers.bytes, at + 4)) << 32;
        let [table, available, used] =
            [common::QUEUE_DESCRIPTORS, common::QUEUE_AVAILABLE, common::QUEUE_USED].map(address);
        let size = u16::from_le_bytes([registers.bytes[common::QUEUE_SIZE], registers.bytes[common::QUEUE_SIZE + 1]]);
        let mut heads = Vec::new();
        while registers.seen_available != read_u16(available + 2) {
            let slot = u64::from(registers.seen_available % size);
            heads.push(read_u16(available + 4 + 2 * slot));
            registers.seen_available = registers.seen_available.wrapping_add(1);
        }
        if self.manner == Manner::Reversed {
            heads.reverse();
        }
        for head in heads {
            let (id, written) = self.answer(table, size, head);
            let times = if self.manner == Manner::Twice { 2 } else { 1 };
            for _ in 0..times {
                let at = used + 4 + 8 * u64::from(registers.used % size);
                hosted::write_phys(at, &id.to_le_bytes());
                hosted::write_phys(at + 4, &written.to_le_bytes());
                let jump = if self.manner == Manner::IndexJump { 1000 } else { 1 };
                registers.used = registers.used.wrapping_add(jump);
                hosted::write_phys(used + 2, &registers.used.to_le_bytes());
            }
        }
        drop(registers);
        self.raise(0);
    }

    /// Answers one chain; what goes into the used ring.
    fn answer(&self, table: u64, size: u16, head: u16) -> (u32, u32) {
        let first = table + 16 * u64::from(head);
        assert_eq!(read_u16(first + 12), 1, "the request is read and something follows");
        let second = table + 16 * u64::from(read_u16(first + 14));
        assert_eq!(read_u16(second + 12), 2, "the reply is written and ends the chain");
        let mut bytes = std::vec![0; read_u32(first + 8) as usize];
        hosted::read_phys(read_u64(first), &mut bytes);
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
        hosted::write_phys(read_u64(second), &bytes);
        let proper = (u32::from(head), bytes.len() as u32);
        match self.manner {
            Manner::Scribbler => {
                [first, second].iter().for_each(|descriptor| hosted::write_phys(*descriptor, &[0xee; 16]));
                proper
            }
            Manner::Short => (proper.0, 3),
            Manner::UnknownId => (u32::from(size) + 7, proper.1),
            Manner::TooLong => (proper.0, u32::MAX),
            _ => proper,
        }
    }
}

fn read<const N: usize>(at: u64) -> [u8; N] {
    let mut bytes = [0; N];
    hosted::read_phys(at, &mut bytes);
    bytes
}

pub fn read_u16(at: u64) -> u16 {
    u16::from_le_bytes(read(at))
}

pub fn read_u32(at: u64) -> u32 {
    u32::from_le_bytes(read(at))
}

pub fn read_u64(at: u64) -> u64 {
    u64::from_le_bytes(read(at))
}

/// The registers as the machine's bus sees them.
struct Window(Arc<Model>);

impl hosted::Device for Window {
    fn read(&self, offset: usize, width: usize) -> u64 {
        let registers = self.0.registers.lock().expect("registers");
        match offset {
            common::STATUS => return u64::from(registers.status),
            common::DEVICE_FEATURE => {
                let half = word(&registers.bytes, common::DEVICE_FEATURE_SELECT);
                return self.0.shape.features >> (32 * half) & 0xffff_ffff;
            }
            _ => {}
        }
        (0..width).rev().fold(0, |value, byte| value << 8 | u64::from(registers.bytes[offset + byte]))
    }

    fn write(&self, offset: usize, width: usize, value: u64) {
        let mut registers = self.0.registers.lock().expect("registers");
        if offset == common::STATUS {
            let refuses = !self.0.shape.accepts_features;
            registers.status = value as u8 & if refuses { !status::FEATURES_OK } else { 0xff };
            if value == 0 {
                self.0.reset(&mut registers);
            }
            return;
        }
        registers.bytes[offset..offset + width].copy_from_slice(&value.to_le_bytes()[..width]);
        drop(registers);
        if offset == NOTIFY + usize::from(self.0.shape.notify_offset) * MULTIPLIER as usize {
            let model = self.0.clone();
            std::thread::spawn(move || model.work());
        }
    }
}

impl ConfigAccess for Model {
    fn read32(&self, _at: Address, offset: u16) -> u32 {
        word(&self.config_space.lock().expect("space"), usize::from(offset))
    }

    fn write32(&self, _at: Address, offset: u16, value: u32) {
        config_write(&mut self.config_space.lock().expect("space"), usize::from(offset), value);
    }

    fn write16(&self, _at: Address, offset: u16, value: u16) {
        let offset = usize::from(offset);
        self.config_space.lock().expect("space")[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
    }
}
