//! Compiles test programs, in C and in Rust, for Linux with this machine's compilers.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};

use crate::packages::{self, Need};

/// How a program is bound to its libraries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// At a fixed address, with everything in it.
    Static,
    /// Anywhere, with everything in it.
    StaticPie,
    /// Anywhere, with the system's own libraries.
    Dynamic,
}

const COMPILER: &[Need] = &[
    Need { file: "/usr/bin/cc", package: "gcc" },
    Need { file: "/usr/lib/x86_64-linux-gnu/libc.a", package: "libc6-dev" },
];

/// Makes sure that there is a C compiler.
///
/// # Errors
/// When it is missing and cannot be installed.
pub fn ensure_compiler() -> Result<()> {
    packages::ensure(COMPILER)
}

/// Compiles `source` (`.c` or `.rs`) to `output`, stripped, unless that is newer than the source and all of `includes`.
///
/// # Errors
/// When the compiler refuses; the error holds what it said.
pub fn compile(source: &Path, output: &Path, link: Link, optimise: bool, includes: &[&Path]) -> Result<()> {
    if is_current(source, output, includes) {
        return Ok(());
    }
    let mut command = if source.extension().is_some_and(|extension| extension == "rs") {
        rust(link)
    } else {
        c(link, optimise, includes)
    };
    command.arg("-o").arg(output).arg(source);
    if source.extension().is_some_and(|extension| extension == "c") {
        command.args(["-lm", "-ldl"]);
    }
    let result = command.output().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if !result.status.success() {
        bail!("{} does not compile:\n{}", source.display(), String::from_utf8_lossy(&result.stderr));
    }
    Ok(())
}

fn c(link: Link, optimise: bool, includes: &[&Path]) -> Command {
    let mut command = Command::new("cc");
    // Warnings depend on the compiler's version, and programs that pass bad pointers on purpose earn many.
    command.args(["-w", "-s", "-pthread", if optimise { "-O2" } else { "-O0" }]);
    for file in includes {
        command.arg("-I").arg(file.parent().unwrap_or(file));
    }
    command.args(match link {
        Link::Static => ["-static", "-fno-pie"],
        Link::StaticPie => ["-static-pie", "-fPIE"],
        Link::Dynamic => ["-pie", "-fPIE"],
    });
    command
}

fn rust(link: Link) -> Command {
    let mut command = Command::new("rustc");
    command.args(["--edition", "2024", "-Copt-level=2", "-Cstrip=symbols"]);
    if link != Link::Dynamic {
        command.arg("-Ctarget-feature=+crt-static");
    }
    command
}

fn is_current(source: &Path, output: &Path, includes: &[&Path]) -> bool {
    let Some(made) = modified(output) else { return false };
    std::iter::once(source).chain(includes.iter().copied()).all(|file| modified(file).is_some_and(|time| time < made))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}
