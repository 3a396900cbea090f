//! The kernel's log of each run in a file of its own: `target/aios/logs/run-NNNNNN.log`, written as it comes. The latest one
//! is `target/aios/run.log` too. So a run that is started after a panic does not take away what tells why.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::paths;

/// Logs that are kept.
const KEPT: u64 = 20;

/// The log of one run.
pub struct RunLog {
    path: PathBuf,
    file: File,
}

impl RunLog {
    /// Starts a log, makes it the latest, and removes the oldest when there are too many.
    pub fn create() -> Result<RunLog> {
        let log = RunLog::create_in(&paths::artefact("logs"))?;
        let latest = paths::artefact("run.log");
        let fresh = latest.with_extension(format!("new{}", std::process::id()));
        let target = Path::new("logs").join(log.path.file_name().unwrap_or_default());
        std::os::unix::fs::symlink(target, &fresh)
            .and_then(|()| fs::rename(&fresh, &latest))
            .with_context(|| format!("cannot write {}", latest.display()))?;
        Ok(log)
    }

    fn create_in(dir: &Path) -> Result<RunLog> {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        let there = numbers(dir)?;
        let mut number = there.iter().max().map_or(1, |last| last + 1);
        // Another run may start at this moment.
        for _ in 0..1000 {
            let path = dir.join(name(number));
            match File::create_new(&path) {
                Ok(file) => {
                    for old in there.iter().filter(|old| **old + KEPT <= number) {
                        // Whoever removes it first is right.
                        let _ = fs::remove_file(dir.join(name(*old)));
                    }
                    return Ok(RunLog { path, file });
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
                Err(error) => return Err(error).with_context(|| format!("cannot create {}", path.display())),
            }
        }
        bail!("no free name for a log in {}", dir.display())
    }

    /// Adds a line.
    pub fn line(&mut self, line: &str) -> Result<()> {
        let text = format!("{line}\n");
        self.file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", self.path.display()))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn name(number: u64) -> String {
    format!("run-{number:06}.log")
}

/// The numbers of the logs in a directory.
fn numbers(dir: &Path) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("run-")?.strip_suffix(".log"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::{KEPT, RunLog, numbers};

    #[test]
    fn logs_of_earlier_runs_are_kept_up_to_a_number() {
        let dir = std::env::temp_dir().join(format!("aios-logs-{}", std::process::id()));
        for run in 1..=KEPT + 5 {
            let mut log = RunLog::create_in(&dir).unwrap();
            log.line(&format!("run {run}")).unwrap();
            assert_eq!(std::fs::read_to_string(log.path()).unwrap(), format!("run {run}\n"));
        }
        let mut there = numbers(&dir).unwrap();
        there.sort_unstable();
        assert_eq!(there, (6..=KEPT + 5).collect::<Vec<_>>());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
