//! The kernel fails in a call of an agent: with nothing held only that agent ends, and else the machine stops.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Report, booted};
use crate::guest::{End, Guest, Message};
use crate::machine::Machine;
use crate::paths;

struct Case {
    name: &'static str,
    machine: Machine,
    check: fn(&Machine) -> Result<()>,
}

/// Runs the suite.
pub fn run(report: &mut Report) -> Result<()> {
    let machine = booted::machine("base", &paths::root().join("tests/agents/provoke"))?.word("aios.provoke");
    let with = |word: &str, cpus| machine.clone().word(format!("aios.args={word}")).cpus(cpus);
    let cases = [
        Case { name: "failed assertion", machine: with("panic", 1), check: assertion },
        Case { name: "failed assertion smp=4", machine: with("panic,busy", 4), check: assertion },
        Case { name: "bad pointer", machine: with("page", 1), check: bad_pointer },
        Case { name: "spinning lock held", machine: with("spinlock", 2), check: stops },
        Case { name: "sleeping lock held", machine: with("mutex", 2), check: stops },
    ];
    report.each(&cases, |case| case.name.to_owned(), |case| (case.check)(&case.machine));
    Ok(())
}

/// Boots and waits until the machine is off by itself.
fn attend(machine: &Machine) -> Result<(Guest, End)> {
    let mut guest = Guest::start(machine)?;
    let deadline = Instant::now() + booted::TIMEOUT;
    while !guest.is_over() && Instant::now() < deadline {
        if let Some(Message::Outside(_)) = guest.next(deadline.min(Instant::now() + Duration::from_millis(200))) {
            bail!("nobody types here");
        }
    }
    if !guest.is_over() {
        bail!("the machine did not go off; the log ends with:\n{}", guest.last_lines(30));
    }
    let end = guest.stop()?;
    Ok((guest, end))
}

/// The agent ends with what failed and where, the log has the calls that led there, and the supervisor goes on: it reports and
/// switches the machine off.
fn contained(machine: &Machine, room: &str, words: &str) -> Result<()> {
    let (guest, end) = attend(machine)?;
    let ended = booted::ended(&guest, end)?;
    booted::expect_code(&ended, 137)?;
    booted::expect_text(&ended, "first life")?;
    if ended.console.contains("the write came back") {
        bail!("the agent went on:\n{}", ended.console);
    }
    let reason = ended.reason.unwrap_or_default();
    if !reason.contains(&format!("provoke: kernel fault in {room}: {words}")) {
        bail!("the reason does not tell `{words}` in {room}: {reason}");
    }
    let suspect = format!("subsystem {room} is suspect from now on");
    for wanted in [suspect.as_str(), "Provoke", "a thread is given up (1 of 16 so far)"] {
        if !guest.log.iter().any(|line| line.contains(wanted)) {
            bail!("the log does not tell `{wanted}`:\n{}", guest.last_lines(40));
        }
    }
    Ok(())
}

fn assertion(machine: &Machine) -> Result<()> {
    contained(machine, "kernel", "provoked (kernel/src/provoke.rs:")
}

fn bad_pointer(machine: &Machine) -> Result<()> {
    contained(machine, "hal", "page fault in the kernel: address 0xffff")
}

/// Others may wait for the lock.
fn stops(machine: &Machine) -> Result<()> {
    match attend(machine)? {
        (_, End::Panic(text)) if text.contains("lock held") => Ok(()),
        (guest, end) => bail!("it ended with {end:?}; the log ends with:\n{}", guest.last_lines(30)),
    }
}
