//! Fetches packages with apt: verified against their pins, kept in `target/aios/debs`.
//!
//! Nothing is installed and nothing needs root. Where the host's package lists are missing and we may not write them, apt
//! works on a private copy beside the packages.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::lock::Pin;
use crate::{exec, paths, progress};

/// A verified package file and the pin that it fulfils.
pub struct Fetched {
    pub pin: Pin,
    pub file: PathBuf,
}

/// Makes sure that the files of all `pins` are there.
///
/// A pin whose version has left the archive (a point release replaced it) gives way to the version that apt offers,
/// with a warning: apt itself checks that one against the signed package lists.
pub fn fetch(pins: &[Pin]) -> Result<Vec<Fetched>> {
    let store = paths::artefact("debs");
    fs::create_dir_all(&store).with_context(|| format!("cannot create {}", store.display()))?;
    let (mut fetched, mut missing) = (Vec::new(), Vec::new());
    for pin in pins {
        let file = store.join(pin.file_name());
        if file.exists() && hash(&file)? == pin.sha256 {
            fetched.push(Fetched { pin: pin.clone(), file });
        } else {
            missing.push(pin);
        }
    }
    if missing.is_empty() {
        return Ok(fetched);
    }
    let apt = Apt::ready(&missing)?;
    let names: Vec<&str> = missing.iter().map(|pin| pin.package.as_str()).collect();
    let mut offered = apt.offered(&names)?;
    if !missing.iter().all(|pin| offered.contains(pin)) {
        // The lists may be older than the pins.
        apt.update()?;
        offered = apt.offered(&names)?;
    }
    let mut chosen = Vec::new();
    for pin in missing {
        if offered.contains(pin) {
            chosen.push(pin.clone());
            continue;
        }
        let candidate = newest(&offered, &pin.package)?;
        if candidate.version == pin.version {
            bail!(
                "the archive offers {} {} with SHA-256 {}, but {} is pinned: it was not used",
                pin.package,
                pin.version,
                candidate.sha256,
                pin.sha256
            );
        }
        eprintln!(
            "warning: {} {} has left the Debian archive; taking {} (`cargo xtask image NAME --update` renews the pins)",
            pin.package, pin.version, candidate.version
        );
        chosen.push(candidate);
    }
    apt.download(&chosen, &store)?;
    for pin in chosen {
        let file = store.join(pin.file_name());
        let found = hash(&file).with_context(|| format!("apt did not bring {}", pin.file_name()))?;
        if found != pin.sha256 {
            fs::remove_file(&file).ok();
            bail!("{} has SHA-256 {found}, but {} is pinned: it was not used", pin.file_name(), pin.sha256);
        }
        fetched.push(Fetched { pin, file });
    }
    Ok(fetched)
}

/// Pins for `packages` as apt offers them now.
pub fn resolve(packages: &[String]) -> Result<Vec<Pin>> {
    let apt = Apt::ready(&[])?;
    apt.update()?;
    let names: Vec<&str> = packages.iter().map(String::as_str).collect();
    let offered = apt.offered(&names)?;
    packages.iter().map(|package| newest(&offered, package)).collect()
}

/// The file of the package that a metapackage stands for, as apt offers it now: of its first dependency.
pub fn fetch_behind(metapackage: &str) -> Result<PathBuf> {
    let apt = Apt::ready(&[])?;
    let depends = exec::capture(apt.command("apt-cache").args(["depends", metapackage]))?;
    let package = depends.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
    let package = package.with_context(|| format!("apt knows no dependency of `{metapackage}`"))?;
    let pin = newest(&apt.offered(&[package])?, package)?;
    let fetched = fetch(&[pin])?;
    fetched.into_iter().next().map(|fetched| fetched.file).with_context(|| format!("apt did not bring {package}"))
}

fn newest(offered: &[Pin], package: &str) -> Result<Pin> {
    // apt shows the version it prefers first.
    offered.iter().find(|pin| pin.package == package).cloned().with_context(|| {
        format!("apt offers no package `{package}`; images are made of Debian 12 packages: is this a Debian 12 system?")
    })
}

