//! Memory: which frames are handed out and who pays for them.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod account;
mod frames;
#[cfg(test)]
mod testing;

pub use account::{Account, KernelCharge, charge_kernel_bytes};
pub use frames::{MemoryStats, gate, stats};

/// Takes over all free memory and makes the kernel's account. Called once, when the number of CPUs is known.
pub fn init() {
    account::init();
    frames::init();
}
