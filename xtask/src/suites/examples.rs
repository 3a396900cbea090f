//! The agents in `examples/`, run as the README says, and what they must print.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Report, booted};
use crate::exec;
use crate::machine::{Firmware, Machine};
use crate::paths;

/// One program does a lot of work here, under emulation.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a faulting agent ends with, and what its reason must tell: an address where there is one, else none.
const FAULTS: &[(&str, i32, &str)] = &[
    ("null-write", 139, "null write at 0x0 (pc 0x"),
    ("null-read", 139, "null read at 0x0 (pc 0x"),
    ("wild-write", 139, "write to unmapped memory at 0x123456789000 (pc 0x"),
    ("read-only", 139, "write to read-only memory at 0x"),
    ("kernel-address", 139, "access to a kernel address at 0xffffffff80000000 (pc 0x"),
    ("execute-data", 139, "execute of data at 0x"),
    ("illegal-instruction", 132, "illegal instruction (pc 0x"),
    ("privileged", 139, "privileged or malformed instruction (pc 0x"),
    ("divide", 136, "division by zero or overflow (pc 0x"),
    ("stack-overflow", 139, "stack overflow at 0x"),
    ("abort", 139, "privileged or malformed instruction (pc 0x"),
    ("in-a-thread", 139, "null write at 0x0 (pc 0x"),
];

/// Lines that `examples/shell` prints whatever it reads.
const SHELL: &[&str] = &[
    "== where we are",
    "EMOH$-:EREH-NOISNAPXE-ON",
    "they differ",
    "caught SIGUSR1",
    "the sleeper ended with 143",
    "squares: 1 4 9 16 25",
    "== done, status 0, left behind: 0 files",
];

type Case = (String, Box<dyn Fn() -> Result<()> + Sync>);

/// Runs the examples.
pub fn run(report: &mut Report) -> Result<()> {
    let root = paths::root();
    let digest = booted::machine("python", &example("digest"))?;
    let digest = digest.share("share", root, true).word("aios.share");
    let script = booted::machine("base", &example("shell"))?.share("share", &root.join("abi"), true).word("aios.share");
    let faults = booted::machine("python", &example("faults"))?;
    let mut cases: Vec<Case> = Vec::new();
    let mut add = |name: &str, check: Box<dyn Fn() -> Result<()> + Sync>| cases.push((name.to_owned(), check));
    let machine = digest.clone();
    add("digest", Box::new(move || check_digest(&machine)));
    let machine = digest.clone().firmware(Firmware::Uefi);
    add("digest uefi", Box::new(move || check_digest(&machine)));
    let machine = digest.cpus(2);
    add("digest smp=2", Box::new(move || check_digest(&machine)));
    add("shell", Box::new(move || check_shell(&script)));
    for &(name, code, words) in FAULTS {
        let machine = faults.clone().word(format!("aios.args={name}"));
        add(&format!("faults {name}"), Box::new(move || check_fault(&machine, code, words)));
    }
    add("faults memory", Box::new(move || check_memory(&faults.clone().word("aios.args=memory"))));
    report.each(&cases, |(name, _)| name.clone(), |(_, check)| check());
    Ok(())
}

fn example(name: &str) -> PathBuf {
    paths::root().join("examples").join(name)
}

/// The same program on the same files, here and in AIOS, must come to the same result.
fn check_digest(machine: &Machine) -> Result<()> {
    let ended = booted::run(machine, PATIENCE)?;
    booted::expect_code(&ended, 0)?;
    let text = ended.console.as_str();
    let json = text.find("\n{").and_then(|at| text.get(at..)).context("there is no JSON on the console")?;
    let found: Value = match serde_json::Deserializer::from_str(json).into_iter().next() {
        Some(value) => value.context("what is on the console is no JSON")?,
        None => bail!("there is no JSON on the console"),
    };
    if !exec::exists("python3") {
        return Ok(());
    }
    let mut python = Command::new("python3");
    python.arg(example("digest/digest.py")).arg(paths::root()).arg("--json-only");
    let expected: Value = serde_json::from_str(&exec::capture(&mut python)?)?;
    if found != expected {
        bail!("the digest differs from the one made on this machine\nhere: {expected}\nAIOS: {found}");
    }
    Ok(())
}

fn check_shell(machine: &Machine) -> Result<()> {
    let ended = booted::run(machine, booted::TIMEOUT)?;
    booted::expect_code(&ended, 0)?;
    for line in SHELL {
        booted::expect_text(&ended, line)?;
    }
    let lines = count_lines(&paths::root().join("abi"), "rs")?;
    booted::expect_text(&ended, &format!("{:<6}{lines:>8} lines", "rs"))
}

/// Lines in all files of a kind, as the example counts them.
fn count_lines(dir: &Path, kind: &str) -> Result<usize> {
    let mut lines = 0;
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            lines += count_lines(&path, kind)?;
        } else if path.extension().is_some_and(|extension| extension == kind) {
            lines += std::fs::read(&path)?.iter().filter(|byte| **byte == b'\n').count();
        }
    }
    Ok(lines)
}

fn check_fault(machine: &Machine, code: i32, words: &str) -> Result<()> {
    let ended = booted::run(machine, booted::TIMEOUT)?;
    booted::expect_code(&ended, code)?;
    let reason = ended.reason.as_deref().context("no reason was told")?;
    for words in ["faults: ", words, "'python3'"] {
        if !reason.contains(words) {
            bail!("the reason does not tell `{words}`: {reason}");
        }
    }
    Ok(())
}

/// Asking for more than the limit is refused, and the program goes on.
fn check_memory(machine: &Machine) -> Result<()> {
    let ended = booted::run(machine, booted::TIMEOUT)?;
    booted::expect_code(&ended, 0)?;
    booted::expect_text(&ended, "with MemoryError, and still running")
}
