//! Where the agent's standard streams go. One that is a terminal here is the console there. Any other is carried byte for byte
//! through a stream of its own, in which nothing is echoed, converted or lost, and whose end is the end of file.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::guest::Guest;
use crate::machine::{Machine, Stream};
use crate::terminal;

/// How long output that is left after a cut may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Bytes moved at a time.
const CHUNK: usize = 64 << 10;

/// Which of our streams are no terminals.
pub struct Plumbing {
    stdin: bool,
    stdout: bool,
    stderr: bool,
    /// Standard error and output are one file: their order is to be kept.
    joined: bool,
    /// Rows and columns of our terminal.
    window: Option<(u16, u16)>,
}

impl Plumbing {
    /// As this process was started.
    pub fn here() -> Plumbing {
        let stdout = !io::stdout().is_terminal();
        let stderr = !io::stderr().is_terminal();
        let identity = |file: &dyn AsFd| rustix::fs::fstat(file.as_fd()).ok().map(|stat| (stat.st_dev, stat.st_ino));
        let joined =
            stdout && stderr && identity(&io::stdout()).is_some_and(|out| Some(out) == identity(&io::stderr()));
        Plumbing { stdin: !io::stdin().is_terminal(), stdout, stderr, joined, window: terminal::window() }
    }

    /// Whether the user types into the guest.
    pub fn has_keyboard(&self) -> bool {
        !self.stdin
    }

    /// Whether our output may meet that of other programs on one terminal.
    pub fn others_print(&self) -> bool {
        self.stdout
    }

    /// The machine with the streams that are needed, and told of them.
    pub fn lay(&self, mut machine: Machine) -> Machine {
        if self.stdin {
            machine = machine.stream(Stream::Stdin).word("aios.stdin");
        }
        if self.stdout {
            machine = machine.stream(Stream::Stdout).word("aios.stdout");
        }
        if self.joined {
            machine = machine.word("aios.stderr=stdout");
        } else if self.stderr {
            machine = machine.stream(Stream::Stderr).word("aios.stderr");
        }
        if let Some((rows, columns)) = self.window {
            machine =
                machine.stream(Stream::Messages).word("aios.control").word(format!("aios.window={rows}x{columns}"));
        }
        machine
    }

    /// Starts to carry. Threads that bring output end with the machine.
    pub fn connect(&self, guest: &mut Guest) -> Result<Carriers> {
        let mut outgoing = Vec::new();
        if let Some(stream) = guest.stream(Stream::Stdin) {
            thread::spawn(move || bring_input(stream));
        }
        if let Some(stream) = guest.stream(Stream::Stdout) {
            let file = own(&io::stdout())?;
            outgoing.push(thread::spawn(move || bring_output(stream, file)));
        }
        if let Some(stream) = guest.stream(Stream::Stderr) {
            let file = own(&io::stderr())?;
            outgoing.push(thread::spawn(move || bring_output(stream, file)));
        }
        Ok(Carriers { outgoing, messages: guest.stream(Stream::Messages), window: self.window })
    }

    /// Where the console is shown.
    pub fn screen(&self) -> Screen {
        let terminal = if !self.stdout {
            Some(own(&io::stdout()))
        } else if !self.stderr {
            Some(own(&io::stderr()))
        } else if !self.stdin {
            Some(File::options().write(true).open("/dev/tty").context("cannot open /dev/tty"))
        } else {
            None
        };
        match terminal {
            Some(Ok(file)) => Screen { file: Some(file), carriage: false },
            _ => Screen { file: None, carriage: false },
        }
    }
}

/// A second descriptor of one of our streams: without the buffer that the standard library puts before it.
fn own(stream: &dyn AsFd) -> Result<File> {
    Ok(stream.as_fd().try_clone_to_owned().context("cannot use a standard stream")?.into())
}

fn bring_input(mut stream: UnixStream) {
    // Whatever breaks off is an end to the guest: an input that cannot be read, or a guest that is gone.
    let _ = carry(&mut io::stdin().lock(), &mut stream);
    let _ = stream.shutdown(Shutdown::Write);
    // Ours stays open: closing it whole would drop what the machine has not read yet.
    std::mem::forget(stream);
}

fn bring_output(mut stream: UnixStream, mut file: File) {
    if carry(&mut stream, &mut file).is_err() {
        // Nobody reads it any more. The guest hears of it as of a broken pipe.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

/// Moves bytes as they come. `io::copy` does not: the system call that it uses between a socket and a pipe may keep them
/// until there are more.
fn carry(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => to.write_all(buffer.get(..count).unwrap_or_default())?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// What runs beside the guest.
pub struct Carriers {
    outgoing: Vec<JoinHandle<()>>,
    messages: Option<UnixStream>,
    window: Option<(u16, u16)>,
}

impl Carriers {
    /// Tells the guest the window's size, if it has changed.
    pub fn resize(&mut self) {
        let now = terminal::window();
        if let (Some(messages), Some((rows, columns))) = (&mut self.messages, now)
            && now != self.window
        {
            self.window = now;
            let message = serde_json::json!({ "window": { "rows": rows, "columns": columns } });
            // Only a guest that is ending does not take it.
            let _ = writeln!(messages, "{message}");
        }
    }

    /// Asks for the agent to stop, or to go on.
    pub fn freeze(&mut self, frozen: bool) {
        if let Some(messages) = &mut self.messages {
            // Only a guest that is ending does not take it.
            let _ = writeln!(messages, "{}", serde_json::json!({ "freeze": frozen }));
        }
    }

    /// Waits until all output of a machine that has ended is out. Not for long where the run was cut short: who reads it may
    /// have stopped doing so.
    pub fn finish(self, cut: bool) {
        let deadline = Instant::now() + LAST_WORDS;
        while cut && Instant::now() < deadline && !self.outgoing.iter().all(JoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(10));
        }
        for thread in self.outgoing.into_iter().filter(|thread| !cut || thread.is_finished()) {
            // It has told the guest already what went wrong.
            let _ = thread.join();
        }
    }
}

/// Shows the console: on a terminal as it is, else on standard error without the carriage returns of the guest's terminal.
pub struct Screen {
    file: Option<File>,
    carriage: bool,
}

impl Screen {
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(terminal) = &mut self.file {
            return Ok(terminal.write_all(bytes)?);
        }
        let text = self.plain(bytes);
        Ok(io::stderr().write_all(&text)?)
    }

    fn plain(&mut self, bytes: &[u8]) -> Vec<u8> {
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
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Screen;

    #[test]
    fn carriage_returns_before_a_newline_are_the_terminals() {
        let mut screen = Screen { file: None, carriage: false };
        let parts: [&[u8]; 3] = [b"one\r\ntwo\r", b"\n50%\r100%\r", b"\r\n"];
        let text: Vec<u8> = parts.iter().flat_map(|part| screen.plain(part)).collect();
        assert_eq!(text, b"one\ntwo\n50%\r100%\r\n");
    }
}
