//! The user's terminal while a guest runs: raw, so that every key goes to the guest's own line discipline.

use std::io::IsTerminal;
use std::process::{Command, Stdio};

/// The key that starts a command to us instead of to the guest (Ctrl-A), as in QEMU.
const ESCAPE: u8 = 0x01;

/// Puts the terminal back when dropped.
pub struct Raw {
    settings: String,
}

/// What kind of terminal it is, where standard input and output are one.
pub fn name() -> Option<String> {
    let is_one = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    std::env::var("TERM").ok().filter(|name| is_one && !name.is_empty() && !name.contains(char::is_whitespace))
}

/// Makes the terminal raw; `None` when standard input is not one.
pub fn raw() -> Option<Raw> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let settings = stty(&["-g"])?;
    stty(&["raw", "-echo"])?;
    Some(Raw { settings })
}

impl Drop for Raw {
    fn drop(&mut self) {
        stty(&[self.settings.trim()]);
    }
}

/// `stty` acts on its standard input, which is ours.
fn stty(arguments: &[&str]) -> Option<String> {
    let output = Command::new("stty").args(arguments).stdin(Stdio::inherit()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What a key sequence asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// Bytes for the guest.
    Bytes(Vec<u8>),
    /// Ctrl-A x: end the machine.
    Quit,
    /// Ctrl-A n: a non-maskable interrupt, upon which every processor tells where it is.
    Interrupt,
}

/// Finds `Ctrl-A x` (end the machine), `Ctrl-A n` (non-maskable interrupt) and `Ctrl-A Ctrl-A` (a Ctrl-A for the guest) in
/// what is typed.
#[derive(Default)]
pub struct Keys {
    escaped: bool,
}

impl Keys {
    /// Takes what was typed; returns what to do, in this order.
    pub fn take(&mut self, typed: &[u8]) -> Vec<Typed> {
        let mut done = Vec::new();
        let mut bytes = Vec::with_capacity(typed.len());
        for &byte in typed {
            match (self.escaped, byte) {
                (false, ESCAPE) => self.escaped = true,
                (true, b'x' | b'X') => {
                    done.push(Typed::Quit);
                    return done;
                }
                (true, b'n' | b'N') => {
                    self.escaped = false;
                    done.push(Typed::Bytes(std::mem::take(&mut bytes)));
                    done.push(Typed::Interrupt);
                }
                (true, ESCAPE) => {
                    self.escaped = false;
                    bytes.push(ESCAPE);
                }
                (true, other) => {
                    self.escaped = false;
                    bytes.extend([ESCAPE, other]);
                }
                (false, other) => bytes.push(other),
            }
        }
        done.push(Typed::Bytes(bytes));
        done
    }
}

#[cfg(test)]
mod tests {
    use super::{Keys, Typed};

    #[test]
    fn the_escape_key_works_across_reads() {
        let bytes = |text: &[u8]| Typed::Bytes(text.to_vec());
        let mut keys = Keys::default();
        assert_eq!(keys.take(b"ls\r"), [bytes(b"ls\r")]);
        assert_eq!(keys.take(b"\x01"), [bytes(b"")]);
        assert_eq!(keys.take(b"\x01b"), [bytes(b"\x01b")]);
        assert_eq!(keys.take(b"a\x01nb"), [bytes(b"a"), Typed::Interrupt, bytes(b"b")]);
        assert_eq!(keys.take(b"\x01"), [bytes(b"")]);
        assert_eq!(keys.take(b"xyz"), [Typed::Quit]);
    }
}
