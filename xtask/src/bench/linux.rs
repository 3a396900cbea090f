//! The Linux that is measured against: Debian's kernel for virtual machines, as apt offers it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{exec, image, paths};

const METAPACKAGE: &str = "linux-image-cloud-amd64";

/// The kernel image, unpacked but not installed, and its version, such as `6.1.0-56-cloud-amd64`.
///
/// # Errors
/// When it is not there yet and cannot be fetched.
pub fn kernel() -> Result<(PathBuf, String)> {
    let place = paths::artefact("bench/linux");
    if let Some(found) = find(&place.join("boot")) {
        return Ok(found);
    }
    let package = image::archive::fetch_behind(METAPACKAGE)?;
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    exec::run("Unpacking Linux", Command::new("dpkg-deb").arg("-x").arg(&package).arg(&place))?;
    // Its modules are not needed; the kernel proper has all that the machine needs built in.
    let _ = fs::remove_dir_all(place.join("lib"));
    let _ = fs::remove_dir_all(place.join("usr"));
    find(&place.join("boot")).with_context(|| format!("there is no kernel in {}", package.display()))
}

fn find(boot: &Path) -> Option<(PathBuf, String)> {
    let names = fs::read_dir(boot).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    names
        .filter_map(|path| {
            let version = path.file_name()?.to_str()?.strip_prefix("vmlinuz-")?.to_owned();
            Some((path, version))
        })
        .max()
}
