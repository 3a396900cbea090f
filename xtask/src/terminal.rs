//! The user's terminal while a guest runs: raw, so that every key goes to the guest's own line discipline.

use std::io::IsTerminal;
use std::sync::{Mutex, Once, PoisonError};

use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::{OptionalActions, OutputModes, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The key that starts a command to us instead of to the guest (Ctrl-A), as in QEMU.
const ESCAPE: u8 = 0x01;

/// The terminal's settings from before, while it is raw. Here and not in [`Raw`], because a panic ends this process without
/// dropping anything, and so does a signal that nobody attends to.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Puts the terminal back when dropped.
pub struct Raw(());

/// What kind of terminal it is, where standard input and output are one.
pub fn name() -> Option<String> {
    let is_one = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    std::env::var("TERM").ok().filter(|name| is_one && !name.is_empty() && !name.contains(char::is_whitespace))
}

/// Rows and columns of the terminal that one of the standard streams is.
pub fn window() -> Option<(u16, u16)> {
    let size = [stdout(), stdin(), stderr()].into_iter().find_map(|stream| tcgetwinsize(stream).ok())?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Makes the terminal raw; `None` when standard input is not one. Where `others_print`, as the next program of a pipeline may,
/// lines go on ending as they do.
pub fn raw(others_print: bool) -> Option<Raw> {
    static HOOK: Once = Once::new();
    let before = tcgetattr(stdin()).ok()?;
    let mut settings = before.clone();
    settings.make_raw();
    if others_print {
        settings.output_modes |= before.output_modes & (OutputModes::OPOST | OutputModes::ONLCR);
    }
    HOOK.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            tell(panic);
        }));
    });
    *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
    let raw = Raw(());
    // What was typed meanwhile stays.
    tcsetattr(stdin(), OptionalActions::Now, &settings).ok().map(|()| raw)
}

/// Puts the terminal back, if it is raw.
pub fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &before);
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
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
    /// Ctrl-A f: freeze the agent, or let it go on.
    Freeze,
}

/// Finds `Ctrl-A x` (end the machine), `Ctrl-A f` (freeze or thaw), `Ctrl-A n` (non-maskable interrupt) and `Ctrl-A Ctrl-A` (a
/// Ctrl-A for the guest) in what is typed.
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
                (true, b'n' | b'N' | b'f' | b'F') => {
                    self.escaped = false;
                    done.push(Typed::Bytes(std::mem::take(&mut bytes)));
                    done.push(if byte.eq_ignore_ascii_case(&b'f') { Typed::Freeze } else { Typed::Interrupt });
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
        assert_eq!(keys.take(b"\x01fb"), [bytes(b""), Typed::Freeze, bytes(b"b")]);
        assert_eq!(keys.take(b"\x01"), [bytes(b"")]);
        assert_eq!(keys.take(b"xyz"), [Typed::Quit]);
    }
}
