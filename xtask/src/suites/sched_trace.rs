//! `cargo xtask run --sched-trace`: traces of real runs, held against the rules of their format and of what happened.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Report, booted};
use crate::paths;
use crate::trace::rules::{self, Summary};

type Case = (&'static str, fn() -> Result<()>);

const CASES: &[Case] = &[
    ("two processors", two_processors),
    ("a quota is seen", quota),
    ("a run that is cut short", cut_short),
    ("a picture", picture),
    ("a file that cannot be made", no_file),
];

/// Runs the suite.
pub fn run(report: &mut Report) -> Result<()> {
    // Built and assembled here, so that no case waits for it.
    booted::machine("base", &agent("trace", "")?)?;
    report.each(CASES, |(name, _)| (*name).to_owned(), |(_, check)| check());
    Ok(())
}

/// The directory of an agent with a shell.
fn agent(name: &str, limits: &str) -> Result<PathBuf> {
    let dir = paths::artefact("tests/sched-trace").join(name);
    let manifest = format!("name = \"{name}\"\nimage = \"base\"\ncommand = [\"bash\", \"-c\"]\n{limits}");
    paths::write_if_changed(&dir.join("agent.toml"), manifest.as_bytes())?;
    Ok(dir)
}

/// The tool, about to run a script in an agent.
fn tool(dir: &Path, script: &str, processors: &str, file: &Path) -> Result<Command> {
    let mut tool = Command::new(std::env::current_exe()?);
    tool.arg("run").arg(dir).args(["--smp", processors, "--timeout", &booted::TIMEOUT.as_secs().to_string()]);
    tool.arg("--sched-trace").arg(file).args(["--", script]).stdin(Stdio::null());
    Ok(tool)
}

/// Runs a script in an agent to its end, and returns what the tool said on standard error.
fn traced(dir: &Path, script: &str, processors: &str, file: &Path) -> Result<String> {
    let output = tool(dir, script, processors, file)?.output().context("cannot start the tool")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(said)
}

/// Reads a trace that must be whole, and nothing of it lost.
fn read(file: &Path, said: &str) -> Result<(Value, Summary)> {
    let trace: Value = serde_json::from_slice(&fs::read(file)?).context("the trace is no JSON")?;
    let about = trace.get("otherData").context("it does not say whether it is whole")?;
    let expected = serde_json::json!({ "system": "AIOS", "lost": 0, "whole": true });
    ensure!(*about == expected, "it is {about}: {said}");
    ensure!(said.contains("none lost"), "the tool said: {said}");
    let summary = rules::check(&trace)?;
    Ok((trace, summary))
}

/// Processes that start, wait for each other and use both processors.
fn two_processors() -> Result<()> {
    let dir = agent("trace", "")?;
    let file = dir.join("trace.json");
    let script = "busy() { local i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done; }; \
                  busy & busy & seq 2000 | sort -n | tail -1; wait; sleep 0.05";
    let said = traced(&dir, script, "2", &file)?;
    let (_, summary) = read(&file, &said)?;
    for name in ["bash", "seq", "sort", "tail", "sleep", "init"] {
        ensure!(summary.ran.contains_key(name), "{name} did not run: {:?}", summary.ran);
    }
    for name in ["processors", "kernel", "agent system, process 1 (init)", "agent trace, process 1 (sleep)"] {
        ensure!(summary.processes.contains(name), "there is no process `{name}`: {:?}", summary.processes);
    }
    ensure!(summary.threads.contains("sleep 1"), "there is no thread `sleep 1`: {:?}", summary.threads);
    ensure!(summary.cpus.iter().eq(&[0, 1]), "these processors ran something: {:?}", summary.cpus);
    ensure!(summary.wakes > 10, "{} threads were woken", summary.wakes);
    Ok(())
}

/// An agent that may use a fifth of a processor stops and goes on.
fn quota() -> Result<()> {
    let dir = agent("bounded", "[cpu]\nquota = \"10ms/50ms\"\n")?;
    let file = dir.join("trace.json");
    let said = traced(&dir, "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); done", "1", &file)?;
    let (trace, _) = read(&file, &said)?;
    let events = trace.get("traceEvents").and_then(Value::as_array).context("no events")?;
    let count = |name: &str| events.iter().filter(|event| event.get("name").is_some_and(|other| other == name)).count();
    let (stops, starts) = (count("bounded has used up its quota"), count("bounded has quota again"));
    ensure!(stops > 2 && starts > 2 && stops.abs_diff(starts) <= 1, "stopped {stops} times, went on {starts} times");
    Ok(())
}

/// The machine is ended while the agent runs: what came until then is there, and that there is no end is told.
fn cut_short() -> Result<()> {
    let dir = agent("cut", "")?;
    let file = dir.join("trace.json");
    let script = "sleep 0.1; echo ready; exec sleep 1000";
    let mut child = tool(&dir, script, "1", &file)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut ready = [0; 5];
    child.stdout.as_mut().context("no output")?.read_exact(&mut ready)?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process")?;
    kill_process(pid, Signal::TERM)?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(128 + 15) && said.contains("the end is missing"), "{}: {said}", output.status);
    let trace: Value = serde_json::from_slice(&fs::read(&file)?).context("the trace is no JSON")?;
    ensure!(trace.pointer("/otherData/whole") == Some(&Value::Bool(false)), "it says that it is whole");
    let summary = rules::check(&trace)?;
    ensure!(summary.ran.contains_key("bash"), "these ran: {:?}", summary.ran);
    Ok(())
}

fn picture() -> Result<()> {
    let dir = agent("drawn", "")?;
    let file = dir.join("trace.svg");
    traced(&dir, "seq 100000 | sort -rn | tail -1", "2", &file)?;
    let picture = fs::read_to_string(&file)?;
    for expected in ["<svg ", "drawn on 2 processors", ">CPU 1<", ">sort (agent drawn, process ", "</svg>"] {
        ensure!(picture.contains(expected), "`{expected}` is not in the picture:\n{picture:.2000}");
    }
    Ok(())
}

fn no_file() -> Result<()> {
    let dir = agent("trace", "")?;
    match traced(&dir, "true", "1", &dir.join("absent/trace.json")) {
        Err(error) if error.to_string().contains("cannot write") => Ok(()),
        Err(error) => Err(error),
        Ok(said) => bail!("it ran: {said}"),
    }
}
