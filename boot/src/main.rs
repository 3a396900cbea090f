//! `aios-boot.efi`: starts the kernel on a machine with UEFI.
//!
//! Reads `\aios\kernel.elf`, `\aios\initramfs.cpio` and `\aios\cmdline.txt` from the volume it was loaded from, places
//! the kernel at a 2 MiB boundary below 4 GiB, and enters it with the address of a `BootInfo` in `rdi`, interrupts off, under the firmware's
//! identity mapping. Until boot services are gone every failure is a sentence on the console and a status for
//! the firmware, which then tries its next boot option.
#![cfg_attr(target_os = "uefi", no_std, no_main)]

#[cfg(target_os = "uefi")]
extern crate alloc;
#[cfg(target_os = "uefi")]
mod loader;

#[cfg(target_os = "uefi")]
#[uefi::entry]
fn efi_main() -> uefi::Status {
    match loader::prepare() {
        Ok(handoff) => handoff.enter(),
        Err(failure) => failure.report(),
    }
}

/// On any other target this program only says what it is, so that the whole workspace builds on the host.
#[cfg(not(target_os = "uefi"))]
fn main() {
    eprintln!("aios-boot is a UEFI program: build it with `cargo xtask build`");
}
