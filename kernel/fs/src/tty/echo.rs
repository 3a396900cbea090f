//! What goes to the screen: post-processed output, echo, and the erasing of what was echoed.

use alloc::vec::Vec;

use aios_abi::linux::consts::{iflag, lflag, oflag};

use super::termios::Settings;

const TAB_STOP: usize = 8;

/// Tracks the column while bytes are written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Screen {
    pub column: usize,
}

impl Screen {
    /// Writes one byte of a program's output, post-processed (`OPOST`).
    pub fn write(&mut self, byte: u8, settings: &Settings, out: &mut Vec<u8>) {
        if !settings.output(oflag::OPOST) {
            out.push(byte);
            return;
        }
        match byte {
            b'\n' => {
                if settings.output(oflag::ONLCR) {
                    out.push(b'\r');
                    self.column = 0;
                }
                if settings.output(oflag::ONLRET) {
                    self.column = 0;
                }
                out.push(b'\n');
            }
            b'\r' if settings.output(oflag::ONOCR) && self.column == 0 => {}
            b'\r' => {
                if settings.output(oflag::OCRNL) {
                    out.push(b'\n');
                } else {
                    out.push(b'\r');
                    self.column = 0;
                }
            }
            b'\t' => {
                let width = TAB_STOP - self.column % TAB_STOP;
                self.column += width;
                if settings.0.oflag & oflag::TABDLY == oflag::TABDLY {
                    out.resize(out.len() + width, b' ');
                } else {
                    out.push(b'\t');
                }
            }
            8 => {
                self.column = self.column.saturating_sub(1);
                out.push(byte);
            }
            _ => {
                if byte >= b' ' && byte != 0x7f && !is_continuation(byte, settings) {
                    self.column += 1;
                }
                out.push(byte);
            }
        }
    }

    /// Echoes one byte of input, a control character as `^X` where the settings ask for it.
    pub fn echo(&mut self, byte: u8, settings: &Settings, out: &mut Vec<u8>) {
        if is_shown_as_pair(byte, settings) {
            out.extend_from_slice(&[b'^', byte ^ 0x40]);
            self.column += 2;
        } else {
            self.write(byte, settings, out);
        }
    }

    /// Takes back the echo of a character of the edited line that starts at column `start`; `before` is the line up to
    /// it, `erased` its bytes.
    pub fn erase(&mut self, before: &[u8], erased: &[u8], start: usize, settings: &Settings, out: &mut Vec<u8>) {
        if erased == b"\t" {
            // As wide as the tab was where it stood.
            let from = width(before, start, settings);
            let count = TAB_STOP - from % TAB_STOP;
            out.resize(out.len() + count, 8);
            self.column = self.column.saturating_sub(count);
            return;
        }
        let columns = match erased {
            [byte] if is_shown_as_pair(*byte, settings) => 2,
            [byte] if *byte < b' ' || *byte == 0x7f => 0,
            [] => 0,
            _ => 1,
        };
        for _ in 0..columns {
            out.extend_from_slice(b"\x08 \x08");
        }
        self.column = self.column.saturating_sub(columns);
    }
}

/// The column after `line`, echoed from column `start` on.
fn width(line: &[u8], start: usize, settings: &Settings) -> usize {
    line.iter().fold(start, |column, byte| match byte {
        b'\t' => column + TAB_STOP - column % TAB_STOP,
        byte if is_shown_as_pair(*byte, settings) => column + 2,
        byte if *byte < b' ' || *byte == 0x7f || is_continuation(*byte, settings) => column,
        _ => column + 1,
    })
}

/// True for a byte that goes on with a character that an earlier one began.
pub(super) fn is_continuation(byte: u8, settings: &Settings) -> bool {
    settings.input(iflag::IUTF8) && byte & 0xc0 == 0x80
}

fn is_shown_as_pair(byte: u8, settings: &Settings) -> bool {
    (byte < b' ' && !matches!(byte, b'\t' | b'\n') || byte == 0x7f) && settings.local(lflag::ECHOCTL)
}
