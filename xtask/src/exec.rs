//! Running other programs: their output is kept and shown only when they fail.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::progress::Step;

/// Runs `command` to its end under a progress step. Its last line of stderr is the detail shown.
///
/// # Errors
/// When it cannot be started or fails; the error holds what it printed.
pub fn run(what: &str, command: &mut Command) -> Result<Vec<u8>> {
    step(what, command, |_| true)
}

/// The same for a cargo that builds. Nothing is said of one that finds everything fresh.
pub fn build(what: &str, cargo: &mut Command) -> Result<Vec<u8>> {
    step(what, cargo, |transcript| transcript.lines().any(compiles))
}

/// Whether a line of cargo's says that it compiles something.
fn compiles(line: &str) -> bool {
    line.trim_start().starts_with("Compiling ")
}

/// Runs a step; `worked` looks at its stderr and says whether there was anything to do.
fn step(what: &str, command: &mut Command, worked: fn(&str) -> bool) -> Result<Vec<u8>> {
    let mut step = Step::new(what);
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start `{name}`"))?;
    let stdout = child.stdout.take().map(|mut pipe| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).map(|_| bytes)
        })
    });
    let mut transcript = String::new();
    if let Some(pipe) = child.stderr.take() {
        for line in BufReader::new(pipe).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            step.detail(line.trim());
            transcript.push_str(&line);
            transcript.push('\n');
        }
    }
    let output = match stdout.map(|reader| reader.join()) {
        Some(Ok(bytes)) => bytes?,
        _ => Vec::new(),
    };
    let status = child.wait()?;
    if !worked(&transcript) {
        step.idle();
    }
    drop(step);
    if !status.success() {
        let arguments: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        bail!(
            "{what} failed ({status})\n$ {name} {}\n{transcript}{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output)
        );
    }
    Ok(output)
}

/// The standard output of a short program that is expected to work, without its last newline.
pub fn capture(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{name}`"))?;
    if !output.status.success() {
        bail!("`{name}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Whether a program of that name is in `PATH`.
pub fn exists(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

#[cfg(test)]
mod tests {
    use super::compiles;

    #[test]
    fn a_fresh_build_compiles_nothing() {
        assert!(compiles("   Compiling kernel v0.1.0 (/aios/kernel)"));
        assert!(!compiles("    Finished `release` profile [optimized] target(s) in 0.09s") && !compiles(""));
    }
}
