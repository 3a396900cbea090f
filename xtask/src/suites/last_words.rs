//! What a kernel that panicked, or was reset, leaves to the next one: the end of its log, told after the reset.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Report, booted};
use crate::build;
use crate::guest::{End, Guest};
use crate::machine::{Firmware, Machine};
use crate::paths;

struct Case {
    name: String,
    machine: Machine,
    check: fn(&Machine) -> Result<()>,
}

/// Runs the suite.
pub fn run(report: &mut Report) -> Result<()> {
    // Here, so that not several cases at a time wait for it.
    build::loader()?;
    let mut cases = Vec::new();
    for (firmware, way) in [(Firmware::Pvh, "pvh"), (Firmware::Uefi, "uefi"), (Firmware::Grub, "grub")] {
        for cpus in [1, 2] {
            let name = format!("panic {way} smp={cpus}");
            let machine = machine(&name, "spinlock,once")?.word("aios.panic=reboot").firmware(firmware).cpus(cpus);
            cases.push(Case { name, machine, check: after_panic });
        }
    }
    let name = "reset from outside".to_owned();
    let reset = machine(&name, "wait,once")?;
    cases.push(Case { name, machine: reset, check: after_reset });
    let name = "no end of panics".to_owned();
    let endless = machine(&name, "spinlock")?.word("aios.panic=reboot");
    cases.push(Case { name, machine: endless, check: endless_panics });
    report.each(&cases, |case| case.name.clone(), |case| (case.check)(&case.machine));
    Ok(())
}

/// A machine that goes on after a reset, with a directory that remembers how often it was there.
fn machine(name: &str, arguments: &str) -> Result<Machine> {
    let share = paths::artefact("tests/last-words").join(name.replace(' ', "-"));
    if share.exists() {
        fs::remove_dir_all(&share).with_context(|| format!("cannot empty {}", share.display()))?;
    }
    fs::create_dir_all(&share).with_context(|| format!("cannot create {}", share.display()))?;
    let machine = booted::machine("base", &paths::root().join("tests/agents/provoke"))?.share("share", &share, true);
    Ok(machine.word("aios.share").word("aios.provoke").word(format!("aios.args={arguments}")).goes_on_after_reset())
}

/// What the second life's log tells of the first one's.
fn told<'a>(guest: &'a Guest, how: &str) -> Result<Vec<&'a str>> {
    let at = |words: &str| guest.log.iter().position(|line| line.contains(words));
    let start = at(how).with_context(|| format!("the log does not tell `{how}`; it is:\n{}", guest.last_lines(60)))?;
    let end = at("end of the last words").context("the last words do not end")?;
    let lines = guest.log.get(start + 1..end).unwrap_or_default();
    Ok(lines.iter().filter_map(|line| line.strip_prefix("| ")).collect())
}

fn expect_lines(told: &[&str], wanted: &[&str]) -> Result<()> {
    for words in wanted {
        if !told.iter().any(|line| line.contains(words)) {
            bail!("the last words do not hold `{words}`; they are:\n{}", told.join("\n"));
        }
    }
    Ok(())
}

fn second_life(guest: &mut Guest) -> Result<()> {
    let end = guest.finish(booted::TIMEOUT)?;
    let ended = booted::ended(guest, end)?;
    booted::expect_code(&ended, 0)?;
    booted::expect_text(&ended, "second life")
}

/// Message, place, names of functions, and what was logged long before.
fn after_panic(machine: &Machine) -> Result<()> {
    let mut guest = Guest::start(machine)?;
    second_life(&mut guest)?;
    let told = told(&guest, "the previous run panicked; last words")?;
    expect_lines(
        &told,
        &["command line", "kernel panic on CPU", "provoked with a spinning lock held", "Provoke", "reset 1 of 3"],
    )
}

/// Nobody inside knew that it would end.
fn after_reset(machine: &Machine) -> Result<()> {
    let mut guest = Guest::start(machine)?;
    guest.expect("first life", booted::TIMEOUT)?;
    guest.monitor("system_reset")?;
    second_life(&mut guest)?;
    let told = told(&guest, "the previous run ended without a word")?;
    expect_lines(&told, &["command line", "aios.provoke: any agent can make the kernel fail"])
}

/// A kernel that panics each time is not reset for ever.
fn endless_panics(machine: &Machine) -> Result<()> {
    let mut guest = Guest::start(machine)?;
    let deadline = Instant::now() + booted::TIMEOUT;
    while !guest.is_over() && Instant::now() < deadline {
        guest.next(deadline.min(Instant::now() + Duration::from_millis(200)));
    }
    let end = guest.stop()?;
    if !matches!(end, End::Panic(_)) {
        bail!("it ended with {end:?}");
    }
    let count = |words: &str| guest.log.iter().filter(|line| !line.starts_with("| ") && line.contains(words)).count();
    let found = (count("kernel panic on CPU"), count("reset 3 of 3"), count("the previous run panicked"));
    if found != (4, 1, 3) {
        bail!("panics, last resets and reports of earlier ones: {found:?}");
    }
    Ok(())
}
