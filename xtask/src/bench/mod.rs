//! `cargo xtask bench`: AIOS against Debian's Linux in the same emulated machine, with the same program.
//!
//! Guest time counts instructions, so every run gives the same numbers to the byte, whatever else this machine does, and
//! ratios are fair. Linux runs as it comes and once tuned (no mitigations, no zeroing on allocation); the tuned one counts.

mod guest;
mod linux;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result, bail};

use crate::build::{self, Profile};
use crate::cpio::Archive;
use crate::machine::Machine;
use crate::paths;
use crate::programs::{self, Link};
use crate::progress::Step;
use crate::usage;
use guest::Values;
use table::Row;

/// What to measure.
#[derive(clap::Args)]
pub struct Arguments {
    /// Measure only this row (may be given several times); without it, all
    #[arg(long, value_name = "ROW")]
    only: Vec<String>,
    /// Also write the rows to a file as JSON: a list of {name, unit, aios, linux, linux_tuned, ratio}
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure wall time in nanoseconds instead of instructions; it varies from run to run
    #[arg(long)]
    wall: bool,
}

/// Rows that come from how a machine starts rather than from the program's table.
const BOOT: &str = "boot";
const IDLE: &str = "idle-memory";
const IMAGE: &str = "kernel-image";

/// A size of memory at which Linux is comfortable, and one at which it counts what a system keeps for itself.
const MEMORY: &str = "512M";
const SMALL: &str = "128M";

/// One system under test.
struct System {
    name: &'static str,
    kernel: PathBuf,
    words: &'static [&'static str],
}

/// For both systems: nothing is put at random places, so that runs are equal.
const AIOS_WORDS: &[&str] = &["quiet", "nokaslr", "norandmaps"];
const LINUX_WORDS: &[&str] = &["console=ttyS0", "quiet", "loglevel=0", "panic=-1", "nokaslr", "norandmaps"];
const TUNED_WORDS: &[&str] = &[
    "console=ttyS0",
    "quiet",
    "loglevel=0",
    "panic=-1",
    "nokaslr",
    "norandmaps",
    "mitigations=off",
    "init_on_alloc=0",
];

/// Runs the command.
pub fn command(arguments: &Arguments) -> Result<ExitCode> {
    let artefacts = build::build(Profile::Release)?;
    let (kernel, version) = linux::kernel()?;
    let systems = [
        System { name: "AIOS", kernel: artefacts.kernel, words: AIOS_WORDS },
        System { name: "Linux", kernel: kernel.clone(), words: LINUX_WORDS },
        System { name: "Linux, tuned", kernel, words: TUNED_WORDS },
    ];
    let place = paths::artefact("bench");
    let program = program(&place)?;
    let results = measure(&systems, &place, &program, arguments)?;
    let [aios, linux, tuned] = &results;
    let rows = rows(aios, linux, tuned, arguments.wall);
    for name in &arguments.only {
        if !rows.iter().any(|row| row.name == *name) {
            let complaints = complaints(&systems, &results);
            if complaints.is_empty() {
                return Err(usage::wrong(format!("there is no row `{name}`")));
            }
            bail!("no system could run the row `{name}`{complaints}");
        }
    }
    let shown: Vec<Row> =
        rows.into_iter().filter(|row| arguments.only.is_empty() || arguments.only.contains(&row.name)).collect();
    print!("{}", table::render(&shown, &version));
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&shown)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let complaints = complaints(&systems, &results);
    if complaints.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}", complaints.trim_start());
    Ok(ExitCode::FAILURE)
}

/// What went wrong in each system, each in its own paragraph.
fn complaints(systems: &[System], results: &[Values]) -> String {
    let each = systems.iter().zip(results);
    each.filter_map(|(system, values)| values.failure.as_ref().map(|why| format!("\n{}: {why}", system.name))).collect()
}

/// Compiles the benchmark program.
fn program(place: &Path) -> Result<PathBuf> {
    programs::ensure_compiler()?;
    fs::create_dir_all(place).with_context(|| format!("cannot create {}", place.display()))?;
    let program = place.join("bench");
    programs::compile(&paths::root().join("tests/bench/bench.c"), &program, Link::Static, true, &[])?;
    Ok(program)
}

/// An initramfs with the program as its first process. `only` names the rows to run; all when it is empty.
fn initramfs(place: &Path, program: &Path, only: &[String]) -> Result<PathBuf> {
    let mut archive = Archive::default();
    for directory in ["dev", "proc", "tmp"] {
        archive.directory(directory, 0o755);
    }
    archive.file("init", 0o755, &fs::read(program).context("cannot read the benchmark program")?);
    archive.file("rows", 0o644, only.iter().map(|name| format!("{name}\n")).collect::<String>().as_bytes());
    let path = place.join(if only.is_empty() { "all.cpio".to_owned() } else { format!("{}.cpio", only.join("+")) });
    paths::write_if_changed(&path, &archive.finish())?;
    Ok(path)
}

/// Boots every system twice: once for all rows, once small for its memory alone.
fn measure(systems: &[System; 3], place: &Path, program: &Path, arguments: &Arguments) -> Result<[Values; 3]> {
    let all = initramfs(place, program, &arguments.only)?;
    let none = initramfs(place, program, &[IDLE.to_owned()])?;
    let step = Step::new("Measuring");
    let one = |system: &System| -> Values {
        let machine = |initramfs: &Path, memory: &str| {
            let machine = Machine::foreign(&system.kernel, initramfs).memory(memory).counting(!arguments.wall);
            system.words.iter().fold(machine, |machine, word| machine.word(*word))
        };
        step.detail(system.name);
        let mut values = guest::run(&machine(&all, MEMORY));
        let small = guest::run(&machine(&none, SMALL));
        values.idle(&small, IDLE);
        values.image(&system.kernel, IMAGE);
        values
    };
    if arguments.wall {
        // One at a time: they would take the processor from each other.
        return Ok(systems.each_ref().map(one));
    }
    let results = thread::scope(|scope| {
        let threads = systems.each_ref().map(|system| scope.spawn(|| one(system)));
        threads.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    Ok(results)
}

/// The rows of the table, in the order in which the tuned Linux gave them, then what only AIOS has.
fn rows(aios: &Values, linux: &Values, tuned: &Values, wall: bool) -> Vec<Row> {
    let mut names: Vec<&str> = Vec::new();
    for values in [tuned, linux, aios] {
        for (name, _) in &values.rows {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
    }
    let maps = [aios, linux, tuned]
        .map(|values| values.rows.iter().map(|(name, value)| (name.as_str(), value)).collect::<BTreeMap<_, _>>());
    let [aios, linux, tuned] = maps;
    names
        .into_iter()
        .map(|name| {
            let value = |map: &BTreeMap<&str, &guest::Value>| map.get(name).map(|value| value.number);
            let unit = [&aios, &linux, &tuned].iter().find_map(|map| map.get(name)).map_or("", |value| &value.unit);
            Row::new(name, table::unit(unit, wall), value(&aios), value(&linux), value(&tuned))
        })
        .collect()
}
