//! `unsafe` lives in `kernel/hal` and nowhere else; the few places that cannot do without are listed with their reason.

use anyhow::{Context, Result, bail};

use super::{files, tokens};
use crate::paths;

/// Where `unsafe` may stand, and why.
const ALLOWED: &[(&str, &str)] = &[
    ("kernel/hal/", "the one crate that touches the machine"),
    ("boot/src/loader/", "the loader is outside the kernel; UEFI tables, page tables and the jump have no safe form"),
    ("services/supervisor/src/native.rs", "native system calls have no wrapper in any library"),
    ("tests/", "programs that provoke what safe code cannot"),
];

/// Checks every Rust file for `unsafe`, and every kernel crate for the attribute that keeps it out.
pub fn check() -> Result<()> {
    let root = paths::root();
    let mut wrong = Vec::new();
    for path in files(root, ".rs")? {
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        let source = std::fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        if !ALLOWED.iter().any(|(place, _)| name.starts_with(place)) {
            wrong.extend(tokens::lines_with(&source, "unsafe").iter().map(|line| format!("{name}:{line}: unsafe")));
        }
        if let Some(attribute) = required(&name)
            && !source.contains(attribute)
        {
            wrong.push(format!("{name}: {attribute} is missing"));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// What the root of a kernel crate must say.
fn required(name: &str) -> Option<&'static str> {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        // Only denied: a macro of hal gives the entry function the name that the machine calls.
        ["kernel", "src", "main.rs"] => Some("#![deny(unsafe_code)]"),
        ["abi", "src", "lib.rs"] => Some("#![forbid(unsafe_code)]"),
        ["kernel", room, "src", "lib.rs"] if *room != "hal" => Some("#![forbid(unsafe_code)]"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::required;

    #[test]
    fn the_roots_of_kernel_crates() {
        assert!(required("kernel/mm/src/lib.rs").is_some() && required("kernel/src/main.rs").is_some());
        assert!(required("kernel/hal/src/lib.rs").is_none() && required("kernel/mm/src/frame.rs").is_none());
    }
}
