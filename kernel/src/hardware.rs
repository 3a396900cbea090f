//! The devices of this machine, found once.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use kernel_bus::acpi::{Acpi, PowerControl};
use kernel_bus::pci::Pci;
use kernel_drivers::virtio::{P9Channel, SerialPorts};
use kernel_hal::boot::Boot;
use kernel_hal::{power, time};
use kernel_linux::PowerRequest;
use kernel_sync::{Once, WaitQueue};

use crate::{platform, sched_trace};

/// How long a switch that was thrown may take to have its effect.
const PATIENCE: Duration = Duration::from_secs(10);

/// What later steps use.
pub struct Hardware {
    /// Directories that the host shares.
    pub shares: Vec<Arc<P9Channel>>,
    /// Byte streams to the host.
    pub streams: Option<Arc<SerialPorts>>,
}

static POWER: Once<PowerControl> = Once::new();

/// Takes over the buses.
pub fn find(boot: &Boot, acpi: Option<&Acpi>) -> Hardware {
    if let Some(acpi) = acpi {
        POWER.set(acpi.power_control());
    }
    platform::route_interrupts(boot, acpi.and_then(Acpi::madt).as_ref());
    kernel_linux::set_power(switch);
    start_processors(acpi);
    let mut pci = Pci::enumerate(acpi);
    let shares = P9Channel::probe_all(&mut pci);
    let streams = SerialPorts::probe(&mut pci);
    Hardware { shares, streams }
}

/// Starts the processors that the firmware lists and that are on.
fn start_processors(acpi: Option<&Acpi>) {
    let Some(madt) = acpi.and_then(Acpi::madt) else { return };
    let numbers: Vec<u32> = madt.local_apics.iter().filter(|cpu| cpu.enabled).map(|cpu| cpu.apic_id).collect();
    if numbers.len() < 2 {
        return;
    }
    match kernel_sched::start_cpus(&numbers, kernel_mm::add_cpu) {
        Ok(count) => log::info!("{count} of {} processors run", numbers.len()),
        Err(error) => log::warn!("the other processors stay off: {error}"),
    }
}

/// Switches the machine off or resets it. A machine that cannot do it, or does not, is halted: nobody who asked for its
/// end expects to go on.
fn switch(request: PowerRequest) -> ! {
    kernel_linux::missed(&mut |name, count| log::info!("call {name} is not supported: made {count} times"));
    sched_trace::finish();
    power::ends_orderly();
    let control = POWER.get();
    let asked = match request {
        PowerRequest::Off => control.and_then(PowerControl::power_off),
        PowerRequest::Restart => control.and_then(PowerControl::reset),
        PowerRequest::Halt => power::halt(),
    };
    if asked.is_some() {
        // Asleep, so that the machine is not kept busy: an emulator ends in a thread of its own, when it gets to it.
        let end = time::now() + PATIENCE;
        WaitQueue::new().wait_uninterruptible_deadline(end, || None::<()>);
    }
    if request == PowerRequest::Restart {
        power::reset();
    }
    match asked {
        Some(()) => log::error!("this machine is still on {} s after it was switched off: halted", PATIENCE.as_secs()),
        None => log::error!("this machine cannot be switched off by software: halted"),
    }
    power::halt()
}
