//! Debian packages that a command needs: installed when we are root on Debian, else named in one line to run.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};

use crate::exec;

/// A file that must exist, and the package that brings it.
pub struct Need {
    pub file: &'static str,
    pub package: &'static str,
}

/// What it takes to start a machine.
pub const EMULATOR: &[Need] = &[Need { file: "/usr/bin/qemu-system-x86_64", package: "qemu-system-x86" }];

/// Makes sure that all of `needs` are there.
///
/// # Errors
/// When something is missing and cannot be installed by us; the message holds the line to run.
pub fn ensure(needs: &[Need]) -> Result<()> {
    // One at a time: cases of a test run side by side, and the next may find its need met by the one before.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let missing: Vec<&str> =
        needs.iter().filter(|need| !Path::new(need.file).exists()).map(|need| need.package).collect();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

/// Installs packages, or says how.
pub fn install(packages: &[&str]) -> Result<()> {
    let line = format!("apt-get update && apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !Path::new("/etc/debian_version").exists() || !exec::exists("apt-get") {
        bail!(
            "missing: {}. This is not a Debian system: install what its packages of these names hold",
            packages.join(", ")
        );
    }
    if exec::capture(Command::new("id").arg("-u"))? != "0" {
        bail!("missing: {}. Run as root: {line}", packages.join(", "));
    }
    // Somebody else's installation may be under way, a timer's for instance: wait for it.
    const WAIT: &str = "-oDPkg::Lock::Timeout=600";
    exec::run("Reading Debian's package lists", Command::new("apt-get").args([WAIT, "-q", "update"]))?;
    let mut apt = Command::new("apt-get");
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    apt.args([WAIT, "-q", "-y", "install", "--no-install-recommends"]).args(packages);
    exec::run(&format!("Installing {}", packages.join(", ")), &mut apt)?;
    Ok(())
}
