//! What this machine's firmware says of it, and the interrupt controllers and clocks that it describes.

use alloc::vec::Vec;

use core::time::Duration;

use aios_abi::boot::PhysRead;
use kernel_bus::acpi::{Acpi, Madt, Register, SourceOverride};
use kernel_hal::addr::Phys;
use kernel_hal::boot::Boot;
use kernel_hal::irq::redirection::{Polarity, Trigger, Wiring};
use kernel_hal::irq::{self, IoApicAt, IsaOverride};
use kernel_hal::time::{PmTimerAt, PmTimerPlace, References};
use kernel_hal::{firmware, time};

struct Firmware;

impl PhysRead for Firmware {
    fn read(&self, addr: u64, out: &mut [u8]) -> bool {
        firmware::read(Phys(addr), out)
    }
}

/// The firmware's tables.
pub fn tables(boot: &Boot) -> Option<Acpi> {
    match Acpi::read(&Firmware, boot.info.rsdp) {
        Ok(acpi) => Some(acpi),
        Err(error) => {
            log::warn!("no ACPI: {error}");
            None
        }
    }
}

/// Measures the clock against the best counter that the firmware names. `clocksource=` on the command line takes the choice:
/// `hpet`, `acpi_pm`, or `tsc` for the processors' own, measured against the interval timer.
pub fn start_clock(boot: &Boot, acpi: Option<&Acpi>) {
    let wanted = boot.option("clocksource");
    let may_use = |name: &str| wanted.is_none_or(|wanted| wanted == name);
    let pm_timer = |(register, wide)| {
        let place = match register {
            Register::Port(port) => PmTimerPlace::Port(port),
            Register::Memory(address) => PmTimerPlace::Memory(address),
        };
        PmTimerAt { place, wide }
    };
    time::calibrate(References {
        hpet: acpi.filter(|_| may_use("hpet")).and_then(Acpi::hpet),
        pm_timer: acpi.filter(|_| may_use("acpi_pm")).and_then(Acpi::fadt).and_then(|fadt| fadt.pm_timer).map(pm_timer),
        distrust_counter: wanted.is_some_and(|wanted| wanted != "tsc"),
    });
}

/// How long the second measurement of the clock takes.
const SECOND_LOOK: Duration = Duration::from_secs(1);

/// Measures the clock once more, when the system runs.
pub fn refine_clock() {
    let started = kernel_sched::spawn("clock", || {
        let never = kernel_sync::WaitQueue::new();
        let _over = never.wait_uninterruptible_deadline(time::now() + SECOND_LOOK, || None::<()>);
        time::refine();
    });
    if started.is_err() {
        log::warn!("no memory to measure the clock again");
    }
}

/// Where interrupts go: `irqaffinity=` on the command line names a processor, or a list of which the first counts.
fn choose_target(boot: &Boot) {
    let first = boot.option("irqaffinity").and_then(|list| list.split([',', '-']).next());
    match first.map(str::parse) {
        Some(Ok(cpu)) => irq::set_default_cpu(cpu),
        Some(Err(_)) => log::warn!("irqaffinity= names no processor"),
        None => {}
    }
}

/// Takes over the I/O APICs. Without any, or with `noapic` on the command line, the old controllers serve the ISA lines.
pub fn route_interrupts(boot: &Boot, madt: Option<&Madt>) {
    choose_target(boot);
    let madt = madt.filter(|_| boot.option("noapic").is_none());
    let places: Vec<IoApicAt> = madt.iter().flat_map(|madt| &madt.io_apics).map(place).collect();
    let overrides: Vec<IsaOverride> = madt.iter().flat_map(|madt| &madt.overrides).map(moved).collect();
    if !irq::install(&places, &overrides) {
        log::warn!("no I/O APIC: interrupts of the old devices come through the old controllers");
    }
}

fn place(found: &kernel_bus::acpi::IoApic) -> IoApicAt {
    IoApicAt { address: found.address, gsi_base: found.gsi_base }
}

fn moved(found: &SourceOverride) -> IsaOverride {
    let trigger = if found.level { Trigger::Level } else { Trigger::Edge };
    let polarity = if found.active_low { Polarity::Low } else { Polarity::High };
    IsaOverride { line: found.isa_irq, gsi: found.gsi, wiring: Wiring { trigger, polarity } }
}
