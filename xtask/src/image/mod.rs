//! `cargo xtask image`: root file systems assembled from Debian packages, as directories under `target/aios/images`.
//!
//! A definition (`images/NAME.toml`) names packages, files and links; a lock file pins each package to a version and a
//! hash. Packages are unpacked, not installed, so no root is needed and nothing of the host leaks in. A manifest beside
//! the directory holds a digest of everything the image was made from; equal digest, nothing to do.

pub mod archive;
mod definition;
mod finish;
mod lock;
mod tree;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use sha2::{Digest, Sha256};

use self::archive::Fetched;
use self::definition::Layer;
use crate::{exec, paths, progress};

/// The command line of `cargo xtask image`.
#[derive(Args)]
pub struct Arguments {
    /// The image to assemble; without it, the images are listed
    name: Option<String>,
    /// Pin the newest versions that Debian offers, then assemble
    #[arg(long, requires = "name")]
    update: bool,
    /// Assemble even when nothing changed
    #[arg(long, requires = "name")]
    force: bool,
}

/// Runs `cargo xtask image`.
pub fn command(arguments: &Arguments) -> Result<()> {
    let Some(name) = &arguments.name else {
        for (name, description) in list()? {
            println!("{name:10} {description}");
        }
        return Ok(());
    };
    if arguments.update {
        update(name)?;
    }
    let directory = if arguments.force { build(name)? } else { ensure(name)? };
    println!("{}", directory.display());
    Ok(())
}

/// Name and description of every image.
pub fn list() -> Result<Vec<(String, String)>> {
    definition::names()?
        .into_iter()
        .map(|name| {
            let layers = definition::layers(&name)?;
            let description = layers.last().map(|layer| layer.definition.description.clone()).unwrap_or_default();
            Ok((name, description))
        })
        .collect()
}

/// Makes sure that image `name` is defined, before something long is done for it.
pub fn check(name: &str) -> Result<()> {
    definition::layers(name).map(|_| ())
}

/// The directory of image `name`, assembled first where it is missing or its definition changed.
pub fn ensure(name: &str) -> Result<PathBuf> {
    let layers = definition::layers(name)?;
    let (directory, manifest) = places(name);
    let wanted = digest(&layers);
    let current = || directory.is_dir() && built_from(&manifest).is_some_and(|digest| digest == wanted);
    if current() {
        return Ok(directory);
    }
    let _lock = lock_images()?;
    // Another command may have assembled it while we waited.
    if !current() {
        assemble(name, &layers)?;
    }
    Ok(directory)
}

/// Assembles image `name` anew.
pub fn build(name: &str) -> Result<PathBuf> {
    let layers = definition::layers(name)?;
    let _lock = lock_images()?;
    assemble(name, &layers)?;
    Ok(places(name).0)
}

/// Pins the newest packages for image `name` and those it extends.
fn update(name: &str) -> Result<()> {
    for layer in definition::layers(name)? {
        let pins = archive::resolve(&layer.definition.packages)?;
        let path = definition::lock_path(&layer.name);
        paths::write_if_changed(&path, lock::format(&layer.name, &pins).as_bytes())?;
    }
    Ok(())
}

/// The directory and the manifest of image `name`.
fn places(name: &str) -> (PathBuf, PathBuf) {
    (paths::images().join(name), paths::images().join(format!("{name}.manifest")))
}

/// Held while images change, so that two commands at once do not assemble into each other.
fn lock_images() -> Result<File> {
    let directory = paths::images();
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let path = directory.join(".lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

/// A digest over all that decides what the image holds, this code included.
fn digest(layers: &[Layer]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(concat!(include_str!("tree.rs"), include_str!("finish.rs"), include_str!("mod.rs")));
    for layer in layers {
        hasher.update(&layer.text);
    }
    archive::hex(&hasher.finalize())
}

/// The digest in a manifest.
fn built_from(manifest: &Path) -> Option<String> {
    fs::read_to_string(manifest).ok()?.lines().next()?.strip_prefix("digest ").map(str::to_owned)
}

fn assemble(name: &str, layers: &[Layer]) -> Result<()> {
    let mut pins = Vec::new();
    for layer in layers {
        for package in &layer.definition.packages {
            let Some(pin) = layer.pins.iter().find(|pin| &pin.package == package) else {
                bail!("images/{0}.lock has no pin for `{package}`: run `cargo xtask image {0} --update`", layer.name);
            };
            pins.push(pin.clone());
        }
    }
    let packages = archive::fetch(&pins)?;
    let (directory, manifest) = places(name);
    let fresh = directory.with_extension("partial");
    remove(&fresh)?;
    populate(&fresh, layers, &packages).with_context(|| format!("cannot assemble image `{name}`"))?;
    // The manifest goes first and comes last: an interrupted exchange is seen as out of date.
    fs::remove_file(&manifest).ok();
    remove(&directory)?;
    fs::rename(&fresh, &directory).with_context(|| format!("cannot move {} into place", fresh.display()))?;
    let mut text = format!("digest {}\n", digest(layers));
    for package in &packages {
        text.push_str(&format!("{}\n", package.pin));
    }
    paths::write_if_changed(&manifest, text.as_bytes())
}

fn populate(root: &Path, layers: &[Layer], packages: &[Fetched]) -> Result<()> {
    tree::start(root)?;
    let leave_out: Vec<String> = layers.iter().flat_map(|layer| layer.definition.leave_out.clone()).collect();
    tree::unpack(root, packages, &leave_out)?;
    for layer in layers {
        tree::furnish(root, &layer.definition)?;
    }
    finish::library_cache(root)?;
    for directory in layers.iter().flat_map(|layer| &layer.definition.bytecode) {
        finish::bytecode(root, directory)?;
    }
    let _step = progress::Step::new("Checking the image");
    finish::check_libraries(root)
}

/// Removes a directory tree, also where directories in it cannot be written.
fn remove(directory: &Path) -> Result<()> {
    if directory.symlink_metadata().is_err() {
        return Ok(());
    }
    exec::capture(std::process::Command::new("chmod").args(["-R", "u+rwX"]).arg(directory)).ok();
    fs::remove_dir_all(directory).with_context(|| format!("cannot remove {}", directory.display()))
}
