//! The interrupt controllers of this machine, as its firmware describes them.

use alloc::vec::Vec;

use kernel_bus::acpi::{Madt, SourceOverride};
use kernel_hal::boot::Boot;
use kernel_hal::irq::redirection::{Polarity, Trigger, Wiring};
use kernel_hal::irq::{self, IoApicAt, IsaOverride};

/// Takes over the I/O APICs. Without any, or with `noapic` on the command line, the old controllers serve the ISA lines.
pub fn route_interrupts(boot: &Boot, madt: Option<&Madt>) {
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
