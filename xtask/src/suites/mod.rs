//! `cargo xtask test`: the suites as data, and the one place that counts and prints.
//!
//! A suite is a name and a function that records cases into a [`Report`]. To add one, write a module with such a function
//! and a line in [`ALL`].

mod boot;
pub mod booted;
mod containment;
mod examples;
mod exhaustion;
mod faults;
mod frames;
mod fuzz;
mod host;
mod last_words;
mod linux;
mod platform;
mod sched_trace;
mod shell;
mod spawn;
mod storm;
mod streams;
mod syscall_fuzz;
mod vdso;

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anyhow::Result;
use indicatif::ProgressBar;

use crate::{progress, usage};

/// Which tests to run.
#[derive(clap::Args)]
pub struct Arguments {
    /// Run only this suite (may be given several times); without it, all but `fuzz`
    #[arg(long, value_name = "NAME")]
    suite: Vec<String>,
    /// List the suites and end
    #[arg(long)]
    list: bool,
    /// Also run the fuzz targets, each for ten seconds
    #[arg(long)]
    fuzz: bool,
    /// Boot the kernel with its own checks: assertions, overflow, the lock checker
    #[arg(long)]
    debug: bool,
    /// Processors of the virtual machines, where a case does not choose them itself
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=255))]
    smp: u32,
}

/// One set of tests that can run alone.
pub struct Suite {
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    /// Runs the cases. An error counts as one failed case: what the suite needed could not be made.
    pub run: fn(&mut Report) -> Result<()>,
    /// Whether a plain `cargo xtask test` leaves it out.
    pub on_request: bool,
}

/// Every suite, in the order in which they run: the quick ones first.
const ALL: &[Suite] = &[
    suite("host", "unit and property tests of every crate, on this machine", host::run),
    suite("vdso", "the clock functions that the kernel maps into every process", vdso::run),
    suite("boot", "PVH, UEFI and GRUB; one and two CPUs; 128 MiB and 2 GiB", boot::run),
    suite("platform", "interrupt controllers and clocks, chosen by the command line", platform::run),
    suite("shell", "the interactive shell, driven through its console", shell::run),
    suite("streams", "`cargo xtask run` in pipelines, with files, on a terminal, interrupted", streams::run),
    suite("sched-trace", "traces of the scheduler: their format, and what is in them", sched_trace::run),
    suite("examples", "the agents in examples/, and what they print", examples::run),
    suite("faults", "the fault policies of agent.toml: kill, freeze, restart", faults::run),
    suite("containment", "failures of the kernel in a call of one agent", containment::run),
    suite("last-words", "the log of a kernel that panicked or was reset, told by the next one", last_words::run),
    suite("spawn", "agents that cannot be started, and what is said of each", spawn::run),
    suite("linux", "the conformance programs, on this machine's Linux and in AIOS", linux::run),
    suite("smp", "storms of processes, threads and mappings on 1, 2, 4 and 8 processors", storm::short),
    suite("exhaustion", "memory, processes, files and the rest used up, and given back", exhaustion::run),
    suite("frames", "a thousand processes come and go, and every frame comes back", frames::run),
    suite("syscall-fuzz", "two hundred times a thousand random system calls", syscall_fuzz::run),
    Suite {
        on_request: true,
        ..suite(
            "smp-long",
            "the same for five minutes each, with the kernel's debug checks (only by name)",
            storm::long,
        )
    },
    Suite {
        on_request: true,
        ..suite("fuzz", "the fuzz targets, each for some seconds (only with --fuzz)", fuzz::run)
    },
];

/// A suite that a plain `cargo xtask test` runs.
const fn suite(name: &'static str, about: &'static str, run: fn(&mut Report) -> Result<()>) -> Suite {
    Suite { name, about, run, on_request: false }
}

/// Collects the results of one suite, and shows them as they come.
pub struct Report {
    suite: &'static str,
    bar: ProgressBar,
    passed: usize,
    failed: Vec<String>,
}

impl Report {
    fn new(suite: &'static str) -> Report {
        Report { suite, bar: progress::bar(0, suite), passed: 0, failed: Vec::new() }
    }

    /// Says how many cases are to come, for the progress bar.
    pub fn expect(&mut self, cases: usize) {
        self.bar.inc_length(cases as u64);
    }

    /// Names the case that runs now.
    pub fn begin(&mut self, case: &str) {
        self.bar.set_message(case.to_owned());
    }

    /// Records that a case passed.
    pub fn pass(&mut self, case: &str) {
        self.passed += 1;
        self.bar.set_message(case.to_owned());
        self.bar.inc(1);
    }

    /// Records that a case failed; `why` may have several lines.
    pub fn fail(&mut self, case: &str, why: &str) {
        self.failed.push(case.to_owned());
        progress::above(|| {
            println!("FAILED {}/{case}", self.suite);
            for line in why.lines() {
                println!("    {line}");
            }
        });
        self.bar.inc(1);
    }

    /// Records a case by its result; the whole chain of an error is shown.
    pub fn record(&mut self, case: &str, result: Result<()>) {
        match result {
            Ok(()) => self.pass(case),
            Err(error) => self.fail(case, &format!("{error:#}")),
        }
    }

    /// Runs `check` on every item, as many at a time as there are processors, and records the results as they come.
    pub fn each<T: Sync>(&mut self, items: &[T], name: fn(&T) -> String, check: fn(&T) -> Result<()>) {
        self.expect(items.len());
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let next = AtomicUsize::new(0);
        let (sender, results) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..workers {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if sender.send((name(item), check(item))).is_err() {
                            break;
                        }
                    }
                });
            }
            drop(sender);
            for (name, result) in results {
                self.record(&name, result);
            }
        });
    }

    /// Records many passed cases at once, from a runner that counts itself.
    pub fn passed_many(&mut self, cases: usize) {
        self.passed += cases;
        self.bar.inc(cases as u64);
    }
}

/// Runs what was asked for; prints one line a suite, then `N passed, N failed`.
pub fn command(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.list {
        for suite in ALL {
            println!("{:<14} {}", suite.name, suite.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    crate::machine::set_default_cpus(arguments.smp);
    crate::build::check_in_tests(arguments.debug);
    let (mut passed, mut failed) = (0, 0);
    for suite in select(arguments)? {
        let started = Instant::now();
        let mut report = Report::new(suite.name);
        if let Err(error) = (suite.run)(&mut report) {
            report.fail("set-up", &format!("{error:#}"));
        }
        report.bar.finish_and_clear();
        println!(
            "{:<14} {} passed, {} failed ({:.1} s)",
            suite.name,
            report.passed,
            report.failed.len(),
            started.elapsed().as_secs_f32()
        );
        passed += report.passed;
        failed += report.failed.len();
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn select(arguments: &Arguments) -> Result<Vec<&'static Suite>> {
    for name in &arguments.suite {
        if !ALL.iter().any(|suite| suite.name == name) {
            let names: Vec<_> = ALL.iter().map(|suite| suite.name).collect();
            return Err(usage::wrong(format!("there is no suite `{name}`; there are {}", names.join(", "))));
        }
    }
    let wanted = |suite: &&Suite| {
        if arguments.suite.is_empty() {
            !suite.on_request || (arguments.fuzz && suite.name == "fuzz")
        } else {
            arguments.suite.iter().any(|name| name == suite.name)
        }
    };
    Ok(ALL.iter().filter(wanted).collect())
}
