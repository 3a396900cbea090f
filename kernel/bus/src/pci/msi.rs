//! Message-signalled interrupts: MSI-X (PCI Local Bus 3.0 §6.8.2) and, with one vector, MSI (§6.8.1).

use alloc::boxed::Box;
use alloc::sync::Arc;

use kernel_hal::irq::{Message, MessageSource, Vector};
use kernel_hal::mmio::Region;

use super::Function;
use super::config::{Address, ConfigAccess};

const MSI: u8 = 0x05;
const MSI_X: u8 = 0x11;

const X_ENABLE: u16 = 1 << 15;
const X_MASK_ALL: u16 = 1 << 14;
const X_SIZE: u16 = 0x7ff;
/// Bytes of a table entry: address, upper address, data, control.
const ENTRY: usize = 16;
const ENTRY_MASKED: u32 = 1;

const ENABLE: u16 = 1;
const IS_64_BIT: u16 = 1 << 7;
const MULTIPLE: u16 = 0b111 << 4;

/// The vector table of a function, all entries masked at first.
pub struct MsiX {
    table: Arc<Region>,
    entries: u16,
}

/// One entry of the table.
struct Entry {
    table: Arc<Region>,
    at: usize,
}

impl MessageSource for Entry {
    fn set_message(&self, message: Message) {
        self.table.write32(self.at, message.address as u32);
        self.table.write32(self.at + 4, (message.address >> 32) as u32);
        self.table.write32(self.at + 8, message.data);
    }

    /// A message that comes while it is masked is sent on unmasking.
    fn set_mask(&self, masked: bool) {
        let control = self.table.read32(self.at + 12) & !ENTRY_MASKED;
        self.table.write32(self.at + 12, control | if masked { ENTRY_MASKED } else { 0 });
    }

    fn kind(&self) -> &'static str {
        "PCI-MSIX"
    }
}

impl MsiX {
    /// Turns MSI-X on. `None` when the function has no such capability or its table cannot be mapped.
    pub fn enable(function: &Function) -> Option<MsiX> {
        let at = function.capability(MSI_X)?;
        let control = function.read16(at + 2);
        let entries = (control & X_SIZE) + 1;
        let place = function.read32(at + 4);
        let (bar, offset) = ((place & 7) as u8, u64::from(place & !7));
        let table = function.map(bar, offset, u64::from(entries) * ENTRY as u64)?;
        // Everything is masked while the table holds what firmware left there.
        function.write16(at + 2, control | X_ENABLE | X_MASK_ALL);
        let msix = MsiX { table: Arc::new(table), entries };
        (0..entries).filter_map(|entry| msix.entry(entry)).for_each(|entry| entry.set_mask(true));
        function.write16(at + 2, (control | X_ENABLE) & !X_MASK_ALL);
        Some(msix)
    }

    /// Vectors the function can use.
    pub fn len(&self) -> u16 {
        self.entries
    }

    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    fn entry(&self, entry: u16) -> Option<Entry> {
        (entry < self.entries).then(|| Entry { table: self.table.clone(), at: usize::from(entry) * ENTRY })
    }

    /// Sends interrupts of `entry` to `vector`, unmasked. False when there is no such entry.
    pub fn set(&self, entry: u16, vector: Vector) -> bool {
        self.entry(entry).map(|entry| vector.attach(Box::new(entry))).is_some()
    }
}

/// The one message of a function without MSI-X.
struct Single {
    access: Arc<dyn ConfigAccess>,
    function: Address,
    /// The capability.
    at: u16,
    /// Its control word with interrupts on.
    control: u16,
}

impl MessageSource for Single {
    fn set_message(&self, message: Message) {
        let write = |offset, value| self.access.write32(self.function, self.at + offset, value);
        write(4, message.address as u32);
        let data = if self.control & IS_64_BIT != 0 {
            write(8, (message.address >> 32) as u32);
            12
        } else {
            8
        };
        self.access.write16(self.function, self.at + data, message.data as u16);
    }

    /// Through the enable bit: few functions can mask, and one that is off uses its pin, which is off too.
    fn set_mask(&self, masked: bool) {
        let control = if masked { self.control & !ENABLE } else { self.control };
        self.access.write16(self.function, self.at + 2, control);
    }

    fn kind(&self) -> &'static str {
        "PCI-MSI"
    }
}

/// Sends the only interrupt of a function without MSI-X to `vector`. False when it has no MSI either.
pub fn enable_msi(function: &Function, vector: Vector) -> bool {
    let Some(at) = function.capability(MSI) else { return false };
    let control = function.read16(at + 2) & !MULTIPLE | ENABLE;
    let access = function.access().clone();
    vector.attach(Box::new(Single { access, function: function.address, at, control }));
    true
}
