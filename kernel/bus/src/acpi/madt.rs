//! MADT: the interrupt controllers of the machine (ACPI 6.5 §5.2.12).

use alloc::vec::Vec;

use super::bytes::{u8_at, u16_at, u32_at, u64_at};

/// Where a controller structure list begins, after the fixed fields.
const ENTRIES: usize = 44;
/// `PCAT_COMPAT`: the machine also has a pair of 8259 controllers, to be masked.
const HAS_LEGACY_PICS: u32 = 1;
const ENABLED: u32 = 1;
const ONLINE_CAPABLE: u32 = 2;

/// One processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalApic {
    pub apic_id: u32,
    /// Usable now, as against only present or able to be plugged in later.
    pub enabled: bool,
}

/// One I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApic {
    pub id: u8,
    /// Physical address of its two registers.
    pub address: u64,
    /// Global interrupt number of its first pin.
    pub gsi_base: u32,
}

/// An ISA interrupt that does not arrive at the pin of the same number, edge triggered and active high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceOverride {
    pub isa_irq: u8,
    pub gsi: u32,
    pub active_low: bool,
    pub level: bool,
}

/// The table, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Madt {
    /// Physical address of the local APICs' registers.
    pub local_apic_address: u64,
    pub has_legacy_pics: bool,
    pub local_apics: Vec<LocalApic>,
    pub io_apics: Vec<IoApic>,
    pub overrides: Vec<SourceOverride>,
}

impl Madt {
    /// Decodes a checked table. Structures of unknown type are skipped; a broken length ends the list.
    pub(super) fn parse(table: &[u8]) -> Option<Madt> {
        let flags = u32_at(table, 40)?;
        let mut madt = Madt {
            local_apic_address: u64::from(u32_at(table, 36)?),
            has_legacy_pics: flags & HAS_LEGACY_PICS != 0,
            local_apics: Vec::new(),
            io_apics: Vec::new(),
            overrides: Vec::new(),
        };
        let mut rest = table.get(ENTRIES..)?;
        while let [kind, length, ..] = *rest {
            let length = usize::from(length);
            if length < 2 {
                break;
            }
            let Some((entry, next)) = rest.split_at_checked(length) else { break };
            // A structure too short for its type is skipped like an unknown one.
            let _ = madt.entry(kind, entry);
            rest = next;
        }
        Some(madt)
    }

    fn entry(&mut self, kind: u8, entry: &[u8]) -> Option<()> {
        match kind {
            0 => self.processor(u32::from(u8_at(entry, 3)?), u32_at(entry, 4)?),
            1 => self.io_apics.push(IoApic {
                id: u8_at(entry, 2)?,
                address: u64::from(u32_at(entry, 4)?),
                gsi_base: u32_at(entry, 8)?,
            }),
            2 => {
                let flags = u16_at(entry, 8)?;
                self.overrides.push(SourceOverride {
                    isa_irq: u8_at(entry, 3)?,
                    gsi: u32_at(entry, 4)?,
                    // 0 means "as the bus has it", which for ISA is edge and active high.
                    active_low: flags & 3 == 3,
                    level: (flags >> 2) & 3 == 3,
                });
            }
            5 => self.local_apic_address = u64_at(entry, 4)?,
            9 => self.processor(u32_at(entry, 4)?, u32_at(entry, 8)?),
            _ => {}
        }
        Some(())
    }

    fn processor(&mut self, apic_id: u32, flags: u32) {
        let known = self.local_apics.iter().any(|cpu| cpu.apic_id == apic_id);
        if !known && flags & (ENABLED | ONLINE_CAPABLE) != 0 {
            self.local_apics.push(LocalApic { apic_id, enabled: flags & ENABLED != 0 });
        }
    }
}
