//! The conformance programs of `tests/linux`: the same binaries run on this machine's Linux and in AIOS, and what they
//! print must be equal.
//!
//! `runner` (also there) runs them, on both sides. In AIOS it does so as an agent, with one machine for each processor of
//! this one. When a machine panics or hangs, the program that ran is to blame, and another machine goes on after it.

mod comparison;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{Report, booted};
use crate::exec;
use crate::guest::Guest;
use crate::machine::Machine;
use crate::paths;
use crate::programs::{self, Link};

/// Seconds for one program, here and under emulation.
const LIMIT_HERE: &str = "30";
const LIMIT_THERE: &str = "120";
/// How long one machine may take for its share of the programs.
const PATIENCE: Duration = Duration::from_secs(900);
/// How many machines may go down before the rest of a share is given up.
const MACHINES: usize = 6;

/// Why a program has no output of its own: the machine went down with it.
type Casualties = BTreeMap<String, String>;

/// Runs the suite.
pub fn run(report: &mut Report) -> Result<()> {
    let place = paths::artefact("tests/linux");
    let names = build(&place)?;
    report.expect(names.len());
    report.begin("on this machine");
    let here = place.join("expected");
    on_this_machine(&place, &names, &here)?;
    report.begin("in AIOS");
    let (there, casualties) = in_aios(&place, &names)?;
    let known = comparison::known_failures(&paths::root().join("tests/known-failures.md"))?;
    for name in known.keys().filter(|name| !names.contains(*name)) {
        report.fail(name, "tests/known-failures.md lists it, but there is no such program");
    }
    for name in &names {
        let result = match casualties.get(name) {
            Some(why) => Err(anyhow::anyhow!("{why}")),
            None => compare(name, &here, &there),
        };
        match (result, known.get(name)) {
            (Ok(()), None) => report.pass(name),
            (Ok(()), Some(_)) => report.fail(name, "it passes: take it off tests/known-failures.md"),
            (Err(error), None) => report.fail(name, &format!("{error:#}")),
            (Err(_), Some(reason)) => report.bar.suspend(|| println!("known failure linux/{name}: {reason}")),
        }
    }
    Ok(())
}

/// Compiles the runner and all programs into `place`; returns the programs' names in order.
fn build(place: &Path) -> Result<Vec<String>> {
    programs::ensure_compiler()?;
    let sources = paths::root().join("tests/linux");
    let header = sources.join("include/check.h");
    let bin = place.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot create {}", bin.display()))?;
    let mut files: Vec<PathBuf> = fs::read_dir(&sources)
        .with_context(|| format!("cannot read {}", sources.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "c" || extension == "rs"));
    files.sort();
    let compiled = parallel(&files, |file| {
        let name = name_of(file);
        if name == "runner" {
            return programs::compile(file, &place.join("runner"), Link::Static, false, &[]);
        }
        let link = match name.split('_').next() {
            Some("dyn") => Link::Dynamic,
            Some("pie") => Link::StaticPie,
            _ => Link::Static,
        };
        programs::compile(file, &bin.join(&name), link, false, &[&header])
    });
    compiled.into_iter().collect::<Result<Vec<()>>>()?;
    let names = files.iter().map(|file| name_of(file)).filter(|name| name != "runner");
    Ok(names.collect())
}

