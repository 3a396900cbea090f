//! Where things are: the repository, and the artefacts under `target/aios` (never committed).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the repository.
pub fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// The cargo target directory: `CARGO_TARGET_DIR` where set, else `target` in the repository.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Where all artefacts of AIOS are: `target/aios`.
pub fn aios() -> PathBuf {
    target().join("aios")
}

/// One artefact by its name, e.g. `kernel.elf`.
pub fn artefact(name: &str) -> PathBuf {
    aios().join(name)
}

/// The assembled root file systems, one directory each.
pub fn images() -> PathBuf {
    artefact("images")
}

/// Removes the cargo target directory, artefacts and images included.
pub fn clean() -> Result<()> {
    let target = target();
    if target.exists() {
        fs::remove_dir_all(&target).with_context(|| format!("cannot remove {}", target.display()))?;
    }
    Ok(())
}

/// Writes `content` unless the file already holds it, so that time stamps tell real changes.
pub fn write_if_changed(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    // Through a second name: a machine that is being started never sees half a file.
    let fresh = path.with_extension(format!("new{}", std::process::id()));
    fs::write(&fresh, content).with_context(|| format!("cannot write {}", fresh.display()))?;
    fs::rename(&fresh, path).with_context(|| format!("cannot write {}", path.display()))
}

/// Copies `from` to `to` unless they are equal already.
pub fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    write_if_changed(to, &content)
}

/// Whether `made` was written after all of `sources`: false when one of the files cannot be looked at.
pub fn is_newer(made: &Path, sources: &[&Path]) -> bool {
    let written = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let Some(made) = written(made) else { return false };
    sources.iter().all(|source| written(source).is_some_and(|source| source < made))
}
