//! Access to configuration space: memory-mapped (PCI Express) or through a pair of ports.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use kernel_hal::addr::Phys;
use kernel_hal::mmio::Region;
use kernel_hal::port::Ports;
use kernel_sync::IrqLock;

use crate::acpi::Ecam;

/// Where a function sits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    pub segment: u16,
    pub bus: u8,
    /// Below 32.
    pub device: u8,
    /// Below 8.
    pub function: u8,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.segment, self.bus, self.device, self.function)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads and writes configuration registers. Offsets are multiples of the width and below the space's size (256 bytes by
/// ports, 4096 by memory); what does not exist reads as all ones and ignores writes.
pub trait ConfigAccess: Send + Sync {
    fn read32(&self, at: Address, offset: u16) -> u32;
    fn write32(&self, at: Address, offset: u16, value: u32);
    /// Needed beside `write32` where the other half of the word clears bits that are written as ones.
    fn write16(&self, at: Address, offset: u16, value: u16);
}

/// Bytes of configuration space of one function, and of one bus.
const FUNCTION: u32 = 4096;
const BUS: u32 = 1 << 20;

/// Memory-mapped access to one range of buses. Buses are mapped when they are first used, a megabyte each.
pub struct EcamAccess {
    ecam: Ecam,
    mapped: IrqLock<Vec<(u8, Arc<Region>)>>,
}

impl EcamAccess {
    pub fn new(ecam: Ecam) -> EcamAccess {
        EcamAccess { ecam, mapped: IrqLock::new(Vec::new()) }
    }

    fn bus(&self, bus: u8) -> Option<Arc<Region>> {
        let known = self.mapped.lock().iter().find(|(number, _)| *number == bus).map(|(_, region)| region.clone());
        if known.is_some() {
            return known;
        }
        if !(self.ecam.first_bus..=self.ecam.last_bus).contains(&bus) {
            return None;
        }
        let start = self.ecam.base.checked_add(u64::from(bus) * u64::from(BUS))?;
        let region = Arc::new(Region::map(Phys(start), BUS as usize)?);
        self.mapped.lock().push((bus, region.clone()));
        Some(region)
    }

    /// The region that holds the register, and its offset there.
    fn locate(&self, at: Address, offset: u16, width: u16) -> Option<(Arc<Region>, usize)> {
        let valid = at.segment == self.ecam.segment && at.device < 32 && at.function < 8;
        if !valid || u32::from(offset) >= FUNCTION || !offset.is_multiple_of(width) {
            return None;
        }
        let number = u32::from(at.device) << 3 | u32::from(at.function);
        Some((self.bus(at.bus)?, (number * FUNCTION + u32::from(offset)) as usize))
    }
}

impl ConfigAccess for EcamAccess {
    fn read32(&self, at: Address, offset: u16) -> u32 {
        self.locate(at, offset, 4).map_or(u32::MAX, |(region, offset)| region.read32(offset))
    }

    fn write32(&self, at: Address, offset: u16, value: u32) {
        if let Some((region, offset)) = self.locate(at, offset, 4) {
            region.write32(offset, value);
        }
    }

    fn write16(&self, at: Address, offset: u16, value: u16) {
        if let Some((region, offset)) = self.locate(at, offset, 2) {
            region.write16(offset, value);
        }
    }
}

/// Access through ports 0xCF8 and 0xCFC (PCI Local Bus 3.0 §3.2.2.3.2): segment 0, the first 256 bytes of a function.
pub struct PortAccess {
    /// Selecting and transferring are two steps, so one user at a time.
    ports: IrqLock<Ports>,
}

const SELECT: u16 = 0;
const DATA: u16 = 4;

impl PortAccess {
    /// `None` when the ports belong to someone else.
    pub fn new() -> Option<PortAccess> {
        Some(PortAccess { ports: IrqLock::new(Ports::new(0xcf8, 8)?) })
    }

    fn with_selected<T>(&self, at: Address, offset: u16, width: u16, none: T, act: impl FnOnce(&Ports) -> T) -> T {
        let valid = at.segment == 0 && at.device < 32 && at.function < 8;
        if !valid || offset >= 256 || !offset.is_multiple_of(width) {
            return none;
        }
        let function = u32::from(at.bus) << 16 | u32::from(at.device) << 11 | u32::from(at.function) << 8;
        let ports = self.ports.lock();
        ports.out32(SELECT, 1 << 31 | function | u32::from(offset & !3));
        act(&ports)
    }
}

impl ConfigAccess for PortAccess {
    fn read32(&self, at: Address, offset: u16) -> u32 {
        self.with_selected(at, offset, 4, u32::MAX, |ports| ports.in32(DATA))
    }

    fn write32(&self, at: Address, offset: u16, value: u32) {
        self.with_selected(at, offset, 4, (), |ports| ports.out32(DATA, value));
    }

    fn write16(&self, at: Address, offset: u16, value: u16) {
        self.with_selected(at, offset, 2, (), |ports| ports.out16(DATA + (offset & 2), value));
    }
}
