//! Makes the directory tree: unpacks packages without installing them, then adds what their scripts would have made.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::archive::Fetched;
use super::definition::Definition;
use crate::progress;

/// Debian's merged /usr: these are links into /usr, and packages that still name the old paths land there.
const MERGED: &[&str] = &["bin", "sbin", "lib", "lib64"];

/// An empty root with the merged /usr.
pub fn start(root: &Path) -> Result<()> {
    for name in MERGED {
        make_directory(&root.join("usr").join(name))?;
        make_link(&root.join(name), &format!("usr/{name}"))?;
    }
    Ok(())
}

/// Unpacks all packages but for the paths that match `leave_out`.
pub fn unpack(root: &Path, packages: &[Fetched], leave_out: &[String]) -> Result<()> {
    let bar = progress::bar(packages.len() as u64, "Unpacking Debian packages");
    for package in packages {
        bar.set_message(package.pin.package.clone());
        unpack_one(root, &package.file, leave_out)
            .with_context(|| format!("cannot unpack {}", package.file.display()))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn unpack_one(root: &Path, file: &Path, leave_out: &[String]) -> Result<()> {
    let mut source =
        Command::new("dpkg-deb").arg("--fsys-tarfile").arg(file).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let Some(stream) = source.stdout.take() else { bail!("dpkg-deb gave no output") };
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--file=-", "--keep-directory-symlink", "--preserve-permissions"]);
    tar.arg("--directory").arg(root);
    tar.args(leave_out.iter().map(|pattern| format!("--exclude={pattern}")));
    let unpacked = tar.stdin(stream).output()?;
    let read = source.wait()?;
    if !unpacked.status.success() {
        bail!("tar: {}", String::from_utf8_lossy(&unpacked.stderr).trim());
    }
    if !read.success() {
        bail!("dpkg-deb failed ({read}): the file is damaged");
    }
    Ok(())
}

/// Adds directories, files, links and busybox applets of one definition.
pub fn furnish(root: &Path, definition: &Definition) -> Result<()> {
    for (path, mode) in &definition.directories {
        let bits = u32::from_str_radix(mode, 8).with_context(|| format!("`{mode}` ({path}) is not an octal mode"))?;
        let inside = inside(root, path)?;
        make_directory(&inside)?;
        fs::set_permissions(&inside, Permissions::from_mode(bits))
            .with_context(|| format!("cannot set the mode of {path}"))?;
    }
    for (path, content) in &definition.files {
        let inside = inside(root, path)?;
        // A link of a package must not lead the write out of the image.
        remove_file(&inside)?;
        fs::write(&inside, content).with_context(|| format!("cannot write {path} of the image"))?;
        fs::set_permissions(&inside, Permissions::from_mode(0o644))
            .with_context(|| format!("cannot set the mode of {path}"))?;
    }
    for (path, target) in &definition.links {
        let inside = inside(root, path)?;
        remove_file(&inside)?;
        make_link(&inside, target)?;
    }
    for name in &definition.applets {
        let taken = ["usr/bin", "usr/sbin"].iter().any(|dir| root.join(dir).join(name).symlink_metadata().is_ok());
        if !taken {
            make_link(&root.join("usr/bin").join(name), "busybox")?;
        }
    }
    Ok(())
}

/// Where an absolute path of the image is on the host; its parent directory exists afterwards.
fn inside(root: &Path, path: &str) -> Result<PathBuf> {
    let relative = path.strip_prefix('/').filter(|rest| !rest.split('/').any(|part| part.is_empty() || part == ".."));
    let Some(relative) = relative else { bail!("`{path}` is not an absolute path inside the image") };
    let inside = root.join(relative);
    if let Some(parent) = inside.parent() {
        make_directory(parent)?;
    }
    Ok(inside)
}

fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

fn make_link(path: &Path, target: &str) -> Result<()> {
    symlink(target, path).with_context(|| format!("cannot link {} to {target}", path.display()))
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot replace {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside_the_image() {
        let root = std::env::temp_dir();
        for bad in ["etc/passwd", "/../etc", "/a/../../b", "//etc", "/"] {
            assert!(inside(&root, bad).is_err(), "{bad}");
        }
    }
}
