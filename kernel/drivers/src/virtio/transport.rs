//! A virtio device on PCI (VIRTIO 1.2 §4.1): finding its structures, agreeing on features, starting queues.

use alloc::boxed::Box;
use core::fmt;

use kernel_bus::pci::{Function, MsiX};
use kernel_hal::cpu;
use kernel_hal::frame::OutOfMemory;
use kernel_hal::irq::{Claim, Vector, allocate_vector};
use kernel_hal::mmio::Region;

use super::queue::Queue;
use super::spec::{NO_VECTOR, capability, common, feature, status};

/// Why a device cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProbeError {
    /// A structure that the driver needs is missing, too short or outside the device's registers.
    NoStructure(&'static str),
    /// The device did not come out of reset.
    NoReset,
    /// The device does not speak version 1, or refuses the features chosen.
    Features,
    /// The device has no such queue, or one of an impossible size.
    NoQueue(u16),
    /// The device has no MSI-X, or no vector is left.
    NoInterrupt,
    /// The device's own configuration makes no sense.
    Configuration(&'static str),
    OutOfMemory,
}

impl From<OutOfMemory> for ProbeError {
    fn from(_: OutOfMemory) -> ProbeError {
        ProbeError::OutOfMemory
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProbeError::NoStructure(name) => write!(f, "the device has no usable {name} structure"),
            ProbeError::NoReset => write!(f, "the device does not reset"),
            ProbeError::Features => write!(f, "the device does not accept the features of virtio 1"),
            ProbeError::NoQueue(index) => write!(f, "the device has no usable queue {index}"),
            ProbeError::NoInterrupt => write!(f, "the device has no message-signalled interrupts to give"),
            ProbeError::Configuration(what) => write!(f, "the device's {what} makes no sense"),
            ProbeError::OutOfMemory => write!(f, "not enough memory for the device's queues"),
        }
    }
}

/// What an interrupt of the device calls: it wakes threads, and may be called once too often.
pub type Notice = Box<dyn Fn() + Send + Sync>;

/// Reads of a register until the device must have answered.
const TRIES: usize = 1_000_000;

/// A device between reset and reset. Dropping it stops all its access to memory.
pub struct Transport {
    function: Function,
    common: Region,
    notify: Region,
    notify_multiplier: u32,
    config: Option<Region>,
    interrupts: MsiX,
}

impl Transport {
    /// Takes a device over: resets it and agrees on version 1 and those of the `wanted` features that it has. Returns
    /// the features agreed on too.
    pub fn new(function: Function, wanted: u64) -> Result<(Transport, u64), ProbeError> {
        let (common, _) =
            structure(&function, capability::COMMON, common::LENGTH).ok_or(ProbeError::NoStructure("common"))?;
        let (notify, at) =
            structure(&function, capability::NOTIFY, 2).ok_or(ProbeError::NoStructure("notification"))?;
        let notify_multiplier = function.read32(at + 16);
        let config = structure(&function, capability::DEVICE, 1).map(|(region, _)| region);
        function.enable();
        let interrupts = MsiX::enable(&function).ok_or(ProbeError::NoInterrupt)?;
        let transport = Transport { function, common, notify, notify_multiplier, config, interrupts };
        transport.reset()?;
        transport.add_status(status::ACKNOWLEDGE);
        transport.add_status(status::DRIVER);
        let features = transport.agree(wanted)?;
        Ok((transport, features))
    }

    fn status(&self) -> u8 {
        self.common.read8(common::STATUS)
    }

    fn add_status(&self, bit: u8) {
        self.common.write8(common::STATUS, self.status() | bit);
    }

    fn reset(&self) -> Result<(), ProbeError> {
        self.common.write8(common::STATUS, 0);
        for _ in 0..TRIES {
            if self.status() == 0 {
                return Ok(());
            }
            cpu::relax();
        }
        Err(ProbeError::NoReset)
    }

    fn agree(&self, wanted: u64) -> Result<u64, ProbeError> {
        let mut offered = 0;
        for half in 0..2 {
            self.common.write32(common::DEVICE_FEATURE_SELECT, half);
            offered |= u64::from(self.common.read32(common::DEVICE_FEATURE)) << (32 * half);
        }
        let accepted = offered & (wanted | feature::VERSION_1);
        if accepted & feature::VERSION_1 == 0 {
            return Err(ProbeError::Features);
        }
        for half in 0..2 {
            self.common.write32(common::DRIVER_FEATURE_SELECT, half);
            self.common.write32(common::DRIVER_FEATURE, (accepted >> (32 * half)) as u32);
        }
        self.add_status(status::FEATURES_OK);
        match self.status() & status::FEATURES_OK {
            0 => Err(ProbeError::Features),
            _ => Ok(accepted),
        }
    }

    /// A vector that calls `notice`. It is the device's alone, so each interrupt is for it.
    fn vector(&self, what: &str, notice: Notice) -> Option<Vector> {
        let name = alloc::format!("{self} {what}");
        let handler = move || {
            notice();
            Claim::Mine
        };
        allocate_vector(&name, Box::new(handler))
    }

