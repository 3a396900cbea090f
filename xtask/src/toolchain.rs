//! Finds a Rust toolchain that can compile for machines without an operating system.
//!
//! Two ways lead there: a toolchain that has the freestanding targets installed (`rustup target add`), or one that has the
//! standard library's source and compiles `core` and `alloc` itself, as Debian's `rust-web` packages do. `rustc` answers
//! `--print target-libdir` for targets that are not installed too, so only the library files count.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::exec;
use crate::packages;

/// The kernel's target, and the loader's.
pub const KERNEL_TARGET: &str = "x86_64-unknown-none";
pub const LOADER_TARGET: &str = "x86_64-unknown-uefi";

/// The oldest compiler that can build the sources (`rust-version` in the workspace).
const OLDEST: (u32, u32) = (1, 95);

/// What brings Debian's compiler, its library source and a linker for it.
const DEBIAN: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld", "gcc", "libc6-dev"];

/// A compiler and how to use it.
pub struct Toolchain {
    rustc: PathBuf,
    cargo: PathBuf,
    /// E.g. `1.96.0`.
    pub version: String,
    /// The freestanding `core` and `alloc` are compiled from source.
    build_std: bool,
    /// The `lld` that came with the compiler, if one did.
    bundled_lld: Option<PathBuf>,
}

/// The first usable toolchain: those in `PATH`, then Debian's, which is installed if nothing else is there.
///
/// # Errors
/// When there is none, with the two ways to get one.
pub fn find() -> Result<Toolchain> {
    let mut tried = Vec::new();
    if let Some(found) = search(&mut tried) {
        return Ok(found);
    }
    let rustup = format!("rustup target add {KERNEL_TARGET} {LOADER_TARGET}");
    if let Err(error) = packages::install(DEBIAN) {
        bail!("no Rust toolchain here can build a kernel ({}).\n{error}\nor, with rustup: {rustup}", tried.join("; "));
    }
    tried.clear();
    match search(&mut tried) {
        Some(found) => Ok(found),
        None => bail!("no Rust toolchain here can build a kernel ({}).\nWith rustup: {rustup}", tried.join("; ")),
    }
}

fn search(tried: &mut Vec<String>) -> Option<Toolchain> {
    let bins = ["rustc", "/usr/bin/rustc"].map(PathBuf::from);
    let usable = bins.into_iter().filter_map(|rustc| match Toolchain::probe(&rustc) {
        Ok(found) => Some(found),
        Err(error) => {
            tried.push(format!("{}: {error}", rustc.display()));
            None
        }
    });
    // Installed targets are quicker than compiling the library: prefer them wherever they are.
    usable.min_by_key(|found| found.build_std)
}

impl Toolchain {
    fn probe(rustc: &Path) -> Result<Toolchain> {
        let version = exec::capture(Command::new(rustc).arg("--version"))?;
        let version = version.split_whitespace().nth(1).unwrap_or_default().to_owned();
        if release(&version) < OLDEST {
            bail!("version {version} is older than {}.{}", OLDEST.0, OLDEST.1);
        }
        let sysroot = PathBuf::from(exec::capture(Command::new(rustc).args(["--print", "sysroot"]))?);
        let installed = [KERNEL_TARGET, LOADER_TARGET].iter().all(|target| has_core(&sysroot, target));
        let source = sysroot.join("lib/rustlib/src/rust/library/core/src/lib.rs").exists();
        if !installed && !source {
            bail!("version {version} lacks the targets {KERNEL_TARGET} and {LOADER_TARGET}, and the library's source");
        }
        let cargo = sysroot.join("bin/cargo");
        let cargo = if cargo.exists() { cargo } else { PathBuf::from("cargo") };
        let host_bin = sysroot.join("lib/rustlib/x86_64-unknown-linux-gnu/bin");
        // Debian's package has a link to a file of another package: `exists` follows it.
        let bundled_lld = Some(host_bin.join("rust-lld")).filter(|path| path.exists());
        if bundled_lld.is_none() && !exec::exists("ld.lld") {
            packages::install(&["lld"])?;
        }
        let rustc = sysroot.join("bin/rustc");
        Ok(Toolchain { rustc, cargo, version, build_std: !installed, bundled_lld })
    }

    /// `cargo <verb>` for a freestanding target, with `flags` for the compiler, in its own target directory.
    pub fn cargo(&self, verb: &str, target: &str, target_dir: &Path, flags: &[&str]) -> Command {
        let mut flags = flags.to_vec();
        if self.bundled_lld.is_none() {
            flags.extend(match target {
                LOADER_TARGET => ["-Clinker=lld-link", "-Clinker-flavor=lld-link"],
                _ => ["-Clinker=ld.lld", "-Clinker-flavor=ld.lld"],
            });
        }
        // Asked for `clippy`, cargo would look in rustup's directory first and find one of another version.
        let program = if verb == "clippy" { self.clippy() } else { self.cargo.clone() };
        let mut command = Command::new(program);
        command.env("CARGO", &self.cargo).current_dir(crate::paths::root()).env("RUSTC", &self.rustc);
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).env_remove("RUSTFLAGS");
        command.arg(verb).args(["--color=never", "--target", target, "--target-dir"]).arg(target_dir);
        if self.build_std {
            // Only here and not in `.cargo/config.toml`: there it would rebuild the library for host tests too.
            command.env("RUSTC_BOOTSTRAP", "1");
            command.args(["-Zbuild-std=core,alloc,compiler_builtins", "-Zbuild-std-features=compiler-builtins-mem"]);
        }
        command
    }

    /// A linker for ELF files.
    pub fn linker(&self) -> Command {
        match &self.bundled_lld {
            Some(path) => {
                let mut linker = Command::new(path);
                linker.args(["-flavor", "gnu"]);
                linker
            }
            None => Command::new("ld.lld"),
        }
    }

    /// Whether it comes with clippy.
    pub fn has_clippy(&self) -> bool {
        self.clippy().exists()
    }

    fn clippy(&self) -> PathBuf {
        self.cargo.with_file_name("cargo-clippy")
    }

    /// One line that names the toolchain.
    pub fn describe(&self) -> String {
        let how = if self.build_std { "compiles core and alloc from source" } else { "has the freestanding targets" };
        format!("rustc {} ({}, {how})", self.version, self.rustc.display())
    }
}

fn has_core(sysroot: &Path, target: &str) -> bool {
    let Ok(entries) = fs::read_dir(sysroot.join("lib/rustlib").join(target).join("lib")) else { return false };
    let mut names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.any(|name| name.starts_with("libcore-") && name.ends_with(".rlib"))
}

/// Major and minor of a version such as `1.96.0-nightly`.
fn release(version: &str) -> (u32, u32) {
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn versions_compare_by_major_and_minor() {
        assert_eq!(release("1.96.0"), (1, 96));
        assert!(release("1.85.0") < super::OLDEST);
        assert_eq!(release("nonsense"), (0, 0));
    }
}
