//! A started machine: its console, its log, its control events, and how it ended.
//!
//! Three threads read COM1, COM2 and QEMU's own messages to their end and send what they read through one channel; the owner
//! takes it out with [`Guest::next`]. So nothing is lost when QEMU ends, and a guest that prints much is never held up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::machine::{self, Machine, Stream};

/// Lines on COM2 that start so carry one JSON object for us; all others are the kernel's log.
const CONTROL: &str = "@aios ";

/// What QEMU ends with when the kernel writes 0x7f, its mark of a panic, to the debug-exit port: `value << 1 | 1`.
const PANIC_STATUS: i32 = 255;

/// How long QEMU gets to connect, and to power off after the agent has ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// What [`Guest::forget`] keeps.
const KEPT_BYTES: usize = 1 << 20;
const KEPT_LINES: usize = 10_000;

/// A control line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    AgentSpawned {
        agent: String,
        id: String,
    },
    AgentExited {
        agent: String,
        id: String,
        /// `exited` or `killed`.
        status: String,
        code: Option<i32>,
        signal: Option<i32>,
        reason: Option<String>,
        /// How often it was started anew, if it was.
        restarts: Option<u32>,
    },
    /// Lines of `/proc/PID/maps` of the agent that is told of next as frozen.
    AgentMap {
        maps: Vec<String>,
    },
    /// Its fault policy stopped it.
    AgentFrozen {
        agent: String,
        #[serde(flatten)]
        scene: Scene,
    },
    /// It was frozen or thawed as we asked.
    AgentState {
        agent: String,
        /// `frozen` or `running`.
        state: String,
        /// Processor time that it has used until it stopped.
        cpu_ns: u64,
    },
    /// It ended by a fault and will be started anew.
    AgentRestarting {
        agent: String,
        reason: Option<String>,
        /// Which start after the first is to come.
        restarts: u32,
        wait_ms: u64,
    },
    /// The first process could not do what the command line asked for.
    Error {
        message: String,
    },
    #[serde(other)]
    Other,
}

/// What there is to see of an agent that its fault policy stopped.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Scene {
    pub signal: u32,
    pub reason: String,
    pub thread: u32,
    pub processes: u32,
    pub threads: u32,
    /// Names and values.
    pub registers: Vec<(String, String)>,
    /// Lines of `/proc/PID/maps`.
    #[serde(default)]
    pub maps: Vec<String>,
    /// Lines that were left out.
    pub more_maps: Option<usize>,
}

/// What a guest sends.
#[derive(Debug)]
pub enum Message {
    /// Bytes on the console, as they come.
    Console(Vec<u8>),
    /// One line of the log, control lines included.
    Log(String),
    /// A control line, after its log line.
    Event(Event),
    /// What somebody put into the [`Mailbox`].
    Outside(Outside),
}

/// What happens on this side while a guest runs.
#[derive(Debug)]
pub enum Outside {
    /// The user typed; empty when that is over.
    Typed(Vec<u8>),
    /// This process got a signal.
    Signal(i32),
}

/// Puts what happens outside between a guest's messages, so that one place waits for both.
#[derive(Clone)]
pub struct Mailbox(Sender<Raw>);

impl Mailbox {
    /// False when nobody listens any more.
    pub fn send(&self, what: Outside) -> bool {
        self.0.send(Raw::Outside(what)).is_ok()
    }
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The first agent ended, with its exit code, or 128 + signal.
    Agent { name: String, code: i32, reason: Option<String> },
    /// The first process gave up.
    Error(String),
    /// The kernel panicked; the text is its log from there on.
    Panic(String),
    /// Time ran out, or somebody asked to stop.
    Stopped,
    /// QEMU ended without any of the above: a triple fault, or QEMU's own error.
    Lost(String),
}

impl End {
    /// The exit code for `cargo xtask run`.
    pub fn code(&self) -> i32 {
        match self {
            End::Agent { code, .. } => *code,
            End::Stopped => 124,
            End::Error(_) | End::Panic(_) | End::Lost(_) => 125,
        }
    }
}