    /// Sends interrupts for changes of the device's state to `handler`. Optional: a device may be out of vectors.
    pub fn on_config_change(&self, entry: u16, notice: Notice) -> bool {
        let set = self.vector("config", notice).is_some_and(|vector| self.interrupts.set(entry, vector));
        self.common.write16(common::CONFIG_VECTOR, if set { entry } else { NO_VECTOR });
        set && self.common.read16(common::CONFIG_VECTOR) == entry
    }

    /// Sends interrupts of `entry`, called `what`, to `notice`. Several queues may share an entry.
    pub fn on_interrupt(&self, entry: u16, (what, notice): (&str, Notice)) -> Result<(), ProbeError> {
        let vector = self.vector(what, notice).ok_or(ProbeError::NoInterrupt)?;
        if self.interrupts.set(entry, vector) { Ok(()) } else { Err(ProbeError::NoInterrupt) }
    }

    /// Starts queue `index` with at most `most` descriptors; who gets the interrupts of `entry` is told when the device
    /// returns some.
    pub fn start_queue(&self, index: u16, most: u16, entry: u16) -> Result<(Queue, Bell), ProbeError> {
        if index >= self.common.read16(common::QUEUES) {
            return Err(ProbeError::NoQueue(index));
        }
        self.common.write16(common::QUEUE_SELECT, index);
        let size = self.common.read16(common::QUEUE_SIZE);
        if size < 2 || !size.is_power_of_two() || self.common.read16(common::QUEUE_ENABLE) != 0 {
            return Err(ProbeError::NoQueue(index));
        }
        let size = size.min(most);
        let queue = Queue::new(size)?;
        self.common.write16(common::QUEUE_SIZE, size);
        self.common.write16(common::QUEUE_VECTOR, entry);
        if self.common.read16(common::QUEUE_VECTOR) != entry {
            return Err(ProbeError::NoInterrupt);
        }
        let bell = self.bell(index, self.common.read16(common::QUEUE_NOTIFY_OFFSET))?;
        let places = [common::QUEUE_DESCRIPTORS, common::QUEUE_AVAILABLE, common::QUEUE_USED];
        for (place, address) in places.into_iter().zip(queue.addresses()) {
            self.common.write32(place, address as u32);
            self.common.write32(place + 4, (address >> 32) as u32);
        }
        self.common.write16(common::QUEUE_ENABLE, 1);
        Ok((queue, bell))
    }

    fn bell(&self, queue: u16, offset: u16) -> Result<Bell, ProbeError> {
        let offset = u64::from(offset) * u64::from(self.notify_multiplier);
        let offset = usize::try_from(offset).map_err(|_| ProbeError::NoQueue(queue))?;
        let fits = offset.checked_add(2).is_some_and(|end| end <= self.notify.len());
        (fits && offset.is_multiple_of(2)).then_some(Bell { queue, offset }).ok_or(ProbeError::NoQueue(queue))
    }

    /// The device may work from here on.
    pub fn start(&self) {
        self.add_status(status::DRIVER_OK);
    }

    /// Tells the device that its queue has new entries.
    pub fn ring(&self, bell: &Bell) {
        self.notify.write16(bell.offset, bell.queue);
    }

    /// True when the device met an error that only a reset ends, or is gone.
    pub fn has_failed(&self) -> bool {
        self.status() & (status::NEEDS_RESET | status::FAILED) != 0
    }

    /// Bytes of the device's own configuration. `None` when it has fewer or they keep changing.
    pub fn read_config(&self, offset: usize, into: &mut [u8]) -> Option<()> {
        let config = self.config.as_ref()?;
        if offset.checked_add(into.len())? > config.len() {
            return None;
        }
        for _ in 0..TRIES {
            let generation = self.common.read8(common::GENERATION);
            for (at, byte) in (offset..).zip(into.iter_mut()) {
                *byte = config.read8(at);
            }
            if self.common.read8(common::GENERATION) == generation {
                return Some(());
            }
        }
        None
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        let reset = self.reset();
        // Also when the reset did not work: no memory may be written after it is freed.
        self.function.stop();
        if let Err(error) = reset {
            log::warn!("virtio {}: {error}", self.function.address);
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "virtio {}", self.function.address)
    }
}

/// Where a queue's notifications go.
#[derive(Clone, Copy, Debug)]
pub struct Bell {
    queue: u16,
    offset: usize,
}

/// Maps the first structure of that kind with at least `least` bytes, as the device prefers (§4.1.4); with the place
/// of its capability.
fn structure(function: &Function, kind: u8, least: u32) -> Option<(Region, u16)> {
    // Every field of a structure is naturally aligned when its start is to 4 bytes, as §4.1.4.3 requires; a
    // device's own configuration is read in bytes.
    let usable = |at: u16| {
        if function.read8(at + 3) != kind {
            return None;
        }
        let (bar, offset, len) = (function.read8(at + 4), function.read32(at + 8), function.read32(at + 12));
        if len < least || (kind != capability::DEVICE && !offset.is_multiple_of(4)) {
            return None;
        }
        Some((function.map(bar, u64::from(offset), u64::from(len))?, at))
    };
    function.capabilities().filter(|found| found.0 == capability::ID).find_map(|found| usable(found.1))
}
