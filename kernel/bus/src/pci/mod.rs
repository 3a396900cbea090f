//! PCI and PCI Express: configuration space, enumeration, address registers, capabilities, interrupts.
//!
//! The bus owns every function it found until a driver claims it; from then on the driver owns it alone. What
//! functions say about themselves is foreign input: lists are bounded, sizes checked, absent registers read as all ones.

mod bar;
mod capability;
mod config;
mod function;
mod msi;
mod scan;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use bar::Bar;
pub use capability::Capabilities;
pub use config::{Address, ConfigAccess, EcamAccess, PortAccess};
pub use function::{Function, Header, Identity};
pub use msi::{MsiX, enable_msi};

use crate::acpi::Acpi;

/// Which functions a driver can drive. An empty list of devices means any device of that vendor and class.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    pub vendor: Option<u16>,
    pub devices: &'a [u16],
    /// Class value, and the bits of it that count.
    pub class: Option<(u32, u32)>,
}

impl Match<'_> {
    fn accepts(&self, identity: &Identity) -> bool {
        self.vendor.is_none_or(|vendor| vendor == identity.vendor)
            && (self.devices.is_empty() || self.devices.contains(&identity.device))
            && self.class.is_none_or(|(class, mask)| identity.class & mask == class & mask)
    }
}

/// All functions of the machine.
pub struct Pci {
    unclaimed: Vec<Function>,
    found: Vec<(Address, Identity)>,
}

impl Pci {
    /// Scans the machine: by memory where ACPI says where, else through the ports.
    pub fn enumerate(acpi: Option<&Acpi>) -> Pci {
        let mut unclaimed = Vec::new();
        for ecam in acpi.map(Acpi::ecam).unwrap_or_default() {
            let access: Arc<dyn ConfigAccess> = Arc::new(EcamAccess::new(ecam));
            unclaimed.extend(scan::scan(&access, ecam.segment, ecam.first_bus));
        }
        if unclaimed.is_empty()
            && let Some(ports) = PortAccess::new()
        {
            let access: Arc<dyn ConfigAccess> = Arc::new(ports);
            unclaimed = scan::scan(&access, 0, 0);
        }
        let found = unclaimed.iter().map(|function| (function.address, function.identity)).collect();
        Pci { unclaimed, found }
    }

    /// Gives the first unclaimed function that `wanted` accepts to the caller.
    pub fn claim(&mut self, wanted: &Match<'_>) -> Option<Function> {
        let index = self.unclaimed.iter().position(|function| wanted.accepts(&function.identity))?;
        Some(self.unclaimed.remove(index))
    }

    /// Every function that was found, claimed or not.
    pub fn found(&self) -> &[(Address, Identity)] {
        &self.found
    }
}
