//! x86 I/O ports. A machine without them reads all ones and ignores writes.

use crate::machine;

/// A range of ports; accesses out of range stop the machine.
#[derive(Debug)]
pub struct Ports {
    base: u16,
    len: u16,
}

impl Ports {
    /// The `len` ports from `base` on. `None` when they wrap or when hal drives them itself (interrupt controllers, timer).
    pub fn new(base: u16, len: u16) -> Option<Ports> {
        let last = base.checked_add(len.checked_sub(1)?)?;
        let own = machine::RESERVED_PORTS.iter().any(|range| base <= *range.end() && last >= *range.start());
        (!own).then_some(Ports { base, len })
    }

    fn at(&self, offset: u16, size: u16) -> u16 {
        assert!(size <= self.len && offset <= self.len - size, "no port at {:#x}+{offset:#x}", self.base);
        self.base + offset
    }

    pub fn in8(&self, offset: u16) -> u8 {
        machine::in8(self.at(offset, 1))
    }

    pub fn in16(&self, offset: u16) -> u16 {
        machine::in16(self.at(offset, 2))
    }

    pub fn in32(&self, offset: u16) -> u32 {
        machine::in32(self.at(offset, 4))
    }

    pub fn out8(&self, offset: u16, value: u8) {
        machine::out8(self.at(offset, 1), value);
    }

    pub fn out16(&self, offset: u16, value: u16) {
        machine::out16(self.at(offset, 2), value);
    }

    pub fn out32(&self, offset: u16, value: u32) {
        machine::out32(self.at(offset, 4), value);
    }
}
