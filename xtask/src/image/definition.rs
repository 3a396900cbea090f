//! What an image consists of: `images/NAME.toml` over those it extends, and the pins in `images/NAME.lock`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::lock::Pin;
use crate::{paths, usage};

/// One file `images/NAME.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Definition {
    /// One line for lists.
    pub description: String,
    /// The image that this one adds to.
    pub extends: Option<String>,
    /// Debian packages; what they depend on is named too, nothing is resolved.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Patterns of tar for paths that are not unpacked.
    #[serde(default)]
    pub leave_out: Vec<String>,
    /// Commands that become links to busybox where no package brings them.
    #[serde(default)]
    pub applets: Vec<String>,
    /// Directories of Python sources to compile.
    #[serde(default)]
    pub bytecode: Vec<String>,
    /// Path to permission bits in octal.
    #[serde(default)]
    pub directories: BTreeMap<String, String>,
    /// Path to what the symbolic link holds.
    #[serde(default)]
    pub links: BTreeMap<String, String>,
    /// Path to content; the line break after the opening quotes is not part of it.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// A definition with its name and its pins.
pub struct Layer {
    pub name: String,
    pub definition: Definition,
    pub pins: Vec<Pin>,
    /// The text of definition and lock: what decides whether an image is up to date.
    pub text: String,
}

/// Where the definitions are.
pub fn directory() -> PathBuf {
    paths::root().join("images")
}

/// Where the pins of one definition are.
pub fn lock_path(name: &str) -> PathBuf {
    directory().join(format!("{name}.lock"))
}

/// The names of all defined images, sorted.
pub fn names() -> Result<Vec<String>> {
    let directory = directory();
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "toml") {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Reads the definition of `name` and those it extends, the most basic first.
pub fn layers(name: &str) -> Result<Vec<Layer>> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut next = Some(name.to_owned());
    while let Some(name) = next {
        if layers.iter().any(|layer| layer.name == name) {
            bail!("image `{name}` extends itself");
        }
        let layer = read(&name)?;
        next = layer.definition.extends.clone();
        layers.push(layer);
    }
    layers.reverse();
    Ok(layers)
}

fn read(name: &str) -> Result<Layer> {
    let path = directory().join(format!("{name}.toml"));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) => {
            let known = names()?.join(", ");
            return Err(usage::wrong(format!("there is no image `{name}`; there are: {known}")));
        }
    };
    let definition: Definition = toml::from_str(&text).with_context(|| format!("{} is not valid", shown(&path)))?;
    let lock = lock_path(name);
    let pinned = fs::read_to_string(&lock).unwrap_or_default();
    let pins = Pin::parse_all(&pinned).with_context(|| format!("{} is not valid", shown(&lock)))?;
    Ok(Layer { name: name.to_owned(), definition, pins, text: text + &pinned })
}

fn shown(path: &Path) -> String {
    path.strip_prefix(paths::root()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A definition whose lock lags behind would stop the first command that a stranger types.
    #[test]
    fn every_defined_package_is_pinned_and_nothing_else() {
        for name in names().unwrap() {
            let layers = layers(&name).unwrap();
            let layer = layers.last().unwrap();
            let mut wanted = layer.definition.packages.clone();
            let mut pinned: Vec<String> = layer.pins.iter().map(|pin| pin.package.clone()).collect();
            wanted.sort();
            pinned.sort();
            assert_eq!(wanted, pinned, "images/{name}.lock");
        }
    }

    #[test]
    fn an_image_is_built_over_those_it_extends() {
        let names: Vec<_> = layers("python").unwrap().into_iter().map(|layer| layer.name).collect();
        assert_eq!(names, ["base", "python"]);
    }

    #[test]
    fn an_unknown_image_names_the_known_ones() {
        let error = layers("nonesuch").err().unwrap();
        assert!(usage::is_wrong(&error));
        let error = error.to_string();
        assert!(error.contains("nonesuch") && error.contains("base, python"), "{error}");
    }
}
