//! The EFI system partition: a FAT32 image with the loader where UEFI looks for it, and what the loader reads.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::exec;
use crate::packages::{self, Need};

const MTOOLS: &[Need] = &[Need { file: "/usr/bin/mformat", package: "mtools" }];
const MIB: u64 = 1 << 20;
/// FAT32 needs 65,525 clusters; with one sector a cluster that is 32 MiB, and some firmware reads nothing else.
const LEAST: u64 = 64 * MIB;

/// Writes `esp.img` into `out_dir`, without needing root.
///
/// # Errors
/// When `mtools` is missing and cannot be installed, or a file cannot be read or written.
pub fn esp_image(
    kernel: &Path,
    loader: &Path,
    initramfs: Option<&Path>,
    cmdline: &str,
    out_dir: &Path,
) -> Result<PathBuf> {
    packages::ensure(MTOOLS)?;
    fs::create_dir_all(out_dir).with_context(|| format!("cannot create {}", out_dir.display()))?;
    let words = out_dir.join("cmdline.txt");
    fs::write(&words, format!("{cmdline}\n")).with_context(|| format!("cannot write {}", words.display()))?;

    let mut files = vec![
        (loader, "::/EFI/BOOT/BOOTX64.EFI"),
        (kernel, "::/aios/kernel.elf"),
        (words.as_path(), "::/aios/cmdline.txt"),
    ];
    files.extend(initramfs.map(|path| (path, "::/aios/initramfs.cpio")));
    let mut size = 0;
    for (path, _) in &files {
        size += path.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
    }

    let image = out_dir.join("esp.img");
    let file = File::create(&image).with_context(|| format!("cannot create {}", image.display()))?;
    // A sixteenth more than the files need pays for allocation tables, directories and half-used clusters.
    file.set_len((size + size / 16).next_multiple_of(MIB).max(LEAST))?;
    drop(file);
    let tool = |name: &str| {
        let mut tool = Command::new(name);
        // The size of the image is a whole number of MiB, not of tracks, which mtools would complain about.
        tool.env("MTOOLS_SKIP_CHECK", "1").arg("-i").arg(&image);
        tool
    };
    exec::capture(tool("mformat").args(["-F", "-v", "AIOS", "::"]))?;
    exec::capture(tool("mmd").args(["::/EFI", "::/EFI/BOOT", "::/aios"]))?;
    for (path, place) in files {
        exec::capture(tool("mcopy").arg(path).arg(place))?;
    }
    Ok(image)
}
