//! Pins: which version of each package, and the hash of its file. One line each in `images/NAME.lock`.

use std::fmt;

use anyhow::{Result, bail};

/// An exact Debian package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    pub package: String,
    pub version: String,
    /// `amd64` or `all`.
    pub architecture: String,
    /// SHA-256 of the `.deb`, lower-case hexadecimal.
    pub sha256: String,
}

impl Pin {
    /// The name under which `apt-get download` stores it.
    pub fn file_name(&self) -> String {
        format!("{}_{}_{}.deb", self.package, self.version.replace(':', "%3a"), self.architecture)
    }

    /// Reads a whole lock file; lines that are empty or start with `#` do not count.
    pub fn parse_all(text: &str) -> Result<Vec<Pin>> {
        let mut pins = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let [package, version, architecture, sha256] = words[..] else {
                bail!("line {}: want `package version architecture sha256`", index + 1);
            };
            if sha256.len() != 64 || !sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
                bail!("line {}: `{sha256}` is not a SHA-256 in lower-case hexadecimal", index + 1);
            }
            pins.push(Pin {
                package: package.to_owned(),
                version: version.to_owned(),
                architecture: architecture.to_owned(),
                sha256: sha256.to_owned(),
            });
        }
        Ok(pins)
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.package, self.version, self.architecture, self.sha256)
    }
}

/// The text of a lock file.
pub fn format(name: &str, pins: &[Pin]) -> String {
    let mut text = format!("# Written by `cargo xtask image {name} --update`. package version architecture sha256\n");
    for pin in pins {
        text.push_str(&format!("{pin}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin() -> Pin {
        Pin { package: "mawk".into(), version: "1:1.3-1".into(), architecture: "amd64".into(), sha256: "0f".repeat(32) }
    }

    #[test]
    fn a_written_lock_reads_back() {
        assert_eq!(Pin::parse_all(&format("base", &[pin()])).unwrap(), [pin()]);
    }

    #[test]
    fn the_epoch_is_escaped_in_the_file_name() {
        assert_eq!(pin().file_name(), "mawk_1%3a1.3-1_amd64.deb");
    }

    #[test]
    fn bad_lines_are_named() {
        let error = Pin::parse_all("# fine\nmawk 1 amd64\n").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
        assert!(Pin::parse_all("mawk 1 amd64 XYZ\n").is_err());
    }
}
