//! `cargo xtask run`: boots AIOS, spawns one agent, shows its console live, ends with its exit code.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::build::{self, Profile};
use crate::guest::{End, Event, Guest, Mailbox, Message, Outside, Scene};
use crate::image;
use crate::machine::{self, Firmware, Machine, Stream};
use crate::manifest;
use crate::plumbing::{Carriers, Plumbing};
use crate::runlog::RunLog;
use crate::signals;
use crate::terminal::{self, Keys, Typed};
use crate::trace;
use crate::usage;

/// The image of the interactive shell.
const SHELL_IMAGE: &str = "python";

const CTRL_C: u8 = 3;

/// What to run, and in what kind of machine.
#[derive(clap::Args)]
pub struct Arguments {
    /// Directory with an agent.toml; without it an interactive shell
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Arguments added to the agent's command, after `--`
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
    /// Host directory that the guest sees as /share, writable; without it the one that the manifest names, if it does
    #[arg(long, value_name = "HOST_DIR")]
    share: Option<PathBuf>,
    /// Number of CPUs, 1 to 255
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=255))]
    smp: u32,
    /// Word for the kernel's command line, for example clocksource=hpet (may be given several times)
    #[arg(long, value_name = "WORD")]
    word: Vec<String>,
    /// Memory: a whole number of MiB (M, the default unit) or GiB (G)
    #[arg(long, value_name = "SIZE", default_value = "512M", value_parser = machine::parse_memory)]
    memory: String,
    /// How the kernel is started
    #[arg(long, value_enum, default_value_t)]
    firmware: Firmware,
    /// Wait for a debugger before the first instruction, on port 1234 of this machine or another
    #[arg(long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "1234")]
    gdb: Option<u16>,
    /// End the machine after so many seconds; without it, never
    #[arg(long, value_name = "S")]
    timeout: Option<u64>,
    /// Write every system call into the log, as strace does
    #[arg(long)]
    trace: bool,
    /// Write what the scheduler does on each CPU: to a name in .svg as a picture, else as trace events for Perfetto
    #[arg(long, value_name = "FILE")]
    sched_trace: Option<PathBuf>,
    /// Show the kernel's log (on standard error) while the machine runs
    #[arg(long)]
    verbose: bool,
    /// Image to use instead of the one that the manifest names
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// Run a kernel that was compiled without optimisation, with debug assertions and overflow checks
    #[arg(long)]
    debug: bool,
}

/// Runs the command.
pub fn command(arguments: &Arguments) -> Result<ExitCode> {
    let agent = match &arguments.dir {
        Some(dir) => Some((directory(dir, "the agent's directory")?, manifest::read(dir)?)),
        None => None,
    };
    let share = match (&arguments.share, &agent) {
        (Some(share), _) => Some((directory(share, "--share")?, true)),
        (None, Some((_, agent))) => match &agent.share {
            Some(share) => Some((directory(share, "[host] share")?, true)),
            None => None,
        },
        (None, None) => None,
    };
    let named = agent.as_ref().map_or(SHELL_IMAGE, |(_, agent)| agent.manifest.image.as_str());
    let named = arguments.image.as_deref().unwrap_or(named);
    image::check(named).map_err(|error| match (&arguments.image, &arguments.dir) {
        (None, Some(dir)) => error.context(format!("`image` in {} is wrong", dir.join(manifest::FILE).display())),
        _ => error,
    })?;
    let profile = if arguments.debug { Profile::Debug } else { Profile::Release };
    let artefacts = build::build(profile)?;
    let image = image::ensure(named)?;
    let mut machine = Machine::new(&artefacts)
        .firmware(arguments.firmware)
        .memory(&arguments.memory)
        .cpus(arguments.smp)
        .debugger(arguments.gdb)
        .share("image", &image, false);
    machine = match &agent {
        Some((dir, _)) => machine.share("agent", dir, false).word("aios.run"),
        None => machine.word("aios.shell"),
    };
    if let Some((path, writable)) = &share {
        machine = machine.share("share", path, *writable).word("aios.share");
    }
    if !arguments.args.is_empty() {
        machine = machine.word(format!("aios.args={}", encode(&arguments.args)));
    }
    if arguments.trace {
        machine = machine.word("aios.trace");
    }
    if let Some(path) = &arguments.sched_trace {
        trace::check(path)?;
        machine = machine.stream(Stream::Trace).word("aios.sched-trace");
    }
    machine = arguments.word.iter().fold(machine, |machine, word| machine.word(word));
    if let Some(term) = terminal::name() {
        machine = machine.word(format!("aios.term={term}"));
    }
    if let Some(port) = arguments.gdb {
        // What is frozen is there to be looked at.
        machine = machine.word("aios.keep");
        let kernel = artefacts.kernel.display();
        eprintln!("waiting for a debugger: gdb {kernel} -ex 'target remote :{port}'");
    }
    // For somebody who waits; a file of the agent's errors is its own.
    if let Some((_, agent)) = &agent
        && std::io::stderr().is_terminal()
    {
        eprintln!("starting AIOS with agent {} on image {named}", agent.manifest.name);
    }
    let code = attend(machine, &Plumbing::here(), arguments)?;
    Ok(ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1)))
}

