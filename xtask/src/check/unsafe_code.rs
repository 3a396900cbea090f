//! `unsafe` lives in `kernel/hal` and nowhere else; the few places that cannot do without are listed with their reason.

use anyhow::{Context, Result, bail};

use super::{rust_files, tokens};
use crate::paths;

/// Where `unsafe` may stand, and why.
const ALLOWED: &[(&str, &str)] = &[
    ("kernel/hal/", "the one crate that touches the machine"),
    ("boot/src/loader/", "the loader is outside the kernel; UEFI tables, page tables and the jump have no safe form"),
    ("services/supervisor/src/native.rs", "native system calls have no wrapper in any library"),
    ("tests/", "programs that provoke what safe code cannot"),
];

/// Checks every Rust file for `unsafe`, and every kernel crate for `#![forbid(unsafe_code)]`.
pub fn check() -> Result<()> {
    let root = paths::root();
    let mut wrong = Vec::new();
    for path in rust_files(root)? {
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        let source = std::fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
        if !ALLOWED.iter().any(|(place, _)| name.starts_with(place)) {
            wrong.extend(tokens::lines_with(&source, "unsafe").iter().map(|line| format!("{name}:{line}: unsafe")));
        }
        if is_kernel_crate(&name) && !source.contains("#![forbid(unsafe_code)]") {
            wrong.push(format!("{name}: #![forbid(unsafe_code)] is missing"));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// Whether a file is the root of a kernel crate that must forbid `unsafe`.
fn is_kernel_crate(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        ["kernel", "src", "main.rs"] | ["abi", "src", "lib.rs"] => true,
        ["kernel", room, "src", "lib.rs"] => *room != "hal",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_kernel_crate;

    #[test]
    fn the_roots_of_kernel_crates() {
        assert!(is_kernel_crate("kernel/mm/src/lib.rs") && is_kernel_crate("kernel/src/main.rs"));
        assert!(!is_kernel_crate("kernel/hal/src/lib.rs") && !is_kernel_crate("kernel/mm/src/frame.rs"));
    }
}
