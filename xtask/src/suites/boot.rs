//! Boots through every way in, with few and many CPUs, with little and much memory; a small agent tells what it found.

use anyhow::{Context, Result, bail};

use super::{Report, booted};
use crate::build;
use crate::machine::{Firmware, Machine};
use crate::paths;

/// One way to boot.
struct Case {
    name: String,
    machine: Machine,
    mebibytes: u64,
}

/// Runs the matrix.
pub fn run(report: &mut Report) -> Result<()> {
    let machine = booted::machine("base", &paths::root().join("tests/agents/hello"))?;
    // Here, so that not several cases at a time wait for it.
    build::loader()?;
    let mut cases = Vec::new();
    for (firmware, way) in [(Firmware::Pvh, "pvh"), (Firmware::Uefi, "uefi"), (Firmware::Grub, "grub")] {
        for cpus in [1, 2] {
            for (memory, mebibytes) in [("128M", 128), ("2G", 2048)] {
                let machine = machine.clone().firmware(firmware).cpus(cpus).memory(memory);
                cases.push(Case { name: format!("{way} smp={cpus} memory={memory}"), machine, mebibytes });
            }
        }
    }
    report.each(&cases, |case| case.name.clone(), check);
    Ok(())
}

fn check(case: &Case) -> Result<()> {
    let ended = booted::run(&case.machine, booted::TIMEOUT)?;
    booted::expect_text(&ended, "hello from an agent")?;
    booted::expect_code(&ended, 7)?;
    let told = ended.console.lines().find_map(|line| line.strip_prefix("memory in KiB: "));
    let kibibytes: u64 = told.context("the agent did not tell how much memory there is")?.trim().parse()?;
    let all = case.mebibytes * 1024;
    // Firmware and kernel keep some; most must be there.
    if kibibytes > all || kibibytes < all * 3 / 4 {
        bail!("the guest sees {kibibytes} KiB of {all} KiB");
    }
    Ok(())
}