fn directory(path: &Path, what: &str) -> Result<PathBuf> {
    if !path.exists() {
        return Err(usage::wrong(format!("{what} {} does not exist", path.display())));
    }
    if !path.is_dir() {
        return Err(usage::wrong(format!("{what} {} is no directory", path.display())));
    }
    path.canonicalize().with_context(|| format!("cannot open {}", path.display()))
}

/// Each argument percent-encoded, joined by commas: the kernel's command line is split at blanks.
fn encode(arguments: &[String]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@+".contains(&byte);
    let word = |text: &String| {
        let parts =
            text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
        parts.collect::<String>()
    };
    arguments.iter().map(word).collect::<Vec<_>>().join(",")
}

/// Why a run was cut short from here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// `--timeout`.
    Time,
    /// The machine does not go off although the agent has ended.
    Lingering,
    /// The user asked for it, or is gone.
    User,
    Signal(i32),
}

/// Starts the machine and passes keys and input in and output out, until it ends; returns the exit code.
fn attend(machine: Machine, plumbing: &Plumbing, arguments: &Arguments) -> Result<i32> {
    let deadline = arguments.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut log = RunLog::create()?;
    let mut guest = Guest::start(&plumbing.lay(machine))?;
    signals::watch(guest.mailbox())?;
    let raw = if plumbing.has_keyboard() { terminal::raw(plumbing.others_print()) } else { None };
    if raw.is_some() {
        read_keys(guest.mailbox());
    }
    let recorder = match (&arguments.sched_trace, guest.stream(Stream::Trace)) {
        (Some(path), Some(stream)) => Some(trace::Recorder::start(stream, path)),
        _ => None,
    };
    let mut carriers = plumbing.connect(&mut guest)?;
    let mut screen = plumbing.screen();
    let mut typist = Typist::default();
    let mut show = |line: &str| {
        log.line(line)?;
        if arguments.verbose {
            eprint!("{line}{}", if raw.is_some() { "\r\n" } else { "\n" });
        }
        anyhow::Ok(())
    };
    let line_end = if raw.is_some() { "\r\n" } else { "\n" };
    let tell = |lines: &[String]| lines.iter().for_each(|line| eprint!("{line}{line_end}"));
    let cut = loop {
        let soon = Instant::now() + Duration::from_secs(1);
        match guest.next(deadline.map_or(soon, |deadline| deadline.min(soon))) {
            Some(Message::Console(bytes)) => screen.write(&bytes)?,
            Some(Message::Log(line)) => show(&line)?,
            Some(Message::Event(Event::AgentSpawned { .. })) => typist.open(&guest),
            Some(Message::Event(Event::AgentFrozen { agent, scene })) => {
                typist.frozen = true;
                tell(&frozen(&agent, &scene));
            }
            Some(Message::Event(Event::AgentState { agent, state, .. })) => {
                typist.frozen = state == "frozen";
                let hint = if typist.frozen { "is frozen; Ctrl-A f lets it go on" } else { "goes on" };
                tell(&[format!("agent {agent} {hint}")]);
            }
            Some(Message::Event(Event::AgentRestarting { agent, reason, restarts, wait_ms })) => {
                let reason = reason.unwrap_or(agent);
                tell(&[format!("agent ended: {reason}; restart {restarts} in {wait_ms} ms")]);
            }
            Some(Message::Event(_)) => {}
            Some(Message::Outside(Outside::Typed(bytes))) if typist.take(&bytes, &guest, &mut carriers) => {}
            Some(Message::Outside(Outside::Typed(_))) => break Some(Cut::User),
            Some(Message::Outside(Outside::Signal(signals::SIGWINCH))) => carriers.resize(),
            // The agent's, who may have something to put in order. A second one is ours.
            Some(Message::Outside(Outside::Signal(signals::SIGINT))) if typist.interrupt(&guest) => {}
            Some(Message::Outside(Outside::Signal(signal))) => break Some(Cut::Signal(signal)),
            None if guest.is_over() => break None,
            None => {}
        }
        if guest.lingers() {
            break Some(Cut::Lingering);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            break Some(Cut::Time);
        }
        guest.forget();
    };
    let (before, logged) = (guest.console.len(), guest.log.len());
    let end = guest.stop()?;
    for line in guest.log.get(logged..).unwrap_or_default() {
        show(line)?;
    }
    screen.write(guest.console.get(before..).unwrap_or_default())?;
    carriers.finish(cut.is_some());
    drop(raw);
    // The agent's end counts also where its trace is bad.
    match recorder.map(trace::Recorder::finish) {
        Some(Ok(what)) => eprintln!("{what}"),
        Some(Err(error)) => eprintln!("error: {error:#}"),
        None => {}
    }
    if end == End::Stopped && cut == Some(Cut::Time) {
        eprintln!("error: not finished after {} s", arguments.timeout.unwrap_or_default());
    }
    explain(&end, log.path());
    Ok(match (&end, cut) {
        (End::Stopped, Some(Cut::Signal(signal))) => 128 + signal,
        _ => end.code(),
    })
}

