//! `cargo xtask run` as a user has it: in pipelines, with files, on a terminal, interrupted.
//!
//! The tool itself is started, with this process's copy of it, so that all between the user's shell and the agent is in it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use super::{Report, booted};
use crate::exec;
use crate::paths;

type Case = (&'static str, fn() -> Result<()>);

const CASES: &[Case] = &[
    ("bytes go through unchanged", bytes),
    ("a slow reader gets all of it", slow),
    ("streams are apart", apart),
    ("streams in one file keep their order", together),
    ("a reader that leaves ends the agent", broken_pipe),
    ("the end comes with input still open", open_input),
    ("a script from standard input", script),
    ("interrupt", interrupt),
    ("an interrupt that the agent handles", handled_interrupt),
    ("a terminal and its size", window),
    ("Ctrl-C on a terminal", typed_interrupt),
    ("a terminal is put back", put_back),
    ("a debugger", debugger),
];

/// Runs the suite.
pub fn run(report: &mut Report) -> Result<()> {
    // Built and assembled here, so that no case waits for it.
    booted::machine("base", &agent("sh", "bash")?)?;
    report.each(CASES, |(name, _)| (*name).to_owned(), |(_, check)| check());
    Ok(())
}

/// The directory of an agent that runs a command of the image.
fn agent(name: &str, command: &str) -> Result<PathBuf> {
    let dir = paths::artefact("tests/streams").join(name);
    let manifest = format!("name = \"{name}\"\nimage = \"base\"\ncommand = [\"{command}\"]\n");
    paths::write_if_changed(&dir.join("agent.toml"), manifest.as_bytes())?;
    Ok(dir)
}

/// The tool, about to run a command of the image with arguments.
fn tool(command: &str, arguments: &[&str]) -> Result<Command> {
    let mut tool = Command::new(std::env::current_exe()?);
    tool.arg("run").arg(agent(command, command)?).arg("--").args(arguments);
    tool.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(tool)
}

/// What comes out of a pipe, as it comes.
struct Output {
    pieces: Receiver<Vec<u8>>,
    bytes: Vec<u8>,
}

impl Output {
    fn collect(mut from: impl Read + Send + 'static) -> Output {
        let (sender, pieces) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose last user has gone is an error and an end.
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                if sender.send(buffer.get(..count).unwrap_or_default().to_vec()).is_err() {
                    break;
                }
            }
        });
        Output { pieces, bytes: Vec::new() }
    }

    /// Waits until `text` has come, and forgets all up to it.
    fn expect(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + booted::TIMEOUT;
        loop {
            if let Some(at) = self.bytes.windows(text.len()).position(|part| part == text.as_bytes()) {
                self.bytes.drain(..at + text.len());
                return Ok(());
            }
            match self.pieces.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.bytes.extend(bytes),
                Err(_) => bail!("`{text}` did not come: {}", String::from_utf8_lossy(&self.bytes)),
            }
        }
    }

    /// All that is left, up to the end.
    fn rest(mut self) -> Vec<u8> {
        self.bytes.extend(self.pieces.iter().flatten());
        self.bytes
    }
}

/// A started tool, and what it writes.
struct Run {
    child: Child,
    stdout: Option<Output>,
    stderr: Option<Output>,
}

/// What a tool left.
struct Left {
    code: Option<i32>,
    stdout: Vec<u8>,
    stderr: String,
}

impl Run {
    fn start(command: &mut Command) -> Result<Run> {
        let mut child = command.spawn().context("cannot start the tool")?;
        let stdout = child.stdout.take().map(Output::collect);
        let stderr = child.stderr.take().map(Output::collect);
        Ok(Run { child, stdout, stderr })
    }

    fn input(&mut self) -> Result<ChildStdin> {
        self.child.stdin.take().context("no pipe for input")
    }

    fn finish(mut self) -> Result<Left> {
        let status = wait(&mut self.child)?;
        let rest = |output: Option<Output>| output.map(Output::rest).unwrap_or_default();
        let (stdout, stderr) = (rest(self.stdout), rest(self.stderr));
        Ok(Left { code: status.code(), stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
    }
}

impl Left {
    fn expect(&self, code: i32, stdout: &[u8]) -> Result<()> {
        let shown = String::from_utf8_lossy(self.stdout.get(..2000).unwrap_or(&self.stdout));
        ensure!(self.code == Some(code), "code {:?} and not {code}: {shown}\n{}", self.code, self.stderr);
        ensure!(self.stdout == stdout, "{} bytes of output: {shown}\n{}", self.stdout.len(), self.stderr);
        Ok(())
    }
}

fn send(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process")?;
    Ok(kill_process(pid, signal)?)
}

/// Waits for the end of a tool. One that does not end is ended and an error.
fn wait(child: &mut Child) -> Result<ExitStatus> {
    let deadline = Instant::now() + booted::TIMEOUT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    bail!("the tool did not end")
}

/// Bytes of all values without a period that a buffer could have.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state >> 32) as u8
    };
    (0..count).map(|_| next()).collect()
}

