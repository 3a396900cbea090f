//! Terminals.

use super::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

wire! {
    /// The kernel's `struct termios` (`TCGETS`): 19 control characters, not the C library's 32.
    Termios[36] {
        iflag: u32,
        oflag: u32,
        cflag: u32,
        lflag: u32,
        line: u8,
        cc: [u8; 19],
    }
    /// `struct termios2` (`TCGETS2`).
    Termios2[44] {
        iflag: u32,
        oflag: u32,
        cflag: u32,
        lflag: u32,
        line: u8,
        cc: [u8; 19],
        ispeed: u32,
        ospeed: u32,
    }
    /// `struct winsize`.
    Winsize[8] {
        rows: u16,
        columns: u16,
        xpixel: u16,
        ypixel: u16,
    }
}
