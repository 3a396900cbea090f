//! Storms on several processors: `tests/smp/storm.c` as an agent, on 1, 2, 4 and 8 of them. A short run in every test; a
//! long one, with the kernel's own checks built in, by name.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Report, booted};
use crate::build::{self, Profile};
use crate::image;
use crate::machine::Machine;
use crate::paths;
use crate::programs::{self, Link};

const PROCESSORS: [u32; 4] = [1, 2, 4, 8];
/// Storms in the program.
const STORMS: u32 = 11;
/// Seconds for each storm: in every test, and by name (five minutes for all together).
const SHORT: u32 = 1;
const LONG: u32 = 300 / STORMS;

/// Runs each storm for a second.
pub fn short(report: &mut Report) -> Result<()> {
    run(report, Profile::of_tests(), SHORT)
}

/// Runs all storms for five minutes on each number of processors, in the debug build.
pub fn long(report: &mut Report) -> Result<()> {
    run(report, Profile::Debug, LONG)
}

fn run(report: &mut Report, profile: Profile, seconds: u32) -> Result<()> {
    let place = paths::artefact("tests/smp");
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    programs::ensure_compiler()?;
    programs::compile(&paths::root().join("tests/smp/storm.c"), &place.join("storm"), Link::Static, true, &[])?;
    let dir = place.join(format!("agent{seconds}"));
    let manifest = format!("name = \"storm\"\nimage = \"base\"\ncommand = [\"/share/storm\", \"{seconds}\"]\n");
    paths::write_if_changed(&dir.join("agent.toml"), manifest.as_bytes())?;
    let artefacts = build::build(profile)?;
    let image = image::ensure("base")?;
    let machines = PROCESSORS.map(|processors| {
        let machine = Machine::new(&artefacts).share("image", &image, false).share("agent", &dir, false);
        let machine = machine.share("share", &place, false).word("aios.run").word("aios.share");
        (processors, seconds, machine.cpus(processors))
    });
    // One after the other: each has more processors than this machine.
    for machine in machines {
        report.each(&[machine], |(processors, ..)| format!("{processors} processors"), check);
    }
    Ok(())
}

fn check((processors, seconds, machine): &(u32, u32, Machine)) -> Result<()> {
    // What is started when the time is over is still finished, which takes longest where processes are killed.
    let patience = Duration::from_secs(u64::from(seconds * STORMS * 3 + 120));
    let ended = booted::run(machine, patience)?;
    booted::expect_code(&ended, 0)?;
    for wanted in [format!("{processors} processors"), "all storms held".to_owned()] {
        if !ended.console.contains(&wanted) {
            bail!("expected \"{wanted}\":\n{}", booted::tail(&ended.console, 20));
        }
    }
    Ok(())
}
