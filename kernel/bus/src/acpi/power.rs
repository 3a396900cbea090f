//! Turning the machine off (ACPI 6.5 §4.8.3.2, §4.8.3.7) and resetting it (§4.8.3.6).

use kernel_hal::addr::Phys;
use kernel_hal::mmio::Region;
use kernel_hal::port::Ports;

use super::{Fadt, Register, SleepType};

const SLEEP_ENABLE: u16 = 1 << 13;
const SLEEP_TYPE: u16 = 7 << 10;
const SCI_ENABLED: u16 = 1;
/// Reads of the control register until the firmware must have switched to ACPI mode.
const MODE_SWITCH_TRIES: usize = 100_000;

/// How this machine enters soft off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerOff {
    /// Through the PM1 control registers, after a switch to ACPI mode where the machine has one.
    Fixed { pm1a: Register, pm1b: Option<Register>, sleep: SleepType, enable: Option<(u16, u8)> },
    /// Through the sleep control register of hardware-reduced ACPI.
    Reduced { control: Register, sleep: SleepType },
}

/// The registers that end a machine's run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerControl {
    pub off: Option<PowerOff>,
    pub reset: Option<(Register, u8)>,
}

impl PowerControl {
    pub(super) fn new(fadt: Option<Fadt>, sleep: Option<SleepType>) -> PowerControl {
        let Some(fadt) = fadt else { return PowerControl { off: None, reset: None } };
        let fixed = |sleep| {
            let pm1a = fadt.pm1a_control?;
            Some(PowerOff::Fixed { pm1a, pm1b: fadt.pm1b_control, sleep, enable: fadt.smi_command })
        };
        let reduced = |sleep| Some(PowerOff::Reduced { control: fadt.sleep_control?, sleep });
        let off = if fadt.hardware_reduced { sleep.and_then(reduced) } else { sleep.and_then(fixed) };
        PowerControl { off, reset: fadt.reset }
    }

    /// Asks the machine to turn itself off. Returns when it does not know how: `None`, or nothing happened.
    pub fn power_off(&self) -> Option<()> {
        match self.off? {
            PowerOff::Fixed { pm1a, pm1b, sleep, enable } => {
                enter_acpi_mode(pm1a, enable);
                enter_sleep(pm1a, sleep.a)?;
                pm1b.map_or(Some(()), |pm1b| enter_sleep(pm1b, sleep.b))
            }
            PowerOff::Reduced { control, sleep } => write8(control, sleep.a << 2 | 1 << 5),
        }
    }

    /// Asks the machine to reset itself. Returns when it does not know how: `None`, or nothing happened.
    pub fn reset(&self) -> Option<()> {
        let (register, value) = self.reset?;
        write8(register, value)
    }
}

fn enter_sleep(register: Register, kind: u8) -> Option<()> {
    let value = read16(register)? & !(SLEEP_TYPE | SLEEP_ENABLE) | u16::from(kind) << 10;
    write16(register, value)?;
    write16(register, value | SLEEP_ENABLE)
}

/// Takes the fixed registers over from the firmware's management mode, if that has not happened yet.
fn enter_acpi_mode(pm1a: Register, enable: Option<(u16, u8)>) {
    let switched = || read16(pm1a).is_none_or(|value| value & SCI_ENABLED != 0);
    let Some((port, value)) = enable else { return };
    if switched() {
        return;
    }
    if write8(Register::Port(port), value).is_some() {
        let _ = (0..MODE_SWITCH_TRIES).find(|_| switched());
    }
}

fn region(address: u64, len: usize) -> Option<Region> {
    let region = Region::map(Phys(address), len);
    if region.is_none() {
        log::warn!("the ACPI register at {address:#x} cannot be mapped");
    }
    region
}

fn read16(register: Register) -> Option<u16> {
    match register {
        Register::Port(port) => Some(Ports::new(port, 2)?.in16(0)),
        Register::Memory(address) => Some(region(address, 2)?.read16(0)),
    }
}

fn write16(register: Register, value: u16) -> Option<()> {
    match register {
        Register::Port(port) => Ports::new(port, 2)?.out16(0, value),
        Register::Memory(address) => region(address, 2)?.write16(0, value),
    }
    Some(())
}

fn write8(register: Register, value: u8) -> Option<()> {
    match register {
        Register::Port(port) => Ports::new(port, 1)?.out8(0, value),
        Register::Memory(address) => region(address, 1)?.write8(0, value),
    }
    Some(())
}
