//! The line discipline (Linux's `n_tty`): editing, echo, signals, end of file.
//!
//! Input is one queue. In canonical mode its front part consists of finished lines, the rest is the line being edited;
//! in raw mode all of it can be read. A change of mode keeps what is there, and what was being edited becomes readable.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use aios_abi::linux::consts::{cc, iflag, lflag, signal};

use super::echo::{Screen, is_continuation};
use super::termios::Settings;

/// Bytes of input that wait at most (`N_TTY_BUF_SIZE`); one is kept for the end of a line.
const MAX_INPUT: usize = 4096;

/// One byte of input; the flags mark the end of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Cell {
    Byte(u8),
    /// The last byte of a line.
    End(u8),
    /// The end of a line that has no byte of its own (Ctrl-D).
    EndOfFile,
}

impl Cell {
    fn byte(self) -> Option<u8> {
        match self {
            Cell::Byte(byte) | Cell::End(byte) => Some(byte),
            Cell::EndOfFile => None,
        }
    }
}

/// What input causes beside being read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A signal for the foreground process group.
    Signal(u32),
    /// Output goes on after it was stopped.
    Restarted,
}

/// The outcome of a read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// Bytes put into the buffer; 0 for the end of file.
    Bytes(usize),
    /// Nothing can be read yet.
    Nothing,
}

/// The state of one terminal's line discipline.
#[derive(Default)]
pub struct Discipline {
    settings: Settings,
    input: VecDeque<Cell>,
    /// How many cells at the front belong to finished lines.
    finished: usize,
    screen: Screen,
    /// Where the echo of the line being edited began.
    line_column: usize,
    /// The next byte is taken literally (Ctrl-V).
    literal: bool,
    /// Output is stopped (Ctrl-S).
    stopped: bool,
}

impl Discipline {
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub fn set_settings(&mut self, settings: Settings) {
        if self.settings.is_canonical() != settings.is_canonical() {
            // What was typed so far can be read in either mode.
            self.finished = self.input.len();
            if settings.is_canonical()
                && let Some(last @ Cell::Byte(_)) = self.input.back_mut()
                && let Some(byte) = last.byte()
            {
                *last = Cell::End(byte);
            }
            self.literal = false;
        }
        if self.stopped && !settings.input(iflag::IXON) {
            self.stopped = false;
        }
        self.settings = settings;
    }

    /// Stops or restarts output (`TCXONC`). True when it was restarted.
    pub fn set_stopped(&mut self, stopped: bool) -> bool {
        let restarted = self.stopped && !stopped;
        self.stopped = stopped;
        restarted
    }

    /// Forgets input that was not read.
    pub fn flush_input(&mut self) {
        self.input.clear();
        self.finished = 0;
        self.literal = false;
    }

    /// True when a byte that comes now is kept. Where input waits to be read, a port holds more of it back until there is
    /// room. An overlong line that is still being edited is no reason to: nobody can read it before its end has come, so
    /// what it has no room for is dropped.
    pub fn has_room(&self) -> bool {
        self.input.len() < MAX_INPUT - 1 || self.finished == 0
    }

    /// Takes one byte from the keyboard. What is to be shown is appended to `out`.
    pub fn receive(&mut self, byte: u8, out: &mut Vec<u8>) -> Option<Event> {
        let settings = self.settings;
        let mut byte = if settings.input(iflag::ISTRIP) { byte & 0x7f } else { byte };
        if settings.input(iflag::IUCLC) && settings.local(lflag::IEXTEN) {
            byte = byte.to_ascii_lowercase();
        }
        if core::mem::take(&mut self.literal) {
            self.accept(byte, out);
            return None;
        }
        if let Some(event) = self.flow_control(byte) {
            return event;
        }
        if settings.local(lflag::ISIG) {
            for (index, signal) in
                [(cc::VINTR, signal::SIGINT), (cc::VQUIT, signal::SIGQUIT), (cc::VSUSP, signal::SIGTSTP)]
            {
                if settings.is(byte, index) {
                    return Some(self.interrupt(byte, signal, out));
                }
            }
        }
        match byte {
            b'\r' if settings.input(iflag::IGNCR) => return None,
            b'\r' if settings.input(iflag::ICRNL) => byte = b'\n',
            b'\n' if settings.input(iflag::INLCR) => byte = b'\r',
            _ => {}
        }
        if settings.is_canonical() && self.edit(byte, out) {
            return None;
        }
        self.accept(byte, out);
        None
    }

