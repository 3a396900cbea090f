//! Media that real firmware boots from: an EFI system partition for UEFI, a GRUB CD for BIOS and Multiboot2.
//!
//! Each maker writes one file into a directory of the caller's and returns its path; [`Medium::arguments`] attaches it to QEMU.

mod esp;
mod iso;
mod ovmf;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub use esp::esp_image;
pub use iso::grub_iso;
pub use ovmf::Ovmf;

/// What the firmware reads.
pub enum Medium {
    /// A disk image, such as [`esp_image`] makes.
    Disk(PathBuf),
    /// A CD image, such as [`grub_iso`] makes.
    Cd(PathBuf),
}

impl Medium {
    /// QEMU options that attach the medium to a q35 machine as the first to boot from.
    pub fn arguments(&self) -> Vec<OsString> {
        let (path, drive, device) = match self {
            Medium::Disk(path) => (path, "if=none,id=boot,format=raw,snapshot=on,file=", "ide-hd"),
            Medium::Cd(path) => (path, "if=none,id=boot,format=raw,readonly=on,media=cdrom,file=", "ide-cd"),
        };
        let device = format!("{device},drive=boot,bus=ide.0,bootindex=0");
        vec!["-drive".into(), with_path(drive, path), "-device".into(), device.into()]
    }
}

/// A QEMU option that ends in a path; a comma in it must be doubled.
fn with_path(start: &str, path: &Path) -> OsString {
    format!("{start}{}", path.display().to_string().replace(',', ",,")).into()
}
