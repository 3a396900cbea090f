//! What the kernel command line asks for. Words that do not start with `aios.` belong to the kernel.

use crate::error::Error;

/// What to spawn.
#[derive(Debug, PartialEq, Eq)]
pub enum Mode {
    /// `aios.run`: the agent that the host shares under the tag `agent`.
    Run,
    /// `aios.shell`: an interactive shell.
    Shell,
}

/// The command line, decoded.
#[derive(Debug, PartialEq, Eq)]
pub struct Cmdline {
    pub mode: Mode,
    /// `aios.share`: the host shares a directory under the tag `share`.
    pub share: bool,
    /// `aios.args=A,B`: added to the agent's command. Percent-encoded, so that commas and blanks can be in them.
    pub args: Vec<Vec<u8>>,
    /// `aios.term=NAME`: the terminal that the console is shown on.
    pub term: Option<String>,
    /// `aios.window=ROWSxCOLUMNS`: its size.
    pub window: Option<Window>,
    /// `aios.stdin`, `aios.stdout`: these streams are the host's and not the console.
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: Stderr,
    /// `aios.control`: the host sends messages.
    pub control: bool,
    /// `aios.keep`: an agent that its fault policy froze stays so.
    pub keep: bool,
}

/// Where standard error goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stderr {
    /// Nothing said: the console.
    Console,
    /// `aios.stderr`: to the host.
    Host,
    /// `aios.stderr=stdout`: wherever standard output goes, in one order with it.
    Stdout,
}

/// A size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Window {
    pub rows: u16,
    pub columns: u16,
}

impl Window {
    fn parse(text: &str) -> Option<Window> {
        let (rows, columns) = text.split_once('x')?;
        Some(Window { rows: rows.parse().ok()?, columns: columns.parse().ok()? })
    }
}

impl Cmdline {
    pub fn parse(text: &str) -> Result<Cmdline, Error> {
        let mut mode = None;
        let mut cmdline = Cmdline {
            mode: Mode::Run,
            share: false,
            args: Vec::new(),
            term: None,
            window: None,
            stdin: false,
            stdout: false,
            stderr: Stderr::Console,
            control: false,
            keep: false,
        };
        for word in text.split_whitespace() {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "aios.run" => mode = Some(Mode::Run),
                "aios.shell" => mode = Some(Mode::Shell),
                "aios.share" => cmdline.share = true,
                "aios.args" => {
                    cmdline.args = value.split(',').map(decode).collect::<Option<_>>().ok_or_else(|| {
                        Error::new(format!("`{word}` on the kernel command line is not percent-encoded"))
                    })?;
                }
                "aios.term" if !value.is_empty() => cmdline.term = Some(value.to_owned()),
                "aios.window" => cmdline.window = Window::parse(value),
                "aios.stdin" => cmdline.stdin = true,
                "aios.stdout" => cmdline.stdout = true,
                "aios.stderr" => cmdline.stderr = if value == "stdout" { Stderr::Stdout } else { Stderr::Host },
                "aios.control" => cmdline.control = true,
                "aios.keep" => cmdline.keep = true,
                _ => {}
            }
        }
        cmdline.mode = mode.ok_or_else(|| {
            Error::new("nothing to do: the kernel command line has neither `aios.run` nor `aios.shell`")
        })?;
        Ok(cmdline)
    }
}

/// Undoes percent-encoding (RFC 3986 §2.1); none for a broken sequence or a zero byte, which no argument can hold.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let decoded = if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        };
        if decoded == 0 {
            return None;
        }
        out.push(decoded);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_arguments_and_a_share() {
        let cmdline = Cmdline::parse("quiet aios.run aios.share aios.args=--top,20,a%20b%2C%C3%A9, x=y\n").unwrap();
        assert_eq!(cmdline.mode, Mode::Run);
        assert!(cmdline.share);
        assert_eq!(cmdline.args, [&b"--top"[..], b"20", "a b,é".as_bytes(), b""]);
    }

    #[test]
    fn a_shell_on_a_terminal() {
        let cmdline = Cmdline::parse("aios.shell aios.trace aios.term=xterm").unwrap();
        assert_eq!((cmdline.mode, cmdline.share, cmdline.term.as_deref()), (Mode::Shell, false, Some("xterm")));
    }

    #[test]
    fn streams_and_window() {
        let cmdline = Cmdline::parse("aios.run aios.stdin aios.stderr=stdout aios.window=50x132").unwrap();
        assert_eq!((cmdline.stdin, cmdline.stdout, cmdline.stderr), (true, false, Stderr::Stdout));
        assert_eq!(cmdline.window, Some(Window { rows: 50, columns: 132 }));
        let cmdline = Cmdline::parse("aios.run aios.stdout aios.stderr aios.window=1xx").unwrap();
        assert_eq!((cmdline.stdout, cmdline.stderr, cmdline.window), (true, Stderr::Host, None));
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        for text in ["", "quiet", "aios.runs"] {
            assert!(Cmdline::parse(text).unwrap_err().to_string().contains("aios.run"));
        }
        for bad in ["%", "%4", "%zz", "a,%00"] {
            assert!(Cmdline::parse(&format!("aios.run aios.args={bad}")).is_err(), "{bad}");
        }
    }
}
