//! A console device with ports as QEMU's `virtio-serial` behaves, worked by the thread that rings.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::vec::Vec;

use kernel_bus::pci::{Address, ConfigAccess, Function};
use kernel_hal::addr::Phys;
use kernel_hal::hosted;

use crate::virtio::model::{
    BAR, CONFIG, MULTIPLIER, NOTIFY, TABLE, config_space, config_write, next_base, read_u16, read_u32, read_u64, word,
};
use crate::virtio::spec::{common, console, feature};

/// Ports, the unused first one counted.
const PORTS: usize = 4;
const QUEUES: usize = 2 + 2 * PORTS;
/// Bytes of the registers of one queue: those from its size to its end.
const QUEUE_REGISTERS: core::ops::Range<usize> = common::QUEUE_SIZE..common::LENGTH as usize;

#[derive(Clone, Default)]
struct Ring {
    registers: Vec<u8>,
    seen: u16,
    used: u16,
}

/// What the host does with one port.
#[derive(Default)]
struct End {
    /// On the way to the guest.
    input: VecDeque<u8>,
    /// The input ends after that.
    closing: bool,
    ready: bool,
    /// Takes nothing for now.
    stalled: bool,
    output: Vec<u8>,
    gone: bool,
}

struct State {
    bytes: Vec<u8>,
    rings: Vec<Ring>,
    ends: Vec<End>,
    messages: VecDeque<[u8; 8]>,
    /// Says that it wrote more than there was room for.
    lying: bool,
}

/// The device.
pub struct Host {
    space: Mutex<Vec<u8>>,
    state: Mutex<State>,
}

/// Puts a device into the machine.
pub fn device() -> (Arc<Host>, Function) {
    hosted::init(64 << 20);
    let base = next_base();
    let mut bytes = std::vec![0; BAR];
    bytes[common::QUEUES..common::QUEUES + 2].copy_from_slice(&(QUEUES as u16).to_le_bytes());
    bytes[CONFIG + 4..CONFIG + 8].copy_from_slice(&(PORTS as u32).to_le_bytes());
    let ring = |index: usize| {
        let mut registers = std::vec![0; common::LENGTH as usize];
        registers[common::QUEUE_SIZE..common::QUEUE_SIZE + 2].copy_from_slice(&128u16.to_le_bytes());
        registers[common::QUEUE_NOTIFY_OFFSET..common::QUEUE_NOTIFY_OFFSET + 2]
            .copy_from_slice(&(index as u16).to_le_bytes());
        Ring { registers, seen: 0, used: 0 }
    };
    let state = State {
        bytes,
        rings: (0..QUEUES).map(ring).collect(),
        ends: (0..PORTS).map(|_| End::default()).collect(),
        messages: VecDeque::new(),
        lying: false,
    };
    let space = config_space(0x1003, base, 4, 12, true);
    let host = Arc::new(Host { space: Mutex::new(space), state: Mutex::new(state) });
    hosted::add_device(Phys(base), BAR, Arc::new(Window(host.clone())));
    let access: Arc<dyn ConfigAccess> = host.clone();
    let address = Address { segment: 0, bus: 0, device: 4, function: 0 };
    (host, Function::probe(&access, address).expect("the model answers").0)
}

impl Host {
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().expect("state");
        let result = change(&mut state);
        state.work();
        let (address, data) = (word(&state.bytes, TABLE), word(&state.bytes, TABLE + 8));
        drop(state);
        hosted::raise_msi(u64::from(address), data);
        result
    }

    /// Sends bytes to the guest.
    pub fn send(&self, port: usize, bytes: &[u8]) {
        self.change(|state| state.ends[port].input.extend(bytes));
    }

    /// Ends the guest's input after what was sent.
    pub fn end_input(&self, port: usize) {
        self.change(|state| state.ends[port].closing = true);
    }

    /// Takes nothing from the guest until told otherwise.
    pub fn stall(&self, port: usize, stalled: bool) {
        self.change(|state| state.ends[port].stalled = stalled);
    }

    /// Bytes that the guest has not taken.
    pub fn waiting(&self, port: usize) -> usize {
        self.change(|state| state.ends[port].input.len())
    }

    /// What the guest sent so far.
    pub fn received(&self, port: usize) -> Vec<u8> {
        self.change(|state| state.ends[port].output.clone())
    }

    /// From now on lengths that it reports are wrong.
    pub fn lie(&self) {
        self.change(|state| state.lying = true);
    }
}

impl State {
    /// The first descriptor of the next chain in a queue.
    fn next(&self, queue: usize) -> Option<(u16, u64)> {
        let ring = &self.rings[queue];
        let field = |at: usize| u64::from(word(&ring.registers, at)) | u64::from(word(&ring.registers, at + 4)) << 32;
        let available = field(common::QUEUE_AVAILABLE);
        if word(&ring.registers, common::QUEUE_ENABLE) & 1 == 0 || ring.seen == read_u16(available + 2) {
            return None;
        }
        let size = word(&ring.registers, common::QUEUE_SIZE) as u16;
        let head = read_u16(available + 4 + 2 * u64::from(ring.seen % size));
        Some((head, field(common::QUEUE_DESCRIPTORS) + 16 * u64::from(head)))
    }

