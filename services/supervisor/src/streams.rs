//! The agent's standard streams: the console, or pipes to the host where the host's own streams are none of a terminal.
//!
//! An agent gets ordinary pipes, with the ends and errors that programs know. A thread for each moves the bytes between the
//! pipe and a port of the machine's serial device, which has flow control; so nothing is lost on the way, whoever is slow.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, PipeReader, Read, Write, pipe};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use serde::Deserialize;

use crate::cmdline::{Cmdline, Stderr, Window};
use crate::error::{Context, Error};
use crate::life::Lives;

/// Ports of the host's streams and of its messages to us.
const STDIN: &str = "/dev/vport0p1";
const STDOUT: &str = "/dev/vport0p2";
const STDERR: &str = "/dev/vport0p3";
const MESSAGES: &str = "/dev/vport0p4";

const CHUNK: usize = 64 << 10;
const STACK: usize = 128 << 10;

/// What an agent is started with.
pub struct Streams {
    /// The terminal, opened for the agent: its session makes it its controlling one, ours must not hold it.
    pub console: File,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    /// Threads that end when the agent's last output is with the host.
    outgoing: Vec<JoinHandle<()>>,
    /// Closed when the agent has ended: what it wrote is in the pipes by then, and nothing more comes.
    over: Option<OwnedFd>,
    /// Reads its end.
    ended: Arc<OwnedFd>,
}

impl Streams {
    /// Opens what the command line asks for.
    pub fn open(cmdline: &Cmdline) -> Result<Streams, Error> {
        let console = console()?;
        if let Some(window) = cmdline.window {
            resize(&console, window);
        }
        let (ended, over) = pipe().context("cannot make a pipe")?;
        let mut streams = Streams {
            console,
            stdin: None,
            stdout: None,
            stderr: None,
            outgoing: Vec::new(),
            over: Some(over.into()),
            ended: Arc::new(ended.into()),
        };
        if cmdline.stdin {
            let port = open(OpenOptions::new().read(true), STDIN)?;
            let (reader, writer) = pipe().context("cannot make a pipe")?;
            start("stdin", move || carry(port, writer))?;
            streams.stdin = Some(reader.into());
            // Nobody types; the host's Ctrl-C is to be heard and not seen.
            silence(&streams.console);
        }
        if cmdline.stdout {
            streams.stdout = Some(streams.outgoing(STDOUT)?);
        }
        streams.stderr = match (cmdline.stderr, &streams.stdout) {
            (Stderr::Host, _) => Some(streams.outgoing(STDERR)?),
            (Stderr::Stdout, Some(stdout)) => Some(stdout.try_clone().context("cannot share standard output")?),
            _ => None,
        };
        Ok(streams)
    }

    /// A pipe whose other end goes to a port.
    fn outgoing(&mut self, port: &str) -> Result<OwnedFd, Error> {
        let port = open(OpenOptions::new().write(true), port)?;
        let (reader, writer) = pipe().context("cannot make a pipe")?;
        let ended = self.ended.clone();
        self.outgoing.push(start("output", move || carry(UntilEnd { pipe: reader, ended }, port))?);
        Ok(writer.into())
    }

    /// Descriptors 0, 1 and 2 for the agent.
    pub fn stdio(&self) -> [BorrowedFd<'_>; 3] {
        [&self.stdin, &self.stdout, &self.stderr]
            .map(|stream| stream.as_ref().map_or(self.console.as_fd(), |stream| stream.as_fd()))
    }

    /// Gives up our ends: from now on a pipe ends when the agent closes it.
    pub fn hand_over(&mut self) {
        (self.stdin, self.stdout, self.stderr) = (None, None, None);
    }

    /// Waits until what the agent wrote is with the host, or the host does not want it.
    pub fn flush(mut self) {
        self.over = None;
        for thread in self.outgoing {
            // One that broke off has nothing to send any more.
            let _ = thread.join();
        }
    }
}

/// What an agent writes into a pipe, until it has closed it or has ended. Both, because an agent that the kernel had to give up
/// may leave a descriptor open that nobody has.
struct UntilEnd {
    pipe: PipeReader,
    /// Hangs up when the agent has ended.
    ended: Arc<OwnedFd>,
}