/// A running machine. Dropping it ends it.
pub struct Guest {
    qemu: Child,
    messages: Receiver<Raw>,
    mailbox: Mailbox,
    input: Sender<Vec<u8>>,
    streams: Vec<(Stream, UnixStream)>,
    agent: Option<(String, String)>,
    /// Lines of a memory map that belong to an event that is to come.
    maps: Vec<String>,
    end: Option<End>,
    pending: Option<Message>,
    /// The kernel runs: what comes on the console is not the firmware's any more.
    entered: bool,
    /// Everything that was on the console so far, without the firmware's part.
    pub console: Vec<u8>,
    /// Every line of COM2 so far.
    pub log: Vec<String>,
    complaints: String,
    /// Where [`Guest::expect`] goes on reading.
    seen: usize,
    readers: usize,
    ended_at: Option<Instant>,
    /// Removed when the guest has gone.
    scratch: Scratch,
}

enum Raw {
    Console(Vec<u8>),
    Log(String),
    Complaint(String),
    Outside(Outside),
    Closed,
}

impl Guest {
    /// Starts the machine.
    ///
    /// # Errors
    /// When QEMU cannot be started or ends at once; its own message is in the error.
    pub fn start(machine: &Machine) -> Result<Guest> {
        let scratch = Scratch::new()?;
        let mut command = machine.command(&scratch.dir)?;
        let (com1, com2) = (scratch.listen(machine::COM1)?, scratch.listen(machine::COM2)?);
        let mut listeners = Vec::new();
        for stream in machine.streams() {
            listeners.push((*stream, scratch.listen(stream.name())?));
        }
        // In a group of its own: what a terminal sends to ours is for us to decide on.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut qemu = command.spawn().context("cannot start qemu-system-x86_64")?;
        let (sender, messages) = mpsc::channel();
        if let Some(stderr) = qemu.stderr.take() {
            read_lines(stderr, sender.clone(), Raw::Complaint);
        }
        let console = accept(&com1, &mut qemu, &messages)?;
        let log = accept(&com2, &mut qemu, &messages)?;
        let mut streams = Vec::new();
        for (stream, listener) in &listeners {
            streams.push((*stream, accept(listener, &mut qemu, &messages)?));
        }
        let (input, typed) = mpsc::channel();
        write_all(console.try_clone()?, typed);
        read_bytes(console, sender.clone());
        read_lines(log, sender.clone(), Raw::Log);
        Ok(Guest {
            qemu,
            messages,
            mailbox: Mailbox(sender),
            input,
            streams,
            agent: None,
            maps: Vec::new(),
            end: None,
            pending: None,
            entered: !machine.has_chatty_firmware(),
            console: Vec::new(),
            log: Vec::new(),
            complaints: String::new(),
            seen: 0,
            readers: 3,
            ended_at: None,
            scratch,
        })
    }

    /// The next message; `None` when nothing came until `deadline`, or nothing will come any more ([`Guest::is_over`]).
    pub fn next(&mut self, deadline: Instant) -> Option<Message> {
        if let Some(message) = self.pending.take() {
            return Some(message);
        }
        while self.readers > 0 {
            let wait = deadline.saturating_duration_since(Instant::now());
            match self.messages.recv_timeout(wait) {
                Ok(Raw::Console(_)) if !self.entered => {}
                Ok(Raw::Console(bytes)) => {
                    self.console.extend_from_slice(&bytes);
                    return Some(Message::Console(bytes));
                }
                Ok(Raw::Log(line)) => {
                    self.entered |= is_kernel_line(&line);
                    self.pending = self.control(&line).map(Message::Event);
                    self.log.push(line.clone());
                    return Some(Message::Log(line));
                }
                Ok(Raw::Complaint(line)) => {
                    self.complaints.push_str(&line);
                    self.complaints.push('\n');
                }
                Ok(Raw::Outside(what)) => return Some(Message::Outside(what)),
                Ok(Raw::Closed) => self.readers -= 1,
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => self.readers = 0,
            }
        }
        None
    }

