//! What `cargo xtask` reads of an `agent.toml`. The whole of it is the supervisor's business, inside the guest.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The file that makes a directory an agent.
pub const FILE: &str = "agent.toml";

#[derive(Deserialize)]
struct Written {
    name: String,
    image: String,
    host: Option<Host>,
}

#[derive(Deserialize)]
struct Host {
    share: Option<PathBuf>,
}

/// An agent in a directory of the host.
pub struct Manifest {
    pub name: String,
    /// The image that it runs on.
    pub image: String,
    /// The host directory that it sees as `/share`.
    pub share: Option<PathBuf>,
}

/// Reads the manifest of the agent in `dir`.
pub fn read(dir: &Path) -> Result<Manifest> {
    let path = dir.join(FILE);
    if !path.exists() {
        bail!("{} holds no agent: there is no {FILE} in it", dir.display());
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text, dir).with_context(|| format!("{} is wrong", path.display()))
}

fn parse(text: &str, dir: &Path) -> Result<Manifest> {
    let written: Written = toml::from_str(text)?;
    let share = written.host.and_then(|host| host.share).map(|share| dir.join(share));
    Ok(Manifest { name: written.name, image: written.image, share })
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::path::Path;

    #[test]
    fn shares_are_relative_to_the_manifest_and_other_keys_are_left_alone() {
        let text = "name = \"a\"\nimage = \"python\"\ncommand = [\"x\"]\n[limits]\nmemory = \"1 MiB\"\n[host]\nshare = \"../..\"\n";
        let manifest = parse(text, Path::new("/r/examples/a")).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.image.as_str()), ("a", "python"));
        assert_eq!(manifest.share.unwrap(), Path::new("/r/examples/a/../.."));
        assert!(parse("image = \"x\"", Path::new("/")).is_err());
    }
}
