//! The fuzz targets in `tests/fuzz`, each for a short while. For a long hunt use `cargo fuzz` in that directory.
//!
//! Built with libFuzzer's coverage counters by flags that a stable compiler takes, so neither `cargo fuzz` nor a nightly
//! toolchain is needed here.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Report;
use crate::exec;
use crate::packages::{self, Need};
use crate::paths;

/// How long each target runs.
const SECONDS: u32 = 10;
const TARGET: &str = "x86_64-unknown-linux-gnu";

const FLAGS: &[&str] = &[
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
];

#[derive(Deserialize)]
struct Manifest {
    bin: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

/// Builds all targets and runs each; one case a target.
pub fn run(report: &mut Report) -> Result<()> {
    // libFuzzer itself is C++.
    packages::ensure(&[Need { file: "/usr/bin/c++", package: "g++" }])?;
    let dir = paths::root().join("tests/fuzz");
    let manifest: Manifest =
        toml::from_str(&fs::read_to_string(dir.join("Cargo.toml"))?).context("tests/fuzz/Cargo.toml")?;
    let build = paths::aios().join("build/fuzz");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&dir).env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    cargo.args(["build", "--color=never", "--release", "--target", TARGET, "--target-dir"]).arg(&build);
    exec::build("Building the fuzz targets", &mut cargo)?;
    let programs = build.join(TARGET).join("release");
    let cases: Vec<_> = manifest.bin.iter().map(|target| (target.name.as_str(), programs.join(&target.name))).collect();
    report.each(&cases, |(name, _)| (*name).to_owned(), |(name, program)| fuzz(name, program));
    Ok(())
}

/// Runs one target. The inputs it finds stay beside the build, as a start for the next run.
fn fuzz(name: &str, program: &Path) -> Result<()> {
    let found = paths::aios().join("fuzz").join(name);
    fs::create_dir_all(&found).with_context(|| format!("cannot create {}", found.display()))?;
    let mut fuzzer = Command::new(program);
    fuzzer.arg(format!("-max_total_time={SECONDS}")).arg(format!("-artifact_prefix={}/", found.display())).arg(&found);
    let seeds = paths::root().join("tests/fuzz/corpus").join(name);
    if seeds.is_dir() {
        fuzzer.arg(seeds);
    }
    let output = fuzzer.output().with_context(|| format!("cannot start {}", program.display()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{}", super::booted::tail(&text, 25));
    }
    Ok(())
}
