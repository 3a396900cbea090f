//! What the suites that boot AIOS share: a machine with an agent in it, and a look at how it ended.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::build::{self, Profile};
use crate::guest::{End, Guest};
use crate::image;
use crate::machine::Machine;

/// How long one agent may take where a case does not say otherwise: emulation on a busy machine is slow.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// A machine of 512 MiB that spawns the agent in `dir` on `image`. Builds and assembles what is missing.
pub fn machine(image: &str, dir: &Path) -> Result<Machine> {
    let artefacts = build::build(Profile::of_tests())?;
    let image = image::ensure(image)?;
    Ok(Machine::new(&artefacts).share("image", &image, false).share("agent", dir, false).word("aios.run"))
}

/// A machine of 512 MiB with an interactive shell on `image`.
pub fn shell(image: &str) -> Result<Machine> {
    let artefacts = build::build(Profile::of_tests())?;
    let image = image::ensure(image)?;
    Ok(Machine::new(&artefacts).share("image", &image, false).word("aios.shell"))
}

/// An agent that ended by itself or was ended by the system.
pub struct Ended {
    /// Exit code, or 128 + signal.
    pub code: i32,
    /// Why the system ended it.
    pub reason: Option<String>,
    /// All that was on the console, without carriage returns.
    pub console: String,
}

/// Boots, and waits for the agent's end. Nothing is typed.
///
/// # Errors
/// When there was no such end: a panic, a hang, a machine that stopped. The error shows the console and the log.
pub fn run(machine: &Machine, timeout: Duration) -> Result<Ended> {
    let mut guest = Guest::start(machine)?;
    guest.finish(timeout).and_then(|end| ended(&guest, end))
}

/// Turns the end of a guest into the agent's, or an error that shows what there was to see.
pub fn ended(guest: &Guest, end: End) -> Result<Ended> {
    let what = match end {
        End::Agent { code, reason, .. } => {
            return Ok(Ended { code, reason, console: guest.console_text() });
        }
        End::Error(message) => message,
        End::Panic(text) => format!("the kernel panicked\n{text}"),
        End::Stopped => format!("it did not end in time; the log ends with:\n{}", guest.last_lines(15)),
        End::Lost(why) => why,
    };
    bail!("{what}\nthe console showed:\n{}", tail(&guest.console_text(), 30))
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

/// Fails unless the agent exited with `code`; shows its console.
pub fn expect_code(ended: &Ended, code: i32) -> Result<()> {
    if ended.code != code {
        let reason = ended.reason.as_deref().unwrap_or("no reason given");
        bail!(
            "exit code {} instead of {code} ({reason})\nthe console showed:\n{}",
            ended.code,
            tail(&ended.console, 30)
        );
    }
    Ok(())
}

/// Fails unless `text` was on the console.
pub fn expect_text(ended: &Ended, text: &str) -> Result<()> {
    if !ended.console.contains(text) {
        bail!("`{text}` is not on the console, which showed:\n{}", tail(&ended.console, 40));
    }
    Ok(())
}