    /// Where to put what happens outside.
    pub fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    /// Our end of one of the machine's streams, the first time that it is asked for.
    pub fn stream(&mut self, stream: Stream) -> Option<UnixStream> {
        let at = self.streams.iter().position(|(there, _)| *there == stream)?;
        Some(self.streams.swap_remove(at).1)
    }

    /// Whether QEMU has gone and all it wrote was taken.
    pub fn is_over(&self) -> bool {
        self.readers == 0 && self.pending.is_none()
    }

    /// Gives QEMU one of its monitor's commands, such as `nmi`, and returns what that prints.
    ///
    /// # Errors
    /// When QEMU does not take it.
    pub fn monitor(&self, command: &str) -> Result<String> {
        let stream = UnixStream::connect(self.scratch.dir.join(machine::MONITOR)).context("QEMU takes no commands")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut answers = BufReader::new(stream.try_clone()?).lines();
        let mut ask = |request: serde_json::Value| -> Result<serde_json::Value> {
            writeln!(&stream, "{request}")?;
            loop {
                let line = answers.next().context("QEMU gave no answer")??;
                let mut answer: serde_json::Value = serde_json::from_str(&line)?;
                if let Some(error) = answer.get("error") {
                    bail!("QEMU refuses `{command}`: {error}");
                }
                // Events and the greeting come in between.
                if let Some(value) = answer.get_mut("return") {
                    return Ok(value.take());
                }
            }
        };
        ask(serde_json::json!({"execute": "qmp_capabilities"}))?;
        let arguments = serde_json::json!({"command-line": command});
        let printed = ask(serde_json::json!({"execute": "human-monitor-command", "arguments": arguments}))?;
        Ok(printed.as_str().unwrap_or_default().to_owned())
    }

    /// Types `bytes` on the console. They wait in the serial port until the guest takes them.
    pub fn send(&self, bytes: &[u8]) {
        // The writer is gone only when the guest is, and then nobody can read this.
        let _ = self.input.send(bytes.to_vec());
    }

