//! The settings of a terminal, and questions about them.

use aios_abi::linux::consts::{POSIX_VDISABLE, cc, cflag, iflag, lflag, oflag};
use aios_abi::linux::structs::Termios;

/// Settings as `tcgetattr` shows them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings(pub Termios);

impl Default for Settings {
    /// Linux's for a console that speaks UTF-8.
    fn default() -> Settings {
        let mut chars = [POSIX_VDISABLE; 19];
        let control = |letter: u8| letter & 0x1f;
        for (index, value) in [
            (cc::VINTR, control(b'C')),
            (cc::VQUIT, 0x1c),
            (cc::VERASE, 0x7f),
            (cc::VKILL, control(b'U')),
            (cc::VEOF, control(b'D')),
            (cc::VTIME, 0),
            (cc::VMIN, 1),
            (cc::VSTART, control(b'Q')),
            (cc::VSTOP, control(b'S')),
            (cc::VSUSP, control(b'Z')),
            (cc::VREPRINT, control(b'R')),
            (cc::VDISCARD, control(b'O')),
            (cc::VWERASE, control(b'W')),
            (cc::VLNEXT, control(b'V')),
        ] {
            if let Some(place) = chars.get_mut(index) {
                *place = value;
            }
        }
        Settings(Termios {
            iflag: iflag::ICRNL | iflag::IXON | iflag::IUTF8,
            oflag: oflag::OPOST | oflag::ONLCR,
            cflag: cflag::B115200 | cflag::CS8 | cflag::CREAD | cflag::CLOCAL | cflag::HUPCL,
            lflag: lflag::ISIG
                | lflag::ICANON
                | lflag::ECHO
                | lflag::ECHOE
                | lflag::ECHOK
                | lflag::ECHOCTL
                | lflag::ECHOKE
                | lflag::IEXTEN,
            line: 0,
            cc: chars,
        })
    }
}

impl Settings {
    /// True when any of the input flags `flag` is set.
    pub fn input(&self, flag: u32) -> bool {
        self.0.iflag & flag != 0
    }

    pub fn output(&self, flag: u32) -> bool {
        self.0.oflag & flag != 0
    }

    pub fn local(&self, flag: u32) -> bool {
        self.0.lflag & flag != 0
    }

    pub fn is_canonical(&self) -> bool {
        self.local(lflag::ICANON)
    }

    /// The control character at `index` of `c_cc`.
    pub fn control(&self, index: usize) -> u8 {
        self.0.cc.get(index).copied().unwrap_or(POSIX_VDISABLE)
    }

    /// True when `byte` is the control character at `index`, which is not switched off.
    pub fn is(&self, byte: u8, index: usize) -> bool {
        let control = self.control(index);
        control != POSIX_VDISABLE && control == byte
    }
}
