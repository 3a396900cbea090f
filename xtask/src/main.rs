//! `cargo xtask`: everything a developer does with AIOS, from a bare Debian machine to a booted agent.
//!
//! Each command makes what it needs: it installs the Debian packages that are missing (when root), compiles what changed,
//! assembles images, starts QEMU. A second run finds all of that done and starts within seconds.

mod bench;
mod build;
mod check;
mod cpio;
mod exec;
mod firmware;
mod guest;
mod help;
mod image;
mod machine;
mod manifest;
mod packages;
mod paths;
mod plumbing;
mod programs;
mod progress;
mod run;
mod runlog;
mod signals;
mod suites;
mod symbols;
mod terminal;
mod toolchain;
mod trace;
mod usage;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

/// Build, boot, test and measure AIOS.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", after_help = help::ALL)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Compile the kernel, the UEFI loader and the first process into target/aios
    #[command(after_help = help::BUILD)]
    Build(build::Arguments),
    /// Boot AIOS in QEMU and run the agent of a directory, or an interactive shell
    ///
    /// Shows the agent's console live and ends with its exit code. The kernel's log is in target/aios/run.log, those of
    /// earlier runs are in target/aios/logs.
    #[command(after_help = help::RUN)]
    Run(run::Arguments),
    /// Run the tests, on the host and booted
    #[command(after_help = help::TEST)]
    Test(suites::Arguments),
    /// Measure AIOS against Linux in the same machine
    #[command(after_help = help::BENCH)]
    Bench(bench::Arguments),
    /// Check formatting, lints, licences, documents, and that `unsafe` stays in kernel/hal
    #[command(after_help = help::CHECK)]
    Check,
    /// Assemble a root file system from Debian packages into target/aios/images
    #[command(after_help = help::IMAGE)]
    Image(image::Arguments),
    /// Remove everything that was built: the whole target directory, images and logs included
    Clean,
}

fn main() -> ExitCode {
    let Some(command) = Arguments::parse().command else {
        // A terminal that is gone is no reason to fail.
        let _ = Arguments::command().print_help();
        return ExitCode::SUCCESS;
    };
    match dispatch(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            if usage::is_wrong(&error) { ExitCode::from(usage::CODE) } else { ExitCode::FAILURE }
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Build(arguments) => build::command(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Run(arguments) => run::command(&arguments),
        Command::Test(arguments) => suites::command(&arguments),
        Command::Bench(arguments) => bench::command(&arguments),
        Command::Check => check::command(),
        Command::Image(arguments) => image::command(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Clean => paths::clean().map(|()| ExitCode::SUCCESS),
    }
}
