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
}

/// Finds `Ctrl-A x` (end the machine) and `Ctrl-A Ctrl-A` (a Ctrl-A for the guest) in what is typed.
#[derive(Default)]
pub struct Keys {
    escaped: bool,
}

impl Keys {
    /// Takes what was typed; returns what to do.
    pub fn take(&mut self, typed: &[u8]) -> Typed {
        let mut bytes = Vec::with_capacity(typed.len());
        for &byte in typed {
            match (self.escaped, byte) {
                (false, ESCAPE) => self.escaped = true,
                (true, b'x' | b'X') => return Typed::Quit,
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
        Typed::Bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::{Keys, Typed};

    #[test]
    fn the_escape_key_works_across_reads() {
        let mut keys = Keys::default();
        assert_eq!(keys.take(b"ls\r"), Typed::Bytes(b"ls\r".to_vec()));
        assert_eq!(keys.take(b"\x01"), Typed::Bytes(vec![]));
        assert_eq!(keys.take(b"\x01b"), Typed::Bytes(b"\x01b".to_vec()));
        assert_eq!(keys.take(b"\x01"), Typed::Bytes(vec![]));
        assert_eq!(keys.take(b"x"), Typed::Quit);
    }
}