fn name_of(file: &Path) -> String {
    file.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Runs them here. They compare what root sees, in a file system in memory.
fn on_this_machine(place: &Path, names: &[String], out: &Path) -> Result<()> {
    if exec::capture(Command::new("id").arg("-u"))? != "0" {
        bail!("the programs compare what root may do with what root may do in AIOS: run this suite as root");
    }
    fresh_directory(out)?;
    let memory = Path::new("/dev/shm");
    let scratch = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let scratch = scratch.join(format!("aios-linux-{}", std::process::id()));
    let mut runner = Command::new(place.join("runner"));
    runner.arg(place.join("bin")).arg(out).arg(&scratch).arg(LIMIT_HERE).args(names);
    let result = exec::capture(&mut runner);
    // A left-over directory in memory is no reason to fail.
    let _ = fs::remove_dir_all(&scratch);
    result.map(|_| ())
}

/// Runs them in AIOS, divided over several machines. Returns where the outputs are, and who brought a machine down.
fn in_aios(place: &Path, names: &[String]) -> Result<(PathBuf, Casualties)> {
    let out = place.join("out");
    fresh_directory(&out)?;
    let machines = thread::available_parallelism().map_or(1, usize::from).min(names.len()).max(1);
    let shares: Vec<(usize, Vec<String>)> =
        (0..machines).map(|index| (index, names.iter().skip(index).step_by(machines).cloned().collect())).collect();
    // Built once, before anything runs.
    let shares = shares.into_iter().map(|(index, names)| Ok((index, names, machine(place, index)?)));
    let shares = shares.collect::<Result<Vec<_>>>()?;
    let results = parallel(&shares, |(index, names, machine)| run_share(place, *index, names, machine));
    let mut casualties = Casualties::new();
    for result in results {
        casualties.extend(result?);
    }
    Ok((out, casualties))
}

/// Runs some programs in one machine after the other until all have run.
fn run_share(place: &Path, index: usize, names: &[String], machine: &Machine) -> Result<Casualties> {
    let mut casualties = Casualties::new();
    let mut left = names;
    let mut why = String::new();
    for _ in 0..MACHINES {
        paths::write_if_changed(&place.join(list(index)), (left.join("\n") + "\n").as_bytes())?;
        let Some(ending) = run_machine(machine)? else { return Ok(casualties) };
        why = ending.why;
        let started = left.iter().rposition(|name| ending.console.contains(&format!("run {name}\n")));
        let finished = left.iter().rposition(|name| ending.console.contains(&format!("ran {name} ")));
        let (blamed, next) = match (started, finished) {
            (Some(started), Some(finished)) if finished == started => (None, started + 1),
            (Some(started), _) => (left.get(started), started + 1),
            (None, _) => bail!("the runner did not come to its first program: {why}"),
        };
        if let Some(name) = blamed {
            casualties.insert(name.clone(), format!("the machine went down with it: {why}"));
        }
        left = left.get(next..).unwrap_or_default();
        if left.is_empty() {
            return Ok(casualties);
        }
    }
    for name in left {
        casualties.insert(name.clone(), format!("not run: too many machines went down, the last with: {why}"));
    }
    Ok(casualties)
}

/// How a machine went down.
struct Ending {
    why: String,
    console: String,
}

/// Runs one machine to its end; `None` when the runner came to its own.
fn run_machine(machine: &Machine) -> Result<Option<Ending>> {
    let mut guest = Guest::start(machine)?;
    let end = guest.finish(PATIENCE)?;
    let console = guest.console_text();
    if console.contains("\nrunner: ") && console.trim_end().ends_with("did not exit with 0") {
        return Ok(None);
    }
    let why = match booted::ended(&guest, end) {
        Ok(ended) => format!(
            "the runner ended with {}: {}\n{}",
            ended.code,
            ended.reason.unwrap_or_default(),
            booted::tail(&console, 20)
        ),
        Err(error) => format!("{error:#}"),
    };
    Ok(Some(Ending { why, console }))
}

/// Name of the file with the programs that a machine is to run.
fn list(index: usize) -> String {
    format!("list{index}")
}

/// A machine with an agent that runs the programs in the list of this number.
fn machine(place: &Path, index: usize) -> Result<Machine> {
    let dir = place.join(format!("agent{index}"));
    let list = format!("@/share/{}", list(index));
    let words: Vec<String> = ["/share/runner", "/share/bin", "/share/out", "/tmp/linux", LIMIT_THERE, &list]
        .iter()
        .map(|word| format!("{word:?}"))
        .collect();
    let manifest =
        format!("name = \"linux\"\nimage = \"base\"\ncommand = [{}]\n[cpu]\nrealtime = true\n", words.join(", "));
    paths::write_if_changed(&dir.join("agent.toml"), manifest.as_bytes())?;
    Ok(booted::machine("base", &dir)?.share("share", place, true).word("aios.share"))
}

fn compare(name: &str, here: &Path, there: &Path) -> Result<()> {
    let expected = read(&here.join(format!("{name}.out")))?;
    let found = read(&there.join(format!("{name}.out"))).context("it left no output in AIOS")?;
    if expected == found {
        return Ok(());
    }
    bail!("{}", comparison::difference(&expected, &found))
}

fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn fresh_directory(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("cannot empty {}", path.display()))?;
    }
    fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))
}

/// Does `work` on every item, as many at a time as there are processors; results in the order of the items.
fn parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let size = items.len().div_ceil(workers).max(1);
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> =
            items.chunks(size).map(|part| scope.spawn(move || part.iter().map(work).collect::<Vec<R>>())).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}
