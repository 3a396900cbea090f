//! Base address registers: where a function's registers are, and how large they are (PCI Local Bus 3.0 §6.2.5.1).

use super::Function;

/// One decoded register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// Physical address and bytes, a power of two.
    Memory { address: u64, size: u64, prefetchable: bool },
    /// First port and number of ports.
    Ports { base: u32, size: u32 },
}

const FIRST: u16 = 0x10;
const IS_PORTS: u32 = 1;
const WIDTH: u32 = 0b110;
const WIDTH_64: u32 = 0b100;
const PREFETCHABLE: u32 = 1 << 3;

/// Decodes register `index`. `None` when it is not implemented, has no address, is the upper half of another or is of a
/// reserved kind. Decoding is off while the size is probed, so nobody may be using the function.
pub(super) fn read(function: &Function, index: u8, count: u8) -> Option<Bar> {
    if index >= count || is_upper_half(function, index) {
        return None;
    }
    let offset = FIRST + 4 * u16::from(index);
    let low = function.read32(offset);
    if low & IS_PORTS != 0 {
        let size = (!(probe(function, offset) & !3) & 0xffff).wrapping_add(1) & 0xffff;
        let base = low & !3;
        return (size.is_power_of_two() && base != 0).then_some(Bar::Ports { base, size });
    }
    let prefetchable = low & PREFETCHABLE != 0;
    let base = u64::from(low & !0xf);
    let kept = probe(function, offset) & !0xf;
    let (address, mask) = match low & WIDTH {
        0 if kept != 0 => (base, u64::from(kept) | 0xffff_ffff_0000_0000),
        WIDTH_64 if index + 1 < count => {
            let upper = u64::from(function.read32(offset + 4)) << 32;
            (base | upper, u64::from(kept) | u64::from(probe(function, offset + 4)) << 32)
        }
        _ => return None,
    };
    let size = (!mask).wrapping_add(1);
    let usable = size.is_power_of_two() && address != 0 && address.checked_add(size).is_some();
    usable.then_some(Bar::Memory { address, size, prefetchable })
}

/// True when the register before `index` is a 64-bit one. Registers before that decide in turn, so count from the start.
fn is_upper_half(function: &Function, index: u8) -> bool {
    let mut at = 0;
    while at < index {
        let low = function.read32(FIRST + 4 * u16::from(at));
        at += if low & IS_PORTS == 0 && low & WIDTH == WIDTH_64 { 2 } else { 1 };
    }
    at > index
}

/// What the register keeps of all ones.
fn probe(function: &Function, offset: u16) -> u32 {
    let before = function.read32(offset);
    function.write32(offset, u32::MAX);
    let kept = function.read32(offset);
    function.write32(offset, before);
    kept
}