    /// Ctrl-S and Ctrl-Q. `None` when the byte is ordinary input.
    fn flow_control(&mut self, byte: u8) -> Option<Option<Event>> {
        let settings = &self.settings;
        if !settings.input(iflag::IXON) {
            return None;
        }
        if settings.is(byte, cc::VSTART) {
            return Some(self.set_stopped(false).then_some(Event::Restarted));
        }
        if settings.is(byte, cc::VSTOP) {
            self.stopped = true;
            return Some(None);
        }
        if self.stopped && settings.input(iflag::IXANY) {
            self.stopped = false;
        }
        None
    }

    fn interrupt(&mut self, byte: u8, signal: u32, out: &mut Vec<u8>) -> Event {
        if !self.settings.local(lflag::NOFLSH) {
            self.flush_input();
        }
        self.stopped = false;
        self.show(byte, out);
        Event::Signal(signal)
    }

    /// Echoes a byte where the settings ask for it.
    fn show(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.settings.local(lflag::ECHO) {
            self.screen.echo(byte, &self.settings, out);
        }
    }

    /// Puts a byte at the end of the input.
    fn accept(&mut self, byte: u8, out: &mut Vec<u8>) {
        if self.input.len() >= MAX_INPUT - 1 {
            if self.settings.input(iflag::IMAXBEL) {
                out.push(7);
            }
            return;
        }
        if self.finished == self.input.len() {
            self.line_column = self.screen.column;
        }
        self.input.push_back(Cell::Byte(byte));
        self.show(byte, out);
        if !self.settings.is_canonical() {
            self.finished = self.input.len();
        }
    }

    fn finish_line(&mut self, cell: Cell) {
        if self.input.len() < MAX_INPUT {
            self.input.push_back(cell);
        }
        self.finished = self.input.len();
    }

    /// What a byte means in canonical mode; false when it is just a character.
    fn edit(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        let settings = self.settings;
        let extended = settings.local(lflag::IEXTEN);
        if settings.is(byte, cc::VERASE) {
            self.erase_character(out);
        } else if settings.is(byte, cc::VKILL) {
            self.kill(out);
        } else if extended && settings.is(byte, cc::VWERASE) {
            self.erase_word(out);
        } else if extended && settings.is(byte, cc::VLNEXT) {
            self.literal = true;
            if settings.local(lflag::ECHO) && settings.local(lflag::ECHOCTL) {
                out.extend_from_slice(b"^\x08");
            }
        } else if extended && settings.local(lflag::ECHO) && settings.is(byte, cc::VREPRINT) {
            self.screen.echo(byte, &settings, out);
            self.screen.write(b'\n', &settings, out);
            self.line_column = self.screen.column;
            for byte in self.edited() {
                self.screen.echo(byte, &settings, out);
            }
        } else if byte == b'\n' {
            if settings.local(lflag::ECHO) || settings.local(lflag::ECHONL) {
                self.screen.write(byte, &settings, out);
            }
            self.finish_line(Cell::End(byte));
        } else if settings.is(byte, cc::VEOF) {
            self.finish_line(Cell::EndOfFile);
        } else if settings.is(byte, cc::VEOL) || extended && settings.is(byte, cc::VEOL2) {
            self.show(byte, out);
            self.finish_line(Cell::End(byte));
        } else {
            return false;
        }
        true
    }

    /// The line being edited.
    fn edited(&self) -> Vec<u8> {
        self.input.iter().skip(self.finished).filter_map(|cell| cell.byte()).collect()
    }