    /// Waits until `text` appears on the console after what the last call found.
    ///
    /// # Errors
    /// When it does not until the time is over or the guest ends; the error shows the rest of the console.
    pub fn expect(&mut self, text: &str, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            let fresh = self.console.get(self.seen..).unwrap_or_default();
            if let Some(at) = fresh.windows(text.len().max(1)).position(|part| part == text.as_bytes()) {
                self.seen += at + text.len();
                return Ok(());
            }
            if self.next(deadline).is_none() && (self.is_over() || Instant::now() >= deadline) {
                let fresh = String::from_utf8_lossy(self.console.get(self.seen..).unwrap_or_default()).into_owned();
                bail!("`{text}` did not appear on the console within {} s; it showed:\n{fresh}", timeout.as_secs());
            }
        }
    }

    /// Waits for the first agent's `agent-spawned`, after which input reaches it.
    pub fn wait_for_agent(&mut self, timeout: Duration) -> Result<()> {
        let deadline = Instant::now() + timeout;
        while self.agent.is_none() {
            if self.next(deadline).is_none() {
                bail!(
                    "no agent was spawned within {} s; the log ends with:\n{}",
                    timeout.as_secs(),
                    self.last_lines(20)
                );
            }
        }
        Ok(())
    }

    /// Reads on to the end, for at most `timeout`, and says how it ended.
    pub fn finish(&mut self, timeout: Duration) -> Result<End> {
        let deadline = Instant::now() + timeout;
        while !self.is_over() && Instant::now() < deadline && !self.lingers() {
            self.next(deadline.min(Instant::now() + Duration::from_millis(200)));
        }
        self.stop()
    }

    /// Whether the agent ended long ago and the machine still runs.
    pub fn lingers(&self) -> bool {
        self.ended_at.is_some_and(|at| at.elapsed() > PATIENCE)
    }

    /// Ends QEMU if it still runs, takes what it left, and says how the run ended.
    pub fn stop(&mut self) -> Result<End> {
        let running = !self.is_over();
        if running {
            terminate(&mut self.qemu);
            let deadline = Instant::now() + Duration::from_secs(5);
            while !self.is_over() && self.next(deadline).is_some() {}
        }
        let status = self.qemu.wait()?;
        if let Some(end) = &self.end {
            return Ok(end.clone());
        }
        if !running && status.code() == Some(PANIC_STATUS) {
            return Ok(End::Panic(self.panic_text()));
        }
        if running { Ok(End::Stopped) } else { Ok(End::Lost(self.loss(status))) }
    }

    /// The console as text, with the terminal's carriage returns taken out.
    pub fn console_text(&self) -> String {
        String::from_utf8_lossy(&self.console).replace("\r\n", "\n")
    }

    /// Lets go of what was shown and logged long ago, for a guest that runs for days.
    pub fn forget(&mut self) {
        if self.console.len() > 2 * KEPT_BYTES {
            self.console.drain(..self.console.len() - KEPT_BYTES);
        }
        if self.log.len() > 2 * KEPT_LINES {
            self.log.drain(..self.log.len() - KEPT_LINES);
        }
    }

    /// The last `count` lines of the log.
    pub fn last_lines(&self, count: usize) -> String {
        let start = self.log.len().saturating_sub(count);
        self.log.get(start..).unwrap_or_default().join("\n")
    }

    /// Takes note of a control line.
    fn control(&mut self, line: &str) -> Option<Event> {
        let mut event: Event = serde_json::from_str(line.strip_prefix(CONTROL)?).ok()?;
        match &mut event {
            Event::AgentMap { maps } => self.maps.append(maps),
            Event::AgentFrozen { scene, .. } => scene.maps = std::mem::take(&mut self.maps),
            Event::AgentSpawned { agent, id } if self.agent.is_none() => {
                self.agent = Some((agent.clone(), id.clone()));
            }
            // Its next life has another identity.
            Event::AgentRestarting { .. } => self.agent = None,
            Event::AgentExited { agent, id, code, signal, reason, restarts, .. }
                if self.agent.as_ref().is_none_or(|(_, first)| first == id) && self.end.is_none() =>
            {
                let code = code.or(signal.map(|signal| 128 + signal)).unwrap_or(1);
                let reason = match (reason, restarts) {
                    (Some(reason), Some(1)) => Some(format!("{reason} (after 1 restart)")),
                    (Some(reason), Some(count)) => Some(format!("{reason} (after {count} restarts)")),
                    (reason, _) => reason.clone(),
                };
                self.end = Some(End::Agent { name: agent.clone(), code, reason });
                self.ended_at = Some(Instant::now());
            }
            Event::Error { message } if self.end.is_none() => {
                self.end = Some(End::Error(message.clone()));
                self.ended_at = Some(Instant::now());
            }
            _ => {}
        }
        Some(event)
    }

    fn panic_text(&self) -> String {
        let from = self.log.iter().position(|line| line.to_ascii_lowercase().contains("panic"));
        match from {
            Some(from) => self.log.get(from..).unwrap_or_default().join("\n"),
            None => self.last_lines(30),
        }
    }

    fn loss(&self, status: ExitStatus) -> String {
        if status.success() {
            return format!("the machine stopped before the agent ended; the log ends with:\n{}", self.last_lines(20));
        }
        format!("QEMU ended with {status}\n{}{}", self.complaints, self.last_lines(20))
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Ok(None) = self.qemu.try_wait() {
            terminate(&mut self.qemu);
        }
    }
}