    fn give_back(&mut self, queue: usize, head: u16, written: u32) {
        let lie = if self.lying { 1 << 20 } else { 0 };
        let ring = &mut self.rings[queue];
        let place = common::QUEUE_USED;
        let used = u64::from(word(&ring.registers, place)) | u64::from(word(&ring.registers, place + 4)) << 32;
        let size = word(&ring.registers, common::QUEUE_SIZE) as u16;
        let at = used + 4 + 8 * u64::from(ring.used % size);
        hosted::write_phys(at, &u32::from(head).to_le_bytes());
        hosted::write_phys(at + 4, &(written + lie).to_le_bytes());
        (ring.seen, ring.used) = (ring.seen.wrapping_add(1), ring.used.wrapping_add(1));
        hosted::write_phys(used + 2, &ring.used.to_le_bytes());
    }

    /// What the guest put into a queue first, or as much room as it offers there.
    fn pull(&mut self, queue: usize) -> Option<Vec<u8>> {
        let (head, descriptor) = self.next(queue)?;
        let mut bytes = std::vec![0; read_u32(descriptor + 8) as usize];
        hosted::read_phys(read_u64(descriptor), &mut bytes);
        self.give_back(queue, head, 0);
        Some(bytes)
    }

    fn push(&mut self, queue: usize, bytes: &mut VecDeque<u8>) -> bool {
        let Some((head, descriptor)) = self.next(queue) else { return false };
        let count = (read_u32(descriptor + 8) as usize).min(bytes.len());
        let part: Vec<u8> = bytes.drain(..count).collect();
        hosted::write_phys(read_u64(descriptor), &part);
        self.give_back(queue, head, count as u32);
        true
    }

    fn work(&mut self) {
        while let Some(message) = self.pull(usize::from(console::CONTROL_SEND)) {
            let (port, event, value) = console::parse(&message).expect("eight bytes");
            self.hear(port, event, value);
        }
        for port in 1..PORTS {
            let number = port as u32;
            while self.ends[port].ready && !self.ends[port].stalled {
                let Some(bytes) = self.pull(usize::from(console::send_queue(number))) else { break };
                self.ends[port].output.extend(bytes);
            }
            let mut input = core::mem::take(&mut self.ends[port].input);
            while self.ends[port].ready && !input.is_empty() {
                if !self.push(usize::from(console::receive_queue(number)), &mut input) {
                    break;
                }
            }
            let end = &mut self.ends[port];
            end.input = input;
            if end.closing && end.ready && end.input.is_empty() && !end.gone {
                end.gone = true;
                self.messages.push_back(console::message(number, console::PORT_OPEN, 0));
            }
        }
        while let Some(message) = self.messages.front().copied() {
            if !self.push(usize::from(console::CONTROL_RECEIVE), &mut message.into()) {
                break;
            }
            self.messages.pop_front();
        }
    }

    fn hear(&mut self, port: u32, event: u16, value: u16) {
        match event {
            // Port 3 is not there, though the device could have one.
            console::DEVICE_READY => {
                let add = |port| console::message(port, console::PORT_ADD, 1);
                self.messages.extend([add(1), add(2)]);
            }
            console::PORT_READY => {
                let name = 7;
                self.messages.push_back(console::message(port, name, 1));
                self.messages.push_back(console::message(port, console::PORT_OPEN, 1));
            }
            console::PORT_OPEN => self.ends[port as usize].ready = value == 1,
            other => panic!("event {other}"),
        }
    }
}

/// The registers as the machine's bus sees them.
struct Window(Arc<Host>);

impl hosted::Device for Window {
    fn read(&self, offset: usize, width: usize) -> u64 {
        let state = self.0.state.lock().expect("state");
        let bytes = if QUEUE_REGISTERS.contains(&offset) {
            let selected = word(&state.bytes, common::QUEUE_SELECT) as u16;
            &state.rings[usize::from(selected)].registers
        } else if offset == common::DEVICE_FEATURE {
            let half = word(&state.bytes, common::DEVICE_FEATURE_SELECT);
            return (feature::VERSION_1 | console::MULTIPORT) >> (32 * half) & 0xffff_ffff;
        } else {
            &state.bytes
        };
        (0..width).rev().fold(0, |value, byte| value << 8 | u64::from(bytes[offset + byte]))
    }

    fn write(&self, offset: usize, width: usize, value: u64) {
        let written = value.to_le_bytes();
        let rung = (NOTIFY..NOTIFY + QUEUES * MULTIPLIER as usize).contains(&offset);
        if rung {
            return self.0.change(|_| ());
        }
        let mut state = self.0.state.lock().expect("state");
        let selected = word(&state.bytes, common::QUEUE_SELECT) as u16;
        let bytes = if QUEUE_REGISTERS.contains(&offset) {
            &mut state.rings[usize::from(selected)].registers
        } else {
            &mut state.bytes
        };
        bytes[offset..offset + width].copy_from_slice(&written[..width]);
    }
}

impl ConfigAccess for Host {
    fn read32(&self, _at: Address, offset: u16) -> u32 {
        word(&self.space.lock().expect("space"), usize::from(offset))
    }

    fn write32(&self, _at: Address, offset: u16, value: u32) {
        config_write(&mut self.space.lock().expect("space"), usize::from(offset), value);
    }

    fn write16(&self, _at: Address, offset: u16, value: u16) {
        let offset = usize::from(offset);
        self.space.lock().expect("space")[offset..offset + 2].copy_from_slice(&value.to_le_bytes());
    }
}
