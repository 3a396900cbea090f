//! `cargo xtask run`: boots AIOS, spawns one agent, shows its console live, ends with its exit code.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::build::{self, Profile};
use crate::guest::{End, Event, Guest, Message};
use crate::image;
use crate::machine::{self, Firmware, Machine};
use crate::manifest;
use crate::runlog::RunLog;
use crate::terminal::{self, Keys, Typed};
use crate::usage;

/// The image of the interactive shell.
const SHELL_IMAGE: &str = "python";

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
    /// Wait for a debugger on port 1234 of this machine before the first instruction
    #[arg(long)]
    gdb: bool,
    /// End the machine after so many seconds; without it, never
    #[arg(long, value_name = "S")]
    timeout: Option<u64>,
    /// Write every system call into the log, as strace does
    #[arg(long)]
    trace: bool,
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
    machine = arguments.word.iter().fold(machine, |machine, word| machine.word(word));
    if let Some(term) = terminal::name() {
        machine = machine.word(format!("aios.term={term}"));
    }
    if arguments.gdb {
        let kernel = artefacts.kernel.display();
        eprintln!("waiting for a debugger: gdb {kernel} -ex 'target remote :{}'", machine::GDB_PORT);
    }
    if let Some((_, agent)) = &agent {
        eprintln!("starting AIOS with agent {} on image {named}", agent.manifest.name);
    }
    let end = attend(&machine, arguments)?;
    Ok(ExitCode::from(u8::try_from(end.code() & 0xff).unwrap_or(1)))
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

/// Starts the machine and passes keys in and output out, until it ends.
fn attend(machine: &Machine, arguments: &Arguments) -> Result<End> {
    let deadline = arguments.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut log = RunLog::create()?;
    let mut guest = Guest::start(machine)?;
    let raw = terminal::raw();
    let mut output = Output::new();
    let keys = keyboard();
    let mut typist = Typist { on_terminal: raw.is_some(), keys: Keys::default(), ready: false, held: Vec::new() };
    let stopped = loop {
        match guest.next(Instant::now() + Duration::from_millis(20)) {
            Some(Message::Console(bytes)) => output.write(&bytes)?,
            Some(Message::Log(line)) => {
                log.line(&line)?;
                if arguments.verbose {
                    output.log(&line, raw.is_some());
                }
            }
            Some(Message::Event(Event::AgentSpawned { .. })) => typist.open(&guest),
            Some(_) => {}
            None if guest.is_over() => break false,
            None => {}
        }
        if guest.lingers()
            || deadline.is_some_and(|deadline| Instant::now() > deadline)
            || typist.pass_on(&keys, &guest)
        {
            break true;
        }
    };
    let (before, logged) = (guest.console.len(), guest.log.len());
    let end = guest.stop()?;
    for line in guest.log.get(logged..).unwrap_or_default() {
        log.line(line)?;
    }
    output.write(guest.console.get(before..).unwrap_or_default())?;
    drop(raw);
    if stopped && end == End::Stopped && deadline.is_some_and(|deadline| Instant::now() > deadline) {
        let seconds = arguments.timeout.unwrap_or_default();
        eprintln!("error: not finished after {seconds} s");
    }
    explain(&end, log.path());
    Ok(end)
}

/// Standard input in pieces, an empty one at its end.
fn keyboard() -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 1024];
        loop {
            // A closed or broken input is at its end.
            let count = std::io::stdin().read(&mut buffer).unwrap_or(0);
            if sender.send(buffer.get(..count).unwrap_or_default().to_vec()).is_err() || count == 0 {
                break;
            }
        }
    });
    receiver
}

/// Passes input to the guest: held back until the agent is there, because a serial port drops what nobody reads.
struct Typist {
    on_terminal: bool,
    keys: Keys,
    ready: bool,
    held: Vec<u8>,
}

impl Typist {
    /// Takes what was typed; true when the user asked to end the machine.
    fn pass_on(&mut self, keys: &Receiver<Vec<u8>>, guest: &Guest) -> bool {
        loop {
            match keys.try_recv() {
                Ok(bytes) if self.on_terminal => {
                    for typed in self.keys.take(&bytes) {
                        match typed {
                            Typed::Quit => return true,
                            // Before the agent is there nobody else would hear a Ctrl-C.
                            Typed::Bytes(bytes) if !self.ready && bytes.contains(&3) => return true,
                            Typed::Bytes(bytes) => self.held.extend(bytes),
                            // One that does not arrive leaves nothing to see in the log, and that is seen.
                            Typed::Interrupt => drop(guest.monitor("nmi")),
                        }
                    }
                }
                // The end of a pipe is a Ctrl-D at the start of a line; a second one, for a last line without its end.
                Ok(bytes) if bytes.is_empty() => match self.held.last() {
                    Some(b'\n') | None => self.held.push(4),
                    Some(_) => self.held.extend([4, 4]),
                },
                Ok(bytes) => self.held.extend(bytes),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        if self.ready && !self.held.is_empty() {
            guest.send(&std::mem::take(&mut self.held));
        }
        false
    }

    fn open(&mut self, guest: &Guest) {
        self.ready = true;
        guest.send(&std::mem::take(&mut self.held));
    }
}

/// Standard output. Where it is no terminal, the carriage returns of the guest's terminal are taken out.
struct Output {
    plain: bool,
    carriage: bool,
}

impl Output {
    fn new() -> Output {
        Output { plain: !std::io::stdout().is_terminal(), carriage: false }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        if !self.plain {
            stdout.write_all(bytes)?;
            return Ok(stdout.flush()?);
        }
        let mut text = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.carriage && byte != b'\n' {
                text.push(b'\r');
            }
            self.carriage = byte == b'\r';
            if !self.carriage {
                text.push(byte);
            }
        }
        stdout.write_all(&text)?;
        Ok(stdout.flush()?)
    }

    fn log(&self, line: &str, raw: bool) {
        eprint!("{line}{}", if raw { "\r\n" } else { "\n" });
    }
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
    use super::{directory, encode};
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
    fn arguments_are_percent_encoded() {
        let arguments = ["a b", "--x=1,2", "ü"].map(str::to_owned);
        assert_eq!(encode(&arguments), "a%20b,--x=1%2C2,%C3%BC");
    }
}
