//! One measured boot: starts a machine whose first process is the benchmark program and collects what it prints.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use elf::ElfBytes;
use elf::abi::PT_LOAD;
use elf::endian::AnyEndian;
use serde::Deserialize;

use crate::guest::{End, Guest};
use crate::machine::Machine;
use crate::suites::booted;

/// Long enough for a slow machine that emulates three others.
const PATIENCE: Duration = Duration::from_secs(900);

/// The last line of a run that came to its end.
const DONE: &str = "bench: done";

/// Rows that only serve to compute others.
const TOTAL: &str = "memory-total";
const FREE: &str = "memory-free";

#[derive(Deserialize)]
struct Line {
    name: String,
    unit: String,
    value: f64,
}

/// A measured number.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// As the program gave it: `ns`, `cycles`, `KiB`.
    pub unit: String,
    pub number: f64,
}

/// What one system gave.
#[derive(Default)]
pub struct Values {
    /// In the order of the program's table.
    pub rows: Vec<(String, Value)>,
    /// Why it gave no more.
    pub failure: Option<String>,
    total: Option<f64>,
    free: Option<f64>,
}

/// Boots `machine` and reads the rows. A machine that fails still gives those that it came to.
pub fn run(machine: &Machine) -> Values {
    match boot(machine) {
        Ok((console, failure)) => Values { failure, ..parse(&console) },
        Err(error) => Values { failure: Some(format!("{error:#}")), ..Values::default() },
    }
}

fn boot(machine: &Machine) -> Result<(String, Option<String>)> {
    let mut guest = Guest::start(machine)?;
    let end = guest.finish(PATIENCE)?;
    let console = guest.console_text();
    if console.contains(DONE) {
        return Ok((console, None));
    }
    let why = match end {
        End::Panic(text) => format!("the kernel panicked\n{text}"),
        End::Stopped => "it did not end in time".to_owned(),
        End::Lost(why) | End::Error(why) => why,
        End::Agent { .. } => "it ran an agent instead of the benchmark".to_owned(),
    };
    let why = format!(
        "{why}\nthe console ended with:\n{}\nthe log ended with:\n{}",
        booted::tail(&console, 10),
        guest.last_lines(10)
    );
    Ok((console, Some(why)))
}

fn parse(console: &str) -> Values {
    let mut values = Values::default();
    for line in console.lines() {
        let Ok(Line { name, unit, value }) = serde_json::from_str(line.trim()) else { continue };
        match name.as_str() {
            TOTAL => values.total = Some(value),
            FREE => values.free = Some(value),
            _ => values.rows.push((name, Value { unit, number: value })),
        }
    }
    values
}

impl Values {
    /// Adds what a system with little memory and nothing to do keeps of it.
    pub fn idle(&mut self, small: &Values, name: &str) {
        if let (Some(total), Some(free)) = (small.total, small.free) {
            self.rows.push((name.to_owned(), Value { unit: "KiB".to_owned(), number: total - free }));
        }
        if self.failure.is_none() {
            self.failure.clone_from(&small.failure);
        }
    }

    /// Adds the size of the kernel: of what is loaded from an ELF file, or of a whole file of another kind.
    pub fn image(&mut self, kernel: &Path, name: &str) {
        match image_size(kernel) {
            Ok(bytes) => {
                let number = bytes.div_ceil(1024) as f64;
                self.rows.push((name.to_owned(), Value { unit: "KiB".to_owned(), number }));
            }
            Err(error) => self.failure = Some(format!("{error:#}")),
        }
    }
}

fn image_size(kernel: &Path) -> Result<u64> {
    let bytes = std::fs::read(kernel).with_context(|| format!("cannot read {}", kernel.display()))?;
    let Ok(file) = ElfBytes::<AnyEndian>::minimal_parse(&bytes) else { return Ok(bytes.len() as u64) };
    let Some(segments) = file.segments() else { bail!("{} has no segments", kernel.display()) };
    Ok(segments.iter().filter(|segment| segment.p_type == PT_LOAD).map(|segment| segment.p_filesz).sum())
}

#[cfg(test)]
mod tests {
    use super::{Values, parse};

    #[test]
    fn rows_are_found_among_other_lines() {
        let console = "booting\n{\"name\":\"memory-total\",\"unit\":\"KiB\",\"value\":100}\n\
                       {\"name\":\"memory-free\",\"unit\":\"KiB\",\"value\":70}\n\
                       {\"name\":\"getpid\",\"unit\":\"ns\",\"value\":322}\r\nbench: done\n";
        let values = parse(console);
        assert_eq!(values.rows.len(), 1);
        let mut all = Values::default();
        all.idle(&values, "idle");
        assert_eq!(all.rows.first().map(|(_, value)| value.number), Some(30.0));
    }
}