/// Sends what is typed to the mailbox, in the end nothing.
fn read_keys(mailbox: Mailbox) {
    thread::spawn(move || {
        let mut buffer = [0; 1024];
        loop {
            // A terminal that cannot be read is gone.
            let count = std::io::stdin().read(&mut buffer).unwrap_or(0);
            let typed = buffer.get(..count).unwrap_or_default().to_vec();
            if !mailbox.send(Outside::Typed(typed)) || count == 0 {
                break;
            }
        }
    });
}

/// Types into the guest's console: held back until the agent is there, because before that nobody takes it.
#[derive(Default)]
struct Typist {
    keys: Keys,
    ready: bool,
    interrupted: bool,
    /// The agent stands still.
    frozen: bool,
    held: Vec<u8>,
}

impl Typist {
    /// Takes what was typed; false when that asks to end the machine.
    fn take(&mut self, bytes: &[u8], guest: &Guest, carriers: &mut Carriers) -> bool {
        if bytes.is_empty() {
            return false;
        }
        for typed in self.keys.take(bytes) {
            match typed {
                Typed::Quit => return false,
                // Before the agent is there nobody else would hear a Ctrl-C.
                Typed::Bytes(bytes) if !self.ready && bytes.contains(&CTRL_C) => return false,
                Typed::Bytes(bytes) => self.held.extend(bytes),
                Typed::Freeze => carriers.freeze(!self.frozen),
                // One that does not arrive leaves nothing to see in the log, and that is seen.
                Typed::Interrupt => drop(guest.monitor("nmi")),
            }
        }
        if self.ready {
            self.open(guest);
        }
        true
    }

