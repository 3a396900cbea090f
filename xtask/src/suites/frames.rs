//! A thousand processes come and go in AIOS, and every frame they took comes back: `tests/frames` counts.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Report, booted};
use crate::machine::Machine;
use crate::paths;
use crate::programs::{self, Link};

const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the suite.
pub fn run(report: &mut Report) -> Result<()> {
    let place = paths::artefact("tests/frames");
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    programs::ensure_compiler()?;
    programs::compile(&paths::root().join("tests/frames/frames.c"), &place.join("frames"), Link::Static, true, &[])?;
    let dir = place.join("agent");
    let manifest = "name = \"frames\"\nimage = \"base\"\ncommand = [\"/share/frames\"]\n";
    paths::write_if_changed(&dir.join("agent.toml"), manifest.as_bytes())?;
    let machine = booted::machine("base", &dir)?.share("share", &place, false).word("aios.share");
    report.each(&[machine], |_| "a thousand processes".to_owned(), check);
    Ok(())
}

fn check(machine: &Machine) -> Result<()> {
    let ended = booted::run(machine, PATIENCE)?;
    if !ended.console.contains("frames: lost 0") {
        bail!("expected \"frames: lost 0\":\n{}", booted::tail(&ended.console, 10));
    }
    Ok(())
}
