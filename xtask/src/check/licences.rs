//! Every dependency must come under a licence that lets AIOS be shared as MIT or Apache-2.0.

use std::process::Command;

use anyhow::{Result, bail};
use serde::Deserialize;

use crate::exec;
use crate::paths;

/// Licences (SPDX) whose terms the project can keep.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-2-Clause-Patent",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// Packages under another licence, and why that is no obstacle.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("ucs2", "MPL-2.0", "used unmodified, by the UEFI loader only: MPL-2.0 §3.3 lets it be part of a larger work")];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
}

/// Checks every package that the workspace can pull in, on any target.
pub fn check() -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::root()).args(["metadata", "--format-version=1", "--locked"]);
    let metadata: Metadata = serde_json::from_slice(&exec::run("Reading the dependencies", &mut cargo)?)?;
    let mut wrong = Vec::new();
    for package in metadata.packages {
        let licence = package.license.unwrap_or_default();
        let excepted = EXCEPTIONS.iter().any(|(name, under, _)| *name == package.name && *under == licence);
        if !permits(&licence) && !excepted {
            wrong.push(format!("{} {}: licence `{licence}`", package.name, package.version));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// Whether an SPDX expression can be met with allowed licences only. Old crates write `/` for `OR`.
fn permits(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words: Vec<&str> = spaced.split_whitespace().rev().collect();
    any(&mut words) && words.is_empty()
}

/// `a OR b`. Words are taken from the end of `words`, which is the front of the text.
fn any(words: &mut Vec<&str>) -> bool {
    let mut result = all(words);
    while words.last() == Some(&"OR") {
        words.pop();
        result |= all(words);
    }
    result
}

/// `a AND b`, which binds closer.
fn all(words: &mut Vec<&str>) -> bool {
    let mut result = one(words);
    while words.last() == Some(&"AND") {
        words.pop();
        result &= one(words);
    }
    result
}

/// A licence, one with an exception, or an expression in parentheses.
fn one(words: &mut Vec<&str>) -> bool {
    match words.pop() {
        Some("(") => {
            let result = any(words);
            words.pop() == Some(")") && result
        }
        Some(name) if words.last() == Some(&"WITH") => {
            words.pop();
            let exception = words.pop().unwrap_or_default();
            ALLOWED.contains(&format!("{name} WITH {exception}").as_str())
        }
        Some(name) => ALLOWED.contains(&name),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::permits;

    #[test]
    fn expressions() {
        assert!(permits("MIT OR Apache-2.0") && permits("MIT/Apache-2.0") && permits("GPL-3.0 OR MIT"));
        assert!(permits("(MIT OR GPL-2.0) AND Unicode-3.0"));
        assert!(permits("Apache-2.0 WITH LLVM-exception OR GPL-2.0"));
        assert!(!permits("") && !permits("GPL-3.0") && !permits("MIT AND GPL-3.0"));
        assert!(!permits("MIT )") && !permits("GPL-2.0 WITH LLVM-exception"));
    }
}
