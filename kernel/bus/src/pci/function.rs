//! One PCI function: its identity, its registers, and the switches in its command register.

use alloc::sync::Arc;
use core::fmt;

use kernel_hal::addr::Phys;
use kernel_hal::mmio::Region;

use super::bar::{self, Bar};
use super::capability::Capabilities;
use super::config::{Address, ConfigAccess};

const COMMAND: u16 = 0x04;
const COMMAND_PORTS: u16 = 1;
const COMMAND_MEMORY: u16 = 1 << 1;
const COMMAND_BUS_MASTER: u16 = 1 << 2;
const COMMAND_NO_INTX: u16 = 1 << 10;
const STATUS_HAS_CAPABILITIES: u32 = 1 << 20;

/// Who a function says it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    pub vendor: u16,
    pub device: u16,
    /// Base class, sub-class and programming interface, in the three low bytes.
    pub class: u32,
    pub revision: u8,
    pub subsystem: (u16, u16),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x} class {:06x}", self.vendor, self.device, self.class)
    }
}

/// The layout of a function's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    Endpoint,
    /// A bridge to this bus.
    Bridge {
        secondary: u8,
    },
    Other,
}

/// A function that answered the scan.
pub struct Function {
    pub address: Address,
    pub identity: Identity,
    pub header: Header,
    access: Arc<dyn ConfigAccess>,
}

impl Function {
    /// The function at `address`, and whether its device has more than one; `None` when nothing answers.
    pub fn probe(access: &Arc<dyn ConfigAccess>, address: Address) -> Option<(Function, bool)> {
        let id = access.read32(address, 0);
        let vendor = id as u16;
        if vendor == 0xffff || vendor == 0 {
            return None;
        }
        let class = access.read32(address, 0x08);
        let layout = access.read32(address, 0x0c) >> 16;
        let header = match layout & 0x7f {
            0 => Header::Endpoint,
            1 => Header::Bridge { secondary: (access.read32(address, 0x18) >> 8) as u8 },
            _ => Header::Other,
        };
        let subsystem = if header == Header::Endpoint { access.read32(address, 0x2c) } else { 0 };
        let identity = Identity {
            vendor,
            device: (id >> 16) as u16,
            class: class >> 8,
            revision: class as u8,
            subsystem: (subsystem as u16, (subsystem >> 16) as u16),
        };
        Some((Function { address, identity, header, access: access.clone() }, layout & 0x80 != 0))
    }

    pub(super) fn access(&self) -> &Arc<dyn ConfigAccess> {
        &self.access
    }

    /// The register at `offset`, a multiple of 4.
    pub fn read32(&self, offset: u16) -> u32 {
        self.access.read32(self.address, offset)
    }

    /// The two bytes at `offset`, a multiple of 2.
    pub fn read16(&self, offset: u16) -> u16 {
        (self.read32(offset & !3) >> (8 * (offset & 2))) as u16
    }

    pub fn read8(&self, offset: u16) -> u8 {
        (self.read32(offset & !3) >> (8 * (offset & 3))) as u8
    }

    pub fn write32(&self, offset: u16, value: u32) {
        self.access.write32(self.address, offset, value);
    }

    pub fn write16(&self, offset: u16, value: u16) {
        self.access.write16(self.address, offset, value);
    }

    /// The capabilities of the function: pairs of identity and offset.
    pub fn capabilities(&self) -> Capabilities<'_> {
        let any = self.read32(COMMAND) & STATUS_HAS_CAPABILITIES != 0 && self.header != Header::Other;
        Capabilities::new(self, any)
    }

    /// The first capability with that identity.
    pub fn capability(&self, id: u8) -> Option<u16> {
        self.capabilities().find(|found| found.0 == id).map(|found| found.1)
    }

    /// Decodes base address register `index`. Decoding of the function is off meanwhile.
    pub fn bar(&self, index: u8) -> Option<Bar> {
        let count = match self.header {
            Header::Endpoint => 6,
            Header::Bridge { .. } => 2,
            Header::Other => 0,
        };
        let command = self.read16(COMMAND);
        self.write16(COMMAND, command & !(COMMAND_PORTS | COMMAND_MEMORY));
        let bar = bar::read(self, index, count);
        self.write16(COMMAND, command);
        bar
    }

    /// Maps `len` bytes from `offset` of memory register `index`. `None` when the register has fewer, is of another
    /// kind, or its address is not device memory.
    pub fn map(&self, index: u8, offset: u64, len: u64) -> Option<Region> {
        let Bar::Memory { address, size, .. } = self.bar(index)? else { return None };
        if offset > size || len > size - offset {
            return None;
        }
        Region::map(Phys(address.checked_add(offset)?), usize::try_from(len).ok()?)
    }

    /// Lets the function answer at its addresses and read and write memory; its interrupt pin stays silent.
    pub fn enable(&self) {
        let command = self.read16(COMMAND);
        self.write16(COMMAND, command | COMMAND_PORTS | COMMAND_MEMORY | COMMAND_BUS_MASTER | COMMAND_NO_INTX);
    }

    /// Stops the function from reading and writing memory.
    pub fn stop(&self) {
        self.write16(COMMAND, self.read16(COMMAND) & !COMMAND_BUS_MASTER);
    }
}