/// Whether a line on COM2 is the kernel's, which begins with the time: `[    0.012345]`. GRUB writes there too, and leaves
/// the cursor in a line.
fn is_kernel_line(line: &str) -> bool {
    let stamp = |text: &str| {
        text.split_once(']').and_then(|(time, _)| time.trim().split_once('.')).is_some_and(|(seconds, parts)| {
            [seconds, parts].iter().all(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        })
    };
    line.split('[').skip(1).any(stamp)
}

/// Asks QEMU to end, and makes it end if it does not.
fn terminate(qemu: &mut Child) {
    // A failure here means that it has ended already.
    let _ = std::process::Command::new("kill").arg(qemu.id().to_string()).stderr(Stdio::null()).status();
    for _ in 0..40 {
        if matches!(qemu.try_wait(), Ok(Some(_))) {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    let _ = qemu.kill();
    let _ = qemu.wait();
}

/// A directory for one run: sockets, and what the firmware boots from. Socket paths must stay under 108 bytes, so it is
/// not under `target`.
struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    fn new() -> Result<Scratch> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("aios-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Scratch { dir })
    }

    fn listen(&self, name: &str) -> Result<UnixListener> {
        let path = self.dir.join(name);
        UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A leftover does no harm.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn accept(listener: &UnixListener, qemu: &mut Child, messages: &Receiver<Raw>) -> Result<UnixStream> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("QEMU's serial port"),
        }
        if let Some(status) = qemu.try_wait()? {
            let mut complaints = String::new();
            while let Ok(Raw::Complaint(line)) = messages.recv() {
                complaints.push_str(&line);
                complaints.push('\n');
            }
            bail!("QEMU ended at once ({status}): {complaints}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    terminate(qemu);
    bail!("QEMU did not open its serial ports within {} s", PATIENCE.as_secs())
}

fn read_bytes(mut console: UnixStream, sender: Sender<Raw>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = console.read(&mut buffer) {
            if sender.send(Raw::Console(buffer.get(..count).unwrap_or_default().to_vec())).is_err() {
                break;
            }
        }
        // Wakes the writer, if a write of it waits for a guest that is gone.
        let _ = console.shutdown(Shutdown::Both);
        let _ = sender.send(Raw::Closed);
    });
}

/// Sends each line, and an unfinished last one too.
fn read_lines(source: impl Read + Send + 'static, sender: Sender<Raw>, wrap: fn(String) -> Raw) {
    thread::spawn(move || {
        for line in BufReader::new(source).split(b'\n') {
            let Ok(line) = line else { break };
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if sender.send(wrap(line)).is_err() {
                break;
            }
        }
        let _ = sender.send(Raw::Closed);
    });
}

fn write_all(mut console: UnixStream, typed: Receiver<Vec<u8>>) {
    thread::spawn(move || {
        for bytes in typed {
            if console.write_all(&bytes).is_err() {
                break;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{End, Event, is_kernel_line};

    #[test]
    fn control_lines_parse() {
        let line =
            r#"{"event":"agent-exited","agent":"x","id":"1.1","status":"killed","signal":11,"reason":"null write"}"#;
        let Ok(Event::AgentExited { signal, code, reason, .. }) = serde_json::from_str(line) else {
            panic!("not an agent-exited event")
        };
        assert_eq!((signal, code, reason.as_deref()), (Some(11), None, Some("null write")));
        let line = r#"{"event":"something-new","x":1}"#;
        assert_eq!(serde_json::from_str::<Event>(line).ok(), Some(Event::Other));
    }

    #[test]
    fn kernel_lines_are_told_from_others() {
        assert!(is_kernel_line("[    0.012345] kernel: command line"));
        assert!(is_kernel_line("\u{1b}[H\u{1b}[J\u{1b}[1;1H[    0.009703] kernel"));
        assert!(!is_kernel_line("\u{1b}[1;1HGNU GRUB  version 2.06") && !is_kernel_line("BdsDxe: [0x1F,0x2]"));
    }

    #[test]
    fn exit_codes() {
        assert_eq!(End::Agent { name: String::new(), code: 7, reason: None }.code(), 7);
        assert_eq!(End::Stopped.code(), 124);
        assert_eq!(End::Panic(String::new()).code(), 125);
    }
}