    /// Types a Ctrl-C, the first time that it is asked to; false when there is nobody to hear it.
    fn interrupt(&mut self, guest: &Guest) -> bool {
        let hears = self.ready && !self.interrupted;
        if hears {
            self.interrupted = true;
            guest.send(&[CTRL_C]);
        }
        hears
    }

    /// The agent is there.
    fn open(&mut self, guest: &Guest) {
        self.ready = true;
        guest.send(&std::mem::take(&mut self.held));
    }
}

/// An agent that its fault policy stopped, for people.
fn frozen(agent: &str, scene: &Scene) -> Vec<String> {
    let count = |count: u32, what: &str, more: &str| format!("{count} {what}{}", if count == 1 { "" } else { more });
    let mut lines = vec![
        format!("agent {agent} is frozen by its fault policy: {}", scene.reason),
        format!(
            "signal {} in thread {}, of {} in {}",
            scene.signal,
            scene.thread,
            count(scene.threads, "thread", "s"),
            count(scene.processes, "process", "es"),
        ),
        "registers:".into(),
    ];
    for row in scene.registers.chunks(3) {
        let row: Vec<_> = row.iter().map(|(name, value)| format!("{name:>8} {value:<18}")).collect();
        lines.push(row.join("").trim_end().to_owned());
    }
    lines.push("memory:".into());
    lines.extend(scene.maps.iter().map(|line| format!("  {line}")));
    lines.extend(scene.more_maps.map(|more| format!("  and {more} more areas")));
    lines
}

/// Says why the run ended, unless all went well. After a failure of the system also where the kernel's log is.
fn explain(end: &End, log: &Path) {
    match end {
        End::Agent { reason: Some(reason), .. } => return eprintln!("agent ended: {reason}"),
        End::Agent { code: 0, .. } => return,
        End::Agent { name, code, .. } => return eprintln!("agent {name} exited with code {code}"),
        End::Error(message) => eprintln!("error: {message}"),
        End::Panic(text) => eprintln!("error: the kernel panicked\n{text}"),
        End::Stopped => eprintln!("the machine was stopped"),
        End::Lost(why) => eprintln!("error: {why}"),
    }
    eprintln!("the kernel's log is in {}", log.display());
}

#[cfg(test)]
mod tests {
    use super::{directory, encode, frozen};
    use crate::guest::Scene;
    use crate::usage;
    use std::path::Path;

    #[test]
    fn a_directory_that_is_not_there_is_told_from_one_that_is_none() {
        for (path, said) in [("/none/such", "does not exist"), ("/etc/passwd", "is no directory")] {
            let error = directory(Path::new(path), "--share").unwrap_err();
            assert!(usage::is_wrong(&error));
            assert_eq!(error.to_string(), format!("--share {path} {said}"));
        }
    }

    #[test]
    fn a_frozen_agent_is_shown_with_reason_registers_and_memory() {
        let scene = Scene {
            signal: 11,
            reason: "x: null write at 0x0".into(),
            thread: 2,
            processes: 1,
            threads: 3,
            registers: ["rax", "rbx", "rip", "rsp"].map(|name| (name.to_owned(), "0x10".to_owned())).to_vec(),
            maps: vec!["00400000-00401000 r-xp 00000000 00:00 0 /bin/x".into()],
            more_maps: Some(7),
        };
        let shown = [
            "agent x is frozen by its fault policy: x: null write at 0x0",
            "signal 11 in thread 2, of 3 threads in 1 process",
            "registers:",
            "     rax 0x10                   rbx 0x10                   rip 0x10",
            "     rsp 0x10",
            "memory:",
            "  00400000-00401000 r-xp 00000000 00:00 0 /bin/x",
            "  and 7 more areas",
        ];
        assert_eq!(frozen("x", &scene), shown);
    }

    #[test]
    fn arguments_are_percent_encoded() {
        let arguments = ["a b", "--x=1,2", "ü"].map(str::to_owned);
        assert_eq!(encode(&arguments), "a%20b,--x=1%2C2,%C3%BC");
    }
}