impl Read for UntilEnd {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let mut wanted =
            [PollFd::new(&self.pipe, PollFlags::IN), PollFd::from_borrowed_fd(self.ended.as_fd(), PollFlags::IN)];
        poll(&mut wanted, None)?;
        // The pipe's bytes, or its end, come first; with neither, and the agent gone, that is all.
        if wanted[0].revents().is_empty() { Ok(0) } else { self.pipe.read(buffer) }
    }
}

/// Does what the host asks for while the agents of `lives` run: one JSON object a line.
pub fn obey(console: &File, lives: Arc<Lives>) -> Result<(), Error> {
    let port = open(OpenOptions::new().read(true), MESSAGES)?;
    let console = console.try_clone().context("cannot use the console twice")?;
    start("host", move || {
        for line in BufReader::new(port).split(b'\n') {
            let Ok(line) = line else { break };
            // Others than these are for supervisors to come.
            let Ok(message) = serde_json::from_slice::<Message>(&line) else { continue };
            match message {
                Message::Window(window) => resize(&console, window),
                Message::Freeze(frozen) => lives.set_frozen(frozen),
            }
        }
    })?;
    Ok(())
}

/// A message of the host.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Message {
    /// The window has a new size.
    Window(Window),
    /// The agent is to stop, or to go on.
    Freeze(bool),
}

fn resize(console: &File, window: Window) {
    let size = Winsize { ws_row: window.rows, ws_col: window.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // A console that takes no size has none to show.
    let _ = tcsetwinsize(console, size);
}

fn silence(console: &File) {
    if let Ok(mut settings) = tcgetattr(console) {
        settings.local_modes.remove(LocalModes::ECHO);
        // Without it there is a `^C` among the errors, and nothing else is wrong.
        let _ = tcsetattr(console, OptionalActions::Now, &settings);
    }
}

fn console() -> Result<File, Error> {
    open(OpenOptions::new().read(true).write(true), "/dev/console")
}

fn open(options: &mut OpenOptions, path: &str) -> Result<File, Error> {
    options.custom_flags(OFlags::NOCTTY.bits().cast_signed()).open(path).context(&format!("cannot open {path}"))
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    thread::Builder::new().name(name.into()).stack_size(STACK).spawn(run).context("cannot start a thread")
}

/// Moves bytes until the source ends or nobody wants them; closes both.
fn carry(mut from: impl Read, mut to: impl Write) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        if to.write_all(buffer.get(..count).unwrap_or_default()).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_carried_and_the_end_too() {
        let sent: Vec<u8> = (0..300_000u32).map(|at| (at % 251) as u8).collect();
        let (mut reader, writer) = pipe().unwrap();
        let source = std::io::Cursor::new(sent.clone());
        let thread = thread::spawn(move || carry(source, writer));
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        thread.join().unwrap();
        assert!(got == sent);
    }

    #[test]
    fn output_ends_with_the_agent_even_where_its_end_of_the_pipe_stays_open() {
        let (reader, mut left_open) = pipe().unwrap();
        let (ended, over) = pipe().unwrap();
        left_open.write_all(b"last words").unwrap();
        let source = UntilEnd { pipe: reader, ended: Arc::new(ended.into()) };
        let (mut got, sink) = pipe().unwrap();
        let thread = thread::spawn(move || carry(source, sink));
        drop(over);
        thread.join().unwrap();
        let mut text = String::new();
        got.read_to_string(&mut text).unwrap();
        assert_eq!(text, "last words");
        drop(left_open);
    }

    /// The host sends exactly these.
    #[test]
    fn messages_have_the_form_that_the_host_sends() {
        let message: Message = serde_json::from_str("{\"window\":{\"rows\":50,\"columns\":132}}").unwrap();
        assert!(matches!(message, Message::Window(Window { rows: 50, columns: 132 })));
        assert!(matches!(serde_json::from_str("{\"freeze\":true}"), Ok(Message::Freeze(true))));
        assert!(serde_json::from_str::<Message>("{\"other\":1}").is_err());
    }
}
