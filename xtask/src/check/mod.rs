//! `cargo xtask check`: what must hold for every change, without running anything of AIOS.

mod book;
mod licences;
mod tokens;
mod unsafe_code;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::exec;
use crate::packages;
use crate::paths;
use crate::toolchain;

/// One thing to check.
struct Check {
    name: &'static str,
    run: fn() -> Result<()>,
}

const ALL: &[Check] = &[
    Check { name: "formatting", run: formatting },
    Check { name: "no unsafe outside kernel/hal", run: unsafe_code::check },
    Check { name: "licences of dependencies", run: licences::check },
    Check { name: "generated documents are up to date", run: documents },
    Check { name: "links, names and commands in documents", run: book::check },
    Check { name: "clippy, host crates", run: clippy_host },
    Check { name: "clippy, kernel and loader", run: clippy_bare },
];

/// Runs all checks; prints each that fails, then `N passed, N failed`.
pub fn command() -> Result<ExitCode> {
    let mut failed = 0;
    for check in ALL {
        match (check.run)() {
            Ok(()) => println!("ok      {}", check.name),
            Err(error) => {
                failed += 1;
                println!("FAILED  {}", check.name);
                for line in format!("{error:#}").lines() {
                    println!("    {line}");
                }
            }
        }
    }
    println!("{} passed, {failed} failed", ALL.len() - failed);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::root());
    cargo
}

/// Makes sure that the default toolchain has a cargo component: installs Debian's, or names rustup's line.
fn component(verb: &str, rustup: &str, package: &str) -> Result<()> {
    if exec::capture(cargo().args([verb, "--version"])).is_ok() {
        return Ok(());
    }
    if exec::exists("rustup") {
        bail!("`cargo {verb}` is missing: run `rustup component add {rustup}`");
    }
    packages::install(&[package])
}

fn formatting() -> Result<()> {
    component("fmt", "rustfmt", "rustfmt-web")?;
    let output = cargo().args(["fmt", "--all", "--", "--check", "--files-with-diff"]).output()?;
    if !output.status.success() {
        bail!("run `cargo fmt --all`\n{}{}", text(&output.stdout), text(&output.stderr));
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.replace(&format!("{}/", paths::root().display()), "")
}

fn documents() -> Result<()> {
    let mut generator = cargo();
    generator.args(["run", "--quiet", "--package", "aios-abi", "--example", "gen-docs", "--", "--check"]);
    exec::run("Comparing the generated documents", &mut generator)?;
    Ok(())
}

fn clippy_host() -> Result<()> {
    component("clippy", "clippy", "rust-web-clippy")?;
    let mut clippy = cargo();
    clippy.args(["clippy", "--color=never", "--keep-going", "--all-targets", "--", "-Dwarnings"]);
    exec::run("Clippy over the host crates", &mut clippy)?;
    Ok(())
}

/// The kernel and the loader, and with them all code that only these targets compile.
fn clippy_bare() -> Result<()> {
    let toolchain = toolchain::find()?;
    if !toolchain.has_clippy() {
        packages::install(&["rust-web-clippy"])?;
    }
    let vdso = crate::build::vdso(&toolchain)?;
    let packages = [
        ("aios-vdso", toolchain::KERNEL_TARGET),
        ("kernel", toolchain::KERNEL_TARGET),
        ("aios-boot", toolchain::LOADER_TARGET),
    ];
    for (package, target) in packages {
        let dir = paths::aios().join("build/clippy");
        let mut clippy = toolchain.cargo("clippy", target, &dir, &[]);
        clippy.args(["--package", package, "--keep-going", "--", "-Dwarnings"]);
        clippy.env("AIOS_VDSO", &vdso);
        exec::run(&format!("Clippy over {package}"), &mut clippy)?;
    }
    Ok(())
}

/// All files of the repository under `dir` whose names end so, sorted; build output and hidden directories are left out.
fn files(dir: &Path, end: &str) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    let mut entries = std::fs::read_dir(dir)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            if name != "target" && !name.starts_with('.') {
                found.extend(files(&path, end)?);
            }
        } else if name.ends_with(end) {
            found.push(path);
        }
    }
    Ok(found)
}