fn bytes() -> Result<()> {
    let mut run = Run::start(tool("cat", &[])?.stdin(Stdio::piped()))?;
    let sent = noise(5 << 20);
    let mut input = run.input()?;
    let writer = sent.clone();
    let writer = thread::spawn(move || input.write_all(&writer));
    let left = run.finish()?;
    writer.join().map_err(|_| anyhow::anyhow!("the writer broke off"))??;
    ensure!(left.stdout == sent, "{} of {} bytes, or others", left.stdout.len(), sent.len());
    ensure!(left.stderr.is_empty(), "on standard error: {}", left.stderr);
    left.expect(0, &sent)
}

/// The agent is done long before its output is read.
fn slow() -> Result<()> {
    let mut command = tool("sh", &["-c", "seq 100000; echo done >&2"])?;
    let mut child = command.spawn()?;
    let mut stdout = child.stdout.take().context("no output")?;
    let errors = child.stderr.take().map(Output::collect).context("no errors")?;
    thread::sleep(Duration::from_secs(3));
    let mut text = String::new();
    stdout.read_to_string(&mut text)?;
    let status = wait(&mut child)?;
    let told = errors.rest();
    let expected: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
    ensure!(text == expected, "{} of {} bytes", text.len(), expected.len());
    ensure!(status.code() == Some(0) && told == b"done\n", "{status}: {}", String::from_utf8_lossy(&told));
    Ok(())
}

fn apart() -> Result<()> {
    let script = "echo out; echo err >&2; for n in 0 1 2; do test -t $n && echo tty $n; done; wc -c; exit 3";
    let left = Run::start(&mut tool("sh", &["-c", script])?)?.finish()?;
    left.expect(3, b"out\n0\n")?;
    ensure!(left.stderr == "err\nagent sh exited with code 3\n", "on standard error: {}", left.stderr);
    Ok(())
}

fn together() -> Result<()> {
    let path = paths::artefact("tests/streams/together");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    let script = "for n in $(seq 200); do echo out $n; echo err $n >&2; done";
    let mut command = tool("sh", &["-c", script])?;
    command.stderr(file.try_clone()?).stdout(file);
    Run::start(&mut command)?.finish()?.expect(0, b"")?;
    let expected: String = (1..=200).map(|number| format!("out {number}\nerr {number}\n")).collect();
    let text = fs::read_to_string(&path)?;
    ensure!(text == expected, "{text}");
    Ok(())
}

fn broken_pipe() -> Result<()> {
    let mut command = tool("sh", &["-c", "yes; echo $? >&2"])?;
    let mut child = command.spawn()?;
    let mut stdout = child.stdout.take().context("no output")?;
    let mut some = [0; 10];
    stdout.read_exact(&mut some)?;
    drop(stdout);
    let left = Run { stderr: child.stderr.take().map(Output::collect), stdout: None, child }.finish()?;
    ensure!(left.code == Some(0) && left.stderr == "141\n", "code {:?}: {}", left.code, left.stderr);
    Ok(())
}

fn open_input() -> Result<()> {
    let mut run = Run::start(tool("sh", &["-c", "exit 4"])?.stdin(Stdio::piped()))?;
    let input = run.input()?;
    let left = run.finish()?;
    drop(input);
    left.expect(4, b"")
}

fn script() -> Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["run", "--image", "base"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = Run::start(&mut command)?;
    run.input()?.write_all(b"echo from a script\nexit 5\n")?;
    let left = run.finish()?;
    left.expect(5, b"from a script\n")?;
    ensure!(left.stderr == "agent shell exited with code 5\n", "on standard error: {}", left.stderr);
    Ok(())
}

/// Not a shell, which may keep an interrupt from what it is about to execute.
fn interrupt() -> Result<()> {
    let mut run = Run::start(tool("cat", &[])?.stdin(Stdio::piped()))?;
    let mut input = run.input()?;
    input.write_all(b"ready\n")?;
    run.stdout.as_mut().context("no pipe for output")?.expect("ready\n")?;
    send(&run.child, Signal::INT)?;
    run.finish()?.expect(130, b"")
}

