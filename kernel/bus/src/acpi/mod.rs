//! ACPI: what the firmware says about the machine, from its static tables.
//!
//! Firmware is foreign input: tables are read through a reader that refuses ordinary RAM, copied, checked, and decoded
//! by code that cannot panic. AML is not interpreted; the one value needed from it, the sleep type of S5, is searched.

mod bytes;
mod fadt;
mod madt;
mod power;
mod sleep;
mod tables;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use aios_abi::boot::PhysRead;

pub use fadt::{Fadt, Register};
pub use madt::{IoApic, LocalApic, Madt, SourceOverride};
pub use power::{PowerControl, PowerOff};
pub use sleep::SleepType;
pub use tables::{AcpiError, Signature, Table};

use bytes::{u8_at, u16_at, u64_at};
use tables::HEADER;

/// A range of buses whose configuration space is mapped in memory (PCI Firmware 3.3 §4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecam {
    /// Physical address of bus 0 of the segment, whether or not bus 0 is in the range.
    pub base: u64,
    pub segment: u16,
    pub first_bus: u8,
    pub last_bus: u8,
}

/// The checked tables of the machine.
pub struct Acpi {
    tables: Vec<Table>,
    dsdt: Option<Table>,
}

impl Acpi {
    /// Reads all tables, from the root pointer at physical address `root` (0: search where a BIOS leaves it). Tables
    /// that fail their check are logged and left out.
    pub fn read(mem: &dyn PhysRead, root: u64) -> Result<Acpi, AcpiError> {
        let root = tables::find_root(mem, root).ok_or(AcpiError::NoRoot)?;
        let tables = tables::read_all(mem, root, &mut |error| log::warn!("{error}"))?;
        let mut acpi = Acpi { tables, dsdt: None };
        if let Some(fadt) = acpi.fadt() {
            match tables::read_table(mem, fadt.dsdt) {
                Ok(table) if table.signature.0 == *b"DSDT" => acpi.dsdt = Some(table),
                Ok(_) => log::warn!("{}", AcpiError::BadSignature(fadt.dsdt)),
                Err(error) => log::warn!("{error}"),
            }
        }
        Ok(acpi)
    }

    /// The bytes of the first table with that signature, header included.
    pub fn table(&self, signature: &[u8; 4]) -> Option<&[u8]> {
        self.tables.iter().find(|table| table.signature.0 == *signature).map(|table| table.bytes.as_slice())
    }

    /// The interrupt controllers.
    pub fn madt(&self) -> Option<Madt> {
        Madt::parse(self.table(b"APIC")?)
    }

    /// The fixed registers.
    pub fn fadt(&self) -> Option<Fadt> {
        Fadt::parse(self.table(b"FACP")?)
    }

    /// The memory-mapped configuration spaces of PCI Express.
    pub fn ecam(&self) -> Vec<Ecam> {
        let entries = self.table(b"MCFG").and_then(|table| table.get(HEADER + 8..)).unwrap_or(&[]);
        let decode = |entry| {
            let ecam = Ecam {
                base: u64_at(entry, 0)?,
                segment: u16_at(entry, 8)?,
                first_bus: u8_at(entry, 10)?,
                last_bus: u8_at(entry, 11)?,
            };
            (ecam.base != 0 && ecam.first_bus <= ecam.last_bus).then_some(ecam)
        };
        entries.chunks_exact(16).filter_map(decode).collect()
    }

    /// The physical address of the high-precision timer's registers (IA-PC HPET 1.0a §3.2.4).
    pub fn hpet(&self) -> Option<u64> {
        match Register::parse(self.table(b"HPET")?, 40)? {
            Register::Memory(address) => Some(address),
            Register::Port(_) => None,
        }
    }

    /// The sleep type for soft off, from the DSDT or else an SSDT.
    pub fn soft_off(&self) -> Option<SleepType> {
        let secondary = self.tables.iter().filter(|table| table.signature.0 == *b"SSDT");
        let mut code = self.dsdt.iter().chain(secondary);
        code.find_map(|table| sleep::find_s5(table.bytes.get(HEADER..)?))
    }

    /// What it takes to turn the machine off or to reset it; log when either is missing.
    pub fn power_control(&self) -> PowerControl {
        PowerControl::new(self.fadt(), self.soft_off())
    }
}