    /// Takes the last character, all of its bytes, off the line.
    fn pop_character(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        while self.input.len() > self.finished {
            let byte = self.input.pop_back()?.byte()?;
            bytes.insert(0, byte);
            if !is_continuation(byte, &self.settings) {
                break;
            }
        }
        (!bytes.is_empty()).then_some(bytes)
    }

    fn unshow(&mut self, erased: &[u8], by: u8, out: &mut Vec<u8>) {
        if !self.settings.local(lflag::ECHO) {
            return;
        }
        if self.settings.local(lflag::ECHOE) {
            let before = self.edited();
            self.screen.erase(&before, erased, self.line_column, &self.settings, out);
        } else {
            self.screen.echo(by, &self.settings, out);
        }
    }

    fn erase_character(&mut self, out: &mut Vec<u8>) {
        if let Some(erased) = self.pop_character() {
            self.unshow(&erased, self.settings.control(cc::VERASE), out);
        }
    }

    /// Takes the last word and what follows it off the line.
    fn erase_word(&mut self, out: &mut Vec<u8>) {
        let mut seen = false;
        while let Some(Cell::Byte(last)) = self.input.back().copied().filter(|_| self.input.len() > self.finished) {
            let of_word = last.is_ascii_alphanumeric() || last == b'_' || last >= 0x80;
            if seen && !of_word {
                return;
            }
            seen |= of_word;
            let Some(erased) = self.pop_character() else { return };
            self.unshow(&erased, self.settings.control(cc::VWERASE), out);
        }
    }

    /// Takes the whole line off.
    fn kill(&mut self, out: &mut Vec<u8>) {
        let settings = self.settings;
        let visibly = settings.local(lflag::ECHOK) && settings.local(lflag::ECHOKE) && settings.local(lflag::ECHOE);
        if settings.local(lflag::ECHO) && visibly {
            while let Some(erased) = self.pop_character() {
                self.unshow(&erased, 0, out);
            }
            return;
        }
        self.input.truncate(self.finished);
        self.show(settings.control(cc::VKILL), out);
        if settings.local(lflag::ECHO) && settings.local(lflag::ECHOK) {
            self.screen.write(b'\n', &settings, out);
        }
    }

    /// Bytes that a read could take now (`FIONREAD`).
    pub fn readable(&self) -> usize {
        self.input.iter().take(self.finished).filter(|cell| cell.byte().is_some()).count()
    }

    /// True when a read would return something, be it the end of file.
    pub fn has_input(&self) -> bool {
        self.finished > 0
    }

    /// True when a read would not have to wait for more input, given `VMIN` bytes suffice in raw mode.
    pub fn is_ready(&self) -> bool {
        if self.settings.is_canonical() {
            self.finished > 0
        } else {
            let least = if self.settings.control(cc::VTIME) == 0 { self.settings.control(cc::VMIN) } else { 1 };
            self.input.len() >= usize::from(least.max(1))
        }
    }

    /// Takes what can be read: in canonical mode at most one line, in raw mode whatever is there.
    pub fn take(&mut self, into: &mut [u8]) -> Taken {
        if self.finished == 0 {
            return Taken::Nothing;
        }
        let canonical = self.settings.is_canonical();
        let mut count = 0;
        let mut ended = false;
        while self.finished > 0 && !ended {
            match self.input.front().copied() {
                Some(Cell::EndOfFile) => ended = canonical,
                Some(Cell::Byte(byte) | Cell::End(byte)) => {
                    let Some(place) = into.get_mut(count) else { break };
                    *place = byte;
                    count += 1;
                    ended = canonical && matches!(self.input.front(), Some(Cell::End(_)));
                }
                None => break,
            }
            self.input.pop_front();
            self.finished -= 1;
        }
        // An end of file typed right after these bytes has done its work: it made them readable.
        if canonical && !ended && count > 0 && self.finished > 0 && self.input.front() == Some(&Cell::EndOfFile) {
            self.input.pop_front();
            self.finished -= 1;
        }
        Taken::Bytes(count)
    }

    /// Post-processes a program's output.
    pub fn send(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        for byte in bytes {
            self.screen.write(*byte, &self.settings, out);
        }
    }
}
