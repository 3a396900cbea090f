//! A CD that GRUB boots: BIOS firmware, the kernel entered through its Multiboot2 header.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::exec;
use crate::packages::{self, Need};

const GRUB: &[Need] = &[
    Need { file: "/usr/bin/grub-mkrescue", package: "grub-common" },
    Need { file: "/usr/lib/grub/i386-pc/multiboot2.mod", package: "grub-pc-bin" },
    Need { file: "/usr/bin/xorriso", package: "xorriso" },
    Need { file: "/usr/bin/mformat", package: "mtools" },
];

/// Writes `aios.iso` into `out_dir`.
///
/// # Errors
/// When GRUB's tools are missing and cannot be installed, or a file cannot be read or written.
pub fn grub_iso(kernel: &Path, initramfs: Option<&Path>, cmdline: &str, out_dir: &Path) -> Result<PathBuf> {
    packages::ensure(GRUB)?;
    let tree = out_dir.join("iso");
    for folder in ["aios", "boot/grub"] {
        let folder = tree.join(folder);
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let copy = |from: &Path, name: &str| {
        fs::copy(from, tree.join(name)).with_context(|| format!("cannot copy {}", from.display()))
    };
    copy(kernel, "aios/kernel.elf")?;
    if let Some(initramfs) = initramfs {
        copy(initramfs, "aios/initramfs.cpio")?;
    }
    let script = tree.join("boot/grub/grub.cfg");
    fs::write(&script, configuration(cmdline, initramfs.is_some()))
        .with_context(|| format!("cannot write {}", script.display()))?;

    let image = out_dir.join("aios.iso");
    exec::capture(Command::new("grub-mkrescue").arg("-o").arg(&image).arg(&tree))?;
    Ok(image)
}

/// GRUB's script. Its own messages go to the second serial port too, beside the kernel's log.
fn configuration(cmdline: &str, initramfs: bool) -> String {
    let words: String = cmdline.split_whitespace().map(|word| format!(" {}", quote(word))).collect();
    let module = if initramfs { "module2 /aios/initramfs.cpio initramfs\n" } else { "" };
    format!(
        "serial --unit=1 --speed=115200\nterminal_output console serial\n\
         multiboot2 /aios/kernel.elf{words}\n{module}boot\n"
    )
}

/// One word that GRUB's shell takes as it is.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::configuration;

    #[test]
    fn words_reach_the_kernel_as_they_are() {
        let script = configuration(" aios.args=a%20b;$HOME  it's\n", true);
        assert!(script.contains(r"multiboot2 /aios/kernel.elf 'aios.args=a%20b;$HOME' 'it'\''s'"), "{script}");
        assert!(script.contains("module2 /aios/initramfs.cpio"));
        assert!(!configuration("", false).contains("module2"));
    }
}
