//! All there is of one thing is taken, by an agent with a limit and by one without: it is refused or ended with a reason,
//! and what it gives back can be used again. `tests/exhaustion` takes; the cases with a shell are fork bombs.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::{Report, booted};
use crate::guest::{End, Guest};
use crate::machine::Machine;
use crate::paths;
use crate::programs::{self, Link};

/// What the test program takes.
const TAKEN: &[&str] = &["processes", "threads", "memory", "areas", "files", "bytes", "pipes", "descriptors", "polls"];
/// The manifest's limit, or none.
const LIMITS: &[Option<&str>] = &[Some("32 MiB"), None];

/// What must be true at the end.
#[derive(Clone, Copy)]
enum Wanted {
    /// The program was refused, and ran another one afterwards.
    StillRunning,
    /// The agent's end was told, whatever it was.
    Ended,
    Exits(i32),
}

struct Case {
    name: String,
    limit: Option<&'static str>,
    command: Vec<String>,
    wanted: Wanted,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for limit in LIMITS.iter().copied() {
        let how = limit.map_or("without a limit".to_owned(), |limit| format!("within {limit}"));
        for what in TAKEN {
            let command = vec!["/share/exhaustion".to_owned(), (*what).to_owned()];
            cases.push(Case { name: format!("{what} {how}"), limit, command, wanted: Wanted::StillRunning });
        }
        cases.push(shell(format!("fork bomb {how}"), limit, ":(){ :|:& };:; sleep 3", Wanted::Ended));
    }
    // Nobody waits for the child: the agent's first process leaves it behind.
    cases.push(shell("zombie left behind".into(), None, "true & exec sleep 0.5", Wanted::Exits(0)));
    let fill = "head -c 64M /dev/zero >/tmp/f; test $? = 1 && rm /tmp/f && head -c 16M /dev/zero >/tmp/g";
    cases.push(shell("a full disk is cleared".into(), Some("32 MiB"), fill, Wanted::Exits(0)));
    cases
}

fn shell(name: String, limit: Option<&'static str>, line: &str, wanted: Wanted) -> Case {
    Case { name, limit, command: ["bash", "-c", line].map(str::to_owned).to_vec(), wanted }
}

/// Runs the suite.
pub fn run(report: &mut Report) -> Result<()> {
    let place = paths::artefact("tests/exhaustion");
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    programs::ensure_compiler()?;
    let source = paths::root().join("tests/exhaustion/exhaustion.c");
    programs::compile(&source, &place.join("exhaustion"), Link::Static, true, &[])?;
    let machines: Vec<(Machine, Case)> =
        cases().into_iter().map(|case| Ok((machine(&place, &case)?, case))).collect::<Result<_>>()?;
    report.each(&machines, |(_, case)| case.name.clone(), |(machine, case)| check(machine, case.wanted));
    report.expect(1);
    report.begin("fork bomb at the prompt");
    report.record("fork bomb at the prompt", at_the_prompt());
    Ok(())
}

/// A fork bomb typed at the prompt: the shell still takes lines, and can end what it started.
fn at_the_prompt() -> Result<()> {
    let mut guest = Guest::start(&booted::shell("base")?.memory("256M"))?;
    guest.wait_for_agent(booted::TIMEOUT)?;
    guest.expect("# ", booted::TIMEOUT)?;
    guest.send(b":(){ :|:& };:\r");
    guest.expect("Resource temporarily unavailable", booted::TIMEOUT)?;
    guest.send(b"\x03");
    // Again for what was made meanwhile. The shell is the agent's first process, which this does not reach.
    guest.send(b"\rfor i in 1 2 3; do kill -9 -1; done; wait; echo cle''ared\r");
    guest.expect("cleared", booted::TIMEOUT)?;
    guest.send(b"ls / | wc -l | sed 's/^/lines=/' | tr = :; exit 3\r");
    guest.expect("lines:", booted::TIMEOUT)?;
    match guest.finish(booted::TIMEOUT)? {
        End::Agent { code: 3, .. } => Ok(()),
        end => bail!("the machine ended so: {end:?}\nthe log ends with:\n{}", guest.last_lines(15)),
    }
}

fn machine(place: &std::path::Path, case: &Case) -> Result<Machine> {
    let dir: PathBuf = place.join(case.name.replace(' ', "-"));
    let command: Vec<String> = case.command.iter().map(|word| format!("'{word}'")).collect();
    let mut manifest = format!("name = \"exhaustion\"\nimage = \"base\"\ncommand = [{}]\n", command.join(", "));
    if let Some(limit) = case.limit {
        manifest.push_str(&format!("[limits]\nmemory = \"{limit}\"\n"));
    }
    paths::write_if_changed(&dir.join("agent.toml"), manifest.as_bytes())?;
    Ok(booted::machine("base", &dir)?.memory("128M").share("share", place, false).word("aios.share"))
}

fn check(machine: &Machine, wanted: Wanted) -> Result<()> {
    let ended = booted::run(machine, booted::TIMEOUT)?;
    match wanted {
        Wanted::StillRunning => {
            booted::expect_code(&ended, 0)?;
            booted::expect_text(&ended, "refused after")?;
            booted::expect_text(&ended, "and still running")
        }
        Wanted::Exits(code) => booted::expect_code(&ended, code),
        Wanted::Ended => match &ended.reason {
            Some(reason) if !reason.contains("memory") => bail!("the reason does not tell of memory: {reason}"),
            _ => Ok(()),
        },
    }
}
