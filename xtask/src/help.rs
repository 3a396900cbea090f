//! What each command's help ends with: examples, and what its exit codes mean.

pub const ALL: &str = "\
Each command builds and, as root on Debian, installs what it needs. Output goes to target/aios, or to aios in the
directory that CARGO_TARGET_DIR names.

Exit codes: 0 done; 1 it failed, and a line `error: ...` says why; 2 the command line or a manifest is wrong.
`run` has more, see `cargo xtask run --help`.

Examples:
  cargo xtask run examples/digest    run a Python agent
  cargo xtask run                    an interactive shell in AIOS
  cargo xtask test                   all tests";

pub const BUILD: &str = "\
Exit codes: 0 done; 1 it failed; 2 the command line is wrong.

Examples:
  cargo xtask build            what `run` would build
  cargo xtask build --debug    with assertions, for the debugger";

pub const RUN: &str = "\
Exit codes:
  0 to 255   the agent's own; a line on standard error tells one that is not 0
  128 + n    signal n ended the agent, and a line on standard error says why
  1          nothing was started: a build failed, QEMU is missing
  2          the command line or the manifest is wrong
  124        the machine was ended by --timeout or by Ctrl-A x; 128 + n by signal n, the second Ctrl-C of a pipeline
  125        the agent could not be started, or the system failed
A line on standard error tells the last four from an agent that exits with the same code.

Standard input, output and error are the agent's: a terminal where they are one, pipes where they are not.
Keys: all go to the guest, Ctrl-C too. Ctrl-A x ends the machine, Ctrl-A f freezes the agent and lets it go
on again, Ctrl-A n has every processor write to the log where it is, Ctrl-A Ctrl-A types a Ctrl-A.

Examples:
  cargo xtask run                                    an interactive shell
  cargo xtask run --share .                          with this directory as /share
  cargo xtask run examples/digest                    a Python agent
  cargo xtask run examples/digest -- --top 20        with arguments for the agent
  seq 10 | cargo xtask run DIR > out 2> err          in a pipeline
  cargo xtask run examples/digest --firmware uefi --memory 2G
  cargo xtask run examples/shell --trace             its system calls in target/aios/run.log
  cargo xtask run examples/digest --smp 4 --sched-trace digest.json
                                                     what each processor ran, for Perfetto
  cargo xtask run examples/faults --timeout 60       ended after a minute at the latest";

pub const TEST: &str = "\
Prints one line a suite and `N passed, N failed` as its last line. Some suites must run as root.

Exit codes: 0 all passed; 1 some did not; 2 the command line is wrong.

Examples:
  cargo xtask test
  cargo xtask test --list
  cargo xtask test --suite boot --suite shell
  cargo xtask test --fuzz";

pub const BENCH: &str = "\
Numbers are instructions, equal in each run; a ratio above 1 means that AIOS needs less than the tuned Linux.

Exit codes: 0 measured, whatever the ratios are; 1 a system could not be measured; 2 the command line is wrong.

Examples:
  cargo xtask bench
  cargo xtask bench --only fork-wait --only fork-exec
  cargo xtask bench --json bench.json";

pub const CHECK: &str = "\
Prints one line a check and `N passed, N failed` as its last line.

Exit codes: 0 all hold; 1 some do not; 2 the command line is wrong.";

pub const IMAGE: &str = "\
Definitions are in images/, where NAME.lock pins versions and hashes.

Exit codes: 0 done; 1 it failed; 2 the command line is wrong, or there is no such image.

Examples:
  cargo xtask image                    what images there are
  cargo xtask image python             assemble one, where it is missing or out of date
  cargo xtask image python --update    pin the newest packages first";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_example_is_taken() {
        for text in [ALL, BUILD, RUN, TEST, BENCH, CHECK, IMAGE] {
            for line in text.lines().filter_map(|line| line.strip_prefix("  cargo xtask")) {
                let command = line.trim_start().split("  ").next().unwrap_or_default();
                let words = std::iter::once("cargo xtask").chain(command.split_whitespace());
                crate::Arguments::command().try_get_matches_from(words).unwrap();
            }
        }
    }
}
