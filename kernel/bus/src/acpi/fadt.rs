//! FADT: the fixed power-management registers (ACPI 6.5 §5.2.9).

use super::bytes::{u8_at, u16_at, u32_at, u64_at};

const FLAG_RESET: u32 = 1 << 10;
const FLAG_TIMER_32: u32 = 1 << 8;
const FLAG_HARDWARE_REDUCED: u32 = 1 << 20;

/// Where a register is: a generic address structure (ACPI 6.5 §5.2.3.2) of a kind this kernel can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// Physical address.
    Memory(u64),
    Port(u16),
}

impl Register {
    /// The structure at `offset`; `None` when absent, of another kind, or null.
    pub(super) fn parse(table: &[u8], offset: usize) -> Option<Register> {
        let space = u8_at(table, offset)?;
        match (space, u64_at(table, offset.checked_add(4)?)?) {
            (_, 0) => None,
            (0, address) => Some(Register::Memory(address)),
            (1, address) => u16::try_from(address).ok().map(Register::Port),
            _ => None,
        }
    }
}

/// The table, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fadt {
    /// Physical address of the DSDT.
    pub dsdt: u64,
    /// The port that switches from firmware to ACPI mode, and the value that does it.
    pub smi_command: Option<(u16, u8)>,
    pub pm1a_control: Option<Register>,
    pub pm1b_control: Option<Register>,
    /// The 3.579545 MHz timer, and whether it counts 32 bits (else 24).
    pub pm_timer: Option<(Register, bool)>,
    /// The register and value that reset the machine.
    pub reset: Option<(Register, u8)>,
    /// Sleep control register of a machine without the fixed hardware.
    pub sleep_control: Option<Register>,
    pub hardware_reduced: bool,
}

impl Fadt {
    pub(super) fn parse(table: &[u8]) -> Option<Fadt> {
        let port = |offset| {
            let port = u16::try_from(u32_at(table, offset)?).ok()?;
            (port != 0).then_some(Register::Port(port))
        };
        let either = |extended, legacy| Register::parse(table, extended).or_else(|| port(legacy));
        let flags = u32_at(table, 112).unwrap_or(0);
        let dsdt = u64_at(table, 140).filter(|at| *at != 0).or(u32_at(table, 40).map(u64::from))?;
        let smi = u16::try_from(u32_at(table, 48)?).ok().filter(|port| *port != 0);
        let enable = u8_at(table, 52)?;
        // SCI interrupt at 46 is unused until there are ACPI events; its presence shows the fixed part is whole.
        u16_at(table, 46)?;
        Some(Fadt {
            dsdt,
            smi_command: smi.filter(|_| enable != 0).map(|port| (port, enable)),
            pm1a_control: either(172, 64),
            pm1b_control: either(184, 68),
            pm_timer: either(208, 76).map(|register| (register, flags & FLAG_TIMER_32 != 0)),
            reset: Register::parse(table, 116).filter(|_| flags & FLAG_RESET != 0).zip(u8_at(table, 128)),
            sleep_control: Register::parse(table, 244),
            hardware_reduced: flags & FLAG_HARDWARE_REDUCED != 0,
        })
    }
}
