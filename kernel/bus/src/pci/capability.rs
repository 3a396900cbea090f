//! The linked list of capabilities in configuration space (PCI Local Bus 3.0 §6.7).

use super::Function;

const POINTER: u16 = 0x34;
/// As many as fit in 256 bytes after the header: a longer list runs in a circle.
const MAX: u8 = 48;

/// Walks the list; yields (identity, offset). Ends at a bad pointer or after as many as can exist.
pub struct Capabilities<'a> {
    function: &'a Function,
    next: u8,
    left: u8,
}

impl<'a> Capabilities<'a> {
    pub(super) fn new(function: &'a Function, any: bool) -> Capabilities<'a> {
        let next = if any { function.read8(POINTER) } else { 0 };
        Capabilities { function, next, left: MAX }
    }
}

impl Iterator for Capabilities<'_> {
    type Item = (u8, u16);

    fn next(&mut self) -> Option<(u8, u16)> {
        // The two low bits are reserved. Below 0x40 is the header, where no capability can be.
        let at = u16::from(self.next & !3);
        self.left = self.left.checked_sub(1)?;
        if at < 0x40 {
            return None;
        }
        let head = self.function.read16(at);
        self.next = (head >> 8) as u8;
        // All ones: the function went away.
        (head != 0xffff).then_some((head as u8, at))
    }
}
