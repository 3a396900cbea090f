//! The devices of this machine, found once.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use aios_abi::boot::PhysRead;
use kernel_bus::acpi::{Acpi, PowerControl};
use kernel_bus::pci::Pci;
use kernel_drivers::virtio::ninep::P9Channel;
use kernel_hal::addr::Phys;
use kernel_hal::boot::Boot;
use kernel_hal::{cpu, firmware, power, time};
use kernel_linux::PowerRequest;
use kernel_sync::Once;

/// What later steps use.
pub struct Hardware {
    /// Directories that the host shares.
    pub shares: Vec<Arc<P9Channel>>,
}

struct Firmware;

impl PhysRead for Firmware {
    fn read(&self, addr: u64, out: &mut [u8]) -> bool {
        firmware::read(Phys(addr), out)
    }
}

static POWER: Once<PowerControl> = Once::new();

/// Reads the firmware's tables and takes over the buses.
pub fn find(boot: &Boot) -> Hardware {
    let acpi = match Acpi::read(&Firmware, boot.info.rsdp) {
        Ok(acpi) => Some(acpi),
        Err(error) => {
            log::warn!("no ACPI: {error}");
            None
        }
    };
    if let Some(acpi) = &acpi {
        POWER.set(acpi.power_control());
    }
    kernel_linux::set_power(switch);
    let mut pci = Pci::enumerate(acpi.as_ref());
    let shares = P9Channel::probe_all(&mut pci);
    Hardware { shares }
}

/// Switches the machine off or resets it; returns when there is no way to do it.
fn switch(request: PowerRequest) {
    kernel_linux::missed(&mut |name, count| log::info!("call {name} is not supported: made {count} times"));
    let control = POWER.get();
    match request {
        PowerRequest::Off => {
            // Interrupts stay on: the log's last bytes are out already, since its port is polled.
            if control.and_then(PowerControl::power_off).is_none() {
                log::error!("this machine cannot be switched off by software");
                return;
            }
            take_effect();
        }
        PowerRequest::Restart => {
            if control.and_then(PowerControl::reset).is_none() {
                power::reset();
            }
            take_effect();
        }
        PowerRequest::Halt => power::halt(),
    }
}

/// Waits for the switch that was just thrown: the machine may run on for a moment.
fn take_effect() {
    let end = time::now() + Duration::from_secs(1);
    while time::now() < end {
        cpu::relax();
    }
}
