//! `cargo test` over every crate that builds for the host.

use std::process::Command;

use anyhow::{Context, Result};

use super::Report;
use crate::paths;
use crate::progress::Step;

/// Runs all host tests; each test function counts as one case.
pub fn run(report: &mut Report) -> Result<()> {
    let step = Step::new("Host tests");
    cargo_test(report, &[])?;
    drop(step);
    let _step = Step::new("Locks and waiting, under every kind of order");
    cargo_test(report, &["--package", "kernel-sync", "--features", "model"])
}

/// Runs `cargo test` with these arguments.
fn cargo_test(report: &mut Report, arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::root()).args(["test", "--no-fail-fast", "--color=never"]).args(arguments);
    let output = cargo.output().context("cannot start cargo")?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let mut failures = Vec::new();
    for line in stdout.lines() {
        let Some(result) = line.strip_prefix("test ") else { continue };
        match result.rsplit_once(" ... ") {
            Some((_, "ok")) => report.passed_many(1),
            Some((name, "FAILED")) => failures.push(name.to_owned()),
            _ => {}
        }
    }
    let clean = failures.is_empty();
    for name in failures {
        report.fail(&name, &explanation(&stdout, &name));
    }
    if clean && !output.status.success() {
        report.fail("cargo test", &String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// What a failed test printed: the part that the test runner puts between two `----` headings.
fn explanation(stdout: &str, name: &str) -> String {
    let heading = format!("---- {name} stdout ----");
    let lines = stdout.lines().skip_while(|line| *line != heading).skip(1);
    lines.take_while(|line| !line.starts_with("---- ") && *line != "failures:").collect::<Vec<_>>().join("\n")
}