fn handled_interrupt() -> Result<()> {
    let script = "trap 'echo tidied up; exit 9' INT; echo ready >&2; while :; do sleep 0.2; done";
    let mut run = Run::start(tool("sh", &["-c", script])?.stdin(Stdio::piped()))?;
    let _input = run.input()?;
    run.stderr.as_mut().context("no pipe for errors")?.expect("ready\n")?;
    send(&run.child, Signal::INT)?;
    run.finish()?.expect(9, b"tidied up\n")
}

/// The tool on a terminal of its own.
struct Session {
    terminal: OwnedFd,
    screen: Output,
    child: Child,
}

impl Session {
    /// Starts it so that it and what it starts have the terminal as theirs.
    fn start(command: &str, arguments: &[&str], size: (u16, u16)) -> Result<Session> {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&terminal)?;
        unlockpt(&terminal)?;
        let name = ptsname(&terminal, Vec::new())?.into_string()?;
        tcsetwinsize(&terminal, winsize(size))?;
        let open = || File::options().read(true).write(true).open(&name).with_context(|| format!("cannot open {name}"));
        let mut tool = Command::new("setsid");
        tool.args(["--ctty", "--wait"]).arg(std::env::current_exe()?).arg("run").arg(agent(command, command)?);
        tool.arg("--").args(arguments).env("TERM", "xterm");
        let child = tool.stdin(open()?).stdout(open()?).stderr(open()?).spawn().context("cannot start setsid")?;
        let screen = Output::collect(File::from(terminal.try_clone()?));
        Ok(Session { terminal, screen, child })
    }

    fn keys(&self) -> Result<File> {
        Ok(File::from(self.terminal.try_clone()?))
    }

    fn finish(mut self, code: i32) -> Result<()> {
        let status = wait(&mut self.child)?;
        // Nobody has the terminal open any more, so it ends too.
        let shown = self.screen.rest();
        ensure!(status.code() == Some(code), "{status}: {}", String::from_utf8_lossy(&shown));
        Ok(())
    }
}

fn winsize((rows, columns): (u16, u16)) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn window() -> Result<()> {
    let script = "tty; trap 'stty size; exit 6' WINCH; stty size; while :; do sleep 0.2; done";
    let mut session = Session::start("sh", &["-c", script], (50, 132))?;
    session.screen.expect("/dev/console\r\n50 132\r\n")?;
    tcsetwinsize(&session.terminal, winsize((33, 77)))?;
    session.screen.expect("33 77\r\n")?;
    session.finish(6)
}

fn typed_interrupt() -> Result<()> {
    let mut session = Session::start("cat", &[], (24, 80))?;
    // Typed at once: held back until the agent is there. The terminal shows it, and so does the program.
    session.keys()?.write_all(b"hello\r")?;
    session.screen.expect("hello\r\nhello\r\n")?;
    session.keys()?.write_all(b"\x03")?;
    session.finish(130)
}

/// A tool that is told to end leaves the terminal as it was.
fn put_back() -> Result<()> {
    let mut session = Session::start("sh", &["-c", "echo ready; exec sleep 1000"], (24, 80))?;
    let line_mode = |session: &Session| -> Result<bool> {
        let settings = tcgetattr(session.terminal.as_fd())?;
        Ok(settings.local_modes.contains(rustix::termios::LocalModes::ICANON))
    };
    session.screen.expect("ready\r\n")?;
    ensure!(!line_mode(&session)?, "the terminal is not raw");
    send(&session.child, Signal::TERM)?;
    let status = wait(&mut session.child)?;
    ensure!(status.code() == Some(143), "{status}");
    ensure!(line_mode(&session)?, "the terminal is still raw");
    Ok(())
}

/// A debugger stops the kernel at functions by their names, before and after there are page tables of its own.
fn debugger() -> Result<()> {
    if !exec::exists("gdb") {
        return Ok(());
    }
    // Free now, and not given to the next who asks.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["run", &format!("--gdb={port}")]).arg(agent("sh", "sh")?).args(["--", "-c", "exit 3"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = Run::start(&mut command)?;
    run.stderr.as_mut().context("no pipe for errors")?.expect("waiting for a debugger")?;
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-iex", "set tcp connect-timeout 60"]).arg(paths::artefact("kernel.elf"));
    for step in
        [&format!("target remote :{port}"), "hbreak bring_up", "continue", "break spawn_system", "continue", "detach"]
    {
        gdb.args(["-ex", step]);
    }
    let told = exec::capture(&mut gdb)?;
    for stop in ["Breakpoint 1, bring_up", "Breakpoint 2, spawn_system"] {
        ensure!(told.contains(stop), "no `{stop}` in:\n{told}");
    }
    run.finish()?.expect(3, b"")
}
