//! How devices are found and reached: ACPI's static tables and PCI.
//!
//! The rooms above ask [`acpi::Acpi`] for the machine's fixed facts and claim functions from [`pci::Pci`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod acpi;
pub mod pci;
