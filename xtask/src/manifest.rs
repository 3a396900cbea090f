//! The `agent.toml` of a directory. It is checked here to the last key, so that a mistake in it costs no boot.

use std::path::{Path, PathBuf};

use aios_manifest::{Faults, Manifest};
use anyhow::{Context, Result};

use crate::usage;

/// The file that makes a directory an agent.
pub const FILE: &str = "agent.toml";

/// An agent in a directory of the host.
pub struct Agent {
    pub manifest: Manifest,
    /// The host directory that it sees as `/share`.
    pub share: Option<PathBuf>,
}

/// Reads and checks the manifest of the agent in `dir`, which exists.
///
/// # Errors
/// All that is wrong with it, a line each.
pub fn read(dir: &Path) -> Result<Agent> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Err(usage::wrong(format!("{} holds no agent: there is no {FILE} in it", dir.display())));
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest = Manifest::parse(&text).map_err(|faults| usage::wrong(told(&path, &faults)))?;
    let share = manifest.share.as_ref().map(|share| dir.join(share));
    Ok(Agent { manifest, share })
}

/// `agent.toml:3: what is wrong` for each fault.
fn told(path: &Path, faults: &Faults) -> String {
    let line = |number: Option<usize>| number.map_or_else(String::new, |number| format!("{number}:"));
    let told: Vec<String> =
        faults.0.iter().map(|fault| format!("{}:{} {}", path.display(), line(fault.line), fault.what)).collect();
    told.join("\n       ")
}

#[cfg(test)]
mod tests {
    use super::{FILE, read};
    use crate::usage;

    fn directory(name: &str, text: Option<&str>) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("aios-manifest-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        if let Some(text) = text {
            std::fs::write(dir.join(FILE), text).unwrap();
        }
        dir
    }

    #[test]
    fn shares_are_relative_to_the_manifest() {
        let text = "name = \"a\"\nimage = \"python\"\ncommand = [\"x\"]\n[host]\nshare = \"../..\"\n";
        let dir = directory("share", Some(text));
        let agent = read(&dir).unwrap();
        assert_eq!((agent.manifest.name.as_str(), agent.manifest.image.as_str()), ("a", "python"));
        assert_eq!(agent.share.unwrap(), dir.join("../.."));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn mistakes_are_told_with_file_and_line_and_are_the_callers() {
        let dir = directory("wrong", Some("name = \"a\"\nimage = 5\ncomand = [\"x\"]\n"));
        let error = read(&dir).err().unwrap();
        let path = dir.join(FILE).display().to_string();
        for start in [": `command` is missing", ":2: `image` must be", ":3: unknown key `comand`"] {
            assert!(error.to_string().contains(&format!("{path}{start}")), "{error}");
        }
        assert!(usage::is_wrong(&error.context("somewhere")));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_directory_without_a_manifest_is_the_callers_mistake() {
        let dir = directory("none", None);
        assert!(usage::is_wrong(&read(&dir).err().unwrap()));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
