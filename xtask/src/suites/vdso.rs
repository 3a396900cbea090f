//! The vDSO, loaded and called on this machine: a program of its own plays the kernel's part.

use std::process::Command;

use anyhow::Result;

use super::Report;
use crate::build;
use crate::exec;
use crate::paths;
use crate::toolchain;

/// One case: the program prints what differs.
pub fn run(report: &mut Report) -> Result<()> {
    report.expect(1);
    let vdso = build::vdso(&toolchain::find()?)?;
    let program = paths::artefact("vdso-check");
    let source = paths::root().join("kernel/hal/vdso/check.c");
    exec::run("Compiling the vDSO's test", Command::new("cc").args(["-O1", "-o"]).arg(&program).arg(source))?;
    report.record("every function", exec::run("Calling the vDSO", Command::new(&program).arg(vdso)).map(|_| ()));
    Ok(())
}
