//! Message-signalled interrupts: MSI-X (PCI Local Bus 3.0 §6.8.2) and, with one vector, MSI (§6.8.1).

use kernel_hal::irq::Vector;
use kernel_hal::mmio::Region;

use super::Function;

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
    table: Region,
    entries: u16,
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
        let msix = MsiX { table, entries };
        for entry in 0..entries {
            msix.mask(entry);
        }
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

    fn offset(&self, entry: u16) -> Option<usize> {
        (entry < self.entries).then_some(usize::from(entry) * ENTRY)
    }

    /// Sends interrupts of `entry` to `vector`, unmasked. False when there is no such entry.
    pub fn set(&self, entry: u16, vector: Vector) -> bool {
        let Some(at) = self.offset(entry) else { return false };
        self.mask(entry);
        let address = vector.msi_address();
        self.table.write32(at, address as u32);
        self.table.write32(at + 4, (address >> 32) as u32);
        self.table.write32(at + 8, vector.msi_data());
        self.unmask(entry);
        true
    }

    /// Holds interrupts of `entry` back; one that comes meanwhile is sent on unmasking.
    pub fn mask(&self, entry: u16) {
        if let Some(at) = self.offset(entry) {
            self.table.write32(at + 12, self.table.read32(at + 12) | ENTRY_MASKED);
        }
    }

    pub fn unmask(&self, entry: u16) {
        if let Some(at) = self.offset(entry) {
            self.table.write32(at + 12, self.table.read32(at + 12) & !ENTRY_MASKED);
        }
    }
}

/// Sends the only interrupt of a function without MSI-X to `vector`. False when it has no MSI either.
pub fn enable_msi(function: &Function, vector: Vector) -> bool {
    let Some(at) = function.capability(MSI) else { return false };
    let control = function.read16(at + 2);
    let address = vector.msi_address();
    function.write32(at + 4, address as u32);
    let data = if control & IS_64_BIT != 0 {
        function.write32(at + 8, (address >> 32) as u32);
        at + 12
    } else {
        at + 8
    };
    function.write16(data, vector.msi_data() as u16);
    function.write16(at + 2, control & !MULTIPLE | ENABLE);
    true
}
