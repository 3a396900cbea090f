//! What the UEFI loader decides, without UEFI: which bytes of the kernel go where, what the firmware's memory map means,
//! what the command line is, whether the firmware's page tables are fit for the jump.
//!
//! Everything here takes foreign bytes and returns an error rather than panicking.
#![no_std]
#![forbid(unsafe_code)]

pub mod cmdline;
pub mod elf;
pub mod memory;
pub mod paging;