/// SHA-256 of a file, lower-case hexadecimal.
fn hash(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut block).with_context(|| format!("cannot read {}", path.display()))?;
        let Some(read) = block.get(..count).filter(|read| !read.is_empty()) else { break };
        hasher.update(read);
    }
    Ok(hex(&hasher.finalize()))
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// apt, with the options that let it work as whoever we are.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    /// An apt whose package lists know at least the C library.
    fn ready(wanted: &[&Pin]) -> Result<Apt> {
        if !exec::exists("apt-get") || !exec::exists("dpkg-deb") {
            bail!(
                "apt-get and dpkg-deb are needed to assemble images ({} packages to fetch): run this on a Debian 12 system",
                wanted.len()
            );
        }
        let root = exec::capture(Command::new("id").arg("-u"))? == "0";
        let mut apt = Apt { options: vec!["APT::Sandbox::User=root".into()] };
        if apt.offered(&["libc6"])?.is_empty() {
            if !root {
                let private = paths::artefact("apt");
                for part in ["lists/partial", "cache/archives/partial"] {
                    fs::create_dir_all(private.join(part)).context("cannot create apt's private directory")?;
                }
                apt.options.push(format!("Dir::State::lists={}", private.join("lists").display()));
                apt.options.push(format!("Dir::Cache={}", private.join("cache").display()));
            }
            apt.update()?;
        }
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for option in &self.options {
            command.args(["-o", option]);
        }
        command.env("LC_ALL", "C");
        command
    }

    fn update(&self) -> Result<()> {
        exec::run("Reading Debian's package lists", self.command("apt-get").args(["-q", "update"]))?;
        Ok(())
    }

    /// All versions of `packages` that can be fetched, preferred ones first.
    fn offered(&self, packages: &[&str]) -> Result<Vec<Pin>> {
        let output = self.command("apt-cache").arg("show").args(packages).output().context("cannot start apt-cache")?;
        // It fails when one name is unknown, and shows the others: the caller notices what is missing.
        Ok(String::from_utf8_lossy(&output.stdout).split("\n\n").filter_map(record).collect())
    }

    fn download(&self, pins: &[Pin], store: &Path) -> Result<()> {
        let bar = progress::bar(pins.len() as u64, "Fetching Debian packages");
        // In parts: the bar moves, and one apt call reads the package lists only once for its part.
        for part in pins.chunks(8) {
            let mut command = self.command("apt-get");
            command.args(["-qq", "download"]).current_dir(store);
            command.args(part.iter().map(|pin| format!("{}={}", pin.package, pin.version)));
            let first = part.first().map_or("", |pin| pin.package.as_str());
            bar.set_message(first.to_owned());
            exec::run(&format!("Fetching {first} and {} more", part.len().saturating_sub(1)), &mut command)?;
            bar.inc(part.len() as u64);
        }
        bar.finish_and_clear();
        Ok(())
    }
}

/// One record of `apt-cache show`; none for a package that is only installed and can be fetched no more.
fn record(text: &str) -> Option<Pin> {
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(|value| value.trim().to_owned())
    };
    Some(Pin {
        package: field("Package")?,
        version: field("Version")?,
        architecture: field("Architecture").filter(|name| name == "amd64" || name == "all")?,
        sha256: field("SHA256")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_a_hash_cannot_be_fetched() {
        let full =
            "Package: mawk\nSource: x\nVersion: 1-2\nArchitecture: amd64\nDescription: y\n Version: 9\nSHA256: ab";
        let pin = record(full).unwrap();
        assert_eq!((pin.package.as_str(), pin.version.as_str(), pin.sha256.as_str()), ("mawk", "1-2", "ab"));
        assert!(record("Package: mawk\nVersion: 1\nArchitecture: amd64").is_none());
        assert!(record("Package: mawk\nVersion: 1\nArchitecture: i386\nSHA256: ab").is_none());
    }

    #[test]
    fn the_hash_of_a_file_is_that_of_its_content() {
        let path = std::env::temp_dir().join(format!("aios-hash-{}", std::process::id()));
        fs::write(&path, "abc").unwrap();
        let found = hash(&path);
        fs::remove_file(&path).unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(found.unwrap(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
