//! A thousand random system calls with random arguments, for each of two hundred seeds, from a program in AIOS: alone, and
//! beside a partner that shares its files or is a thread of it. No seed may bring the kernel down, no call may go on for
//! ever, and all memory must come back. `tests/fuzz-syscalls` says how, and how to repeat one seed with a trace of its calls.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Report, booted};
use crate::machine::Machine;
use crate::paths;
use crate::programs::{self, Link};

const CALLS: u32 = 1000;
/// Seeds that one machine runs.
const SHARE: u32 = 50;
/// How long one machine may take for them.
const PATIENCE: Duration = Duration::from_secs(600);

/// The first seed of each machine, and the partner.
const MACHINES: &[(u32, &str)] = &[(1, "alone"), (51, "alone"), (1, "process"), (1, "thread")];

/// A machine and the seeds it is given.
struct Case {
    first: u32,
    partner: &'static str,
    machine: Machine,
}

/// Runs the suite.
pub fn run(report: &mut Report) -> Result<()> {
    let place = paths::artefact("tests/syscall-fuzz");
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    programs::ensure_compiler()?;
    let source = paths::root().join("tests/fuzz-syscalls");
    let header = source.join("calls.h");
    programs::compile(&source.join("fuzz.c"), &place.join("fuzz"), Link::Static, true, &[&header])?;
    let mut cases = Vec::new();
    for &(first, partner) in MACHINES {
        cases.push(Case { first, partner, machine: agent(&place, first, partner)? });
    }
    let name = |case: &Case| format!("seeds {} to {}, {}", case.first, case.first + SHARE - 1, case.partner);
    report.each(&cases, name, check);
    Ok(())
}

/// An agent that runs the seeds from `first` on, and a machine for it.
fn agent(place: &Path, first: u32, partner: &str) -> Result<Machine> {
    let dir = place.join(format!("{partner}-{first}"));
    let manifest = format!(
        "name = \"syscall-fuzz\"\nimage = \"base\"\n\
         command = [\"/share/fuzz\", \"{CALLS}\", \"{first}\", \"{SHARE}\", \"{partner}\"]\n\n[limits]\nmemory = \"256 MiB\"\n"
    );
    paths::write_if_changed(&dir.join("agent.toml"), manifest.as_bytes())?;
    Ok(booted::machine("base", &dir)?.share("share", place, false).word("aios.share"))
}

fn check(case: &Case) -> Result<()> {
    let ended = booted::run(&case.machine, PATIENCE)?;
    let failed: Vec<&str> = ended.console.lines().filter(|line| line.starts_with("FAILED ")).collect();
    if !failed.is_empty() {
        bail!("{}", failed.join("\n"));
    }
    booted::expect_code(&ended, 0)?;
    booted::expect_text(&ended, &format!("fuzz: {SHARE} seeds, 0 failures"))
}
