//! Names of the kernel's functions, and the chain of calls that led somewhere.

use core::fmt::Write;

use super::{kmap, layout};
use crate::once::Once;

/// Sorted function addresses and names, as the build wrote them.
static SYMBOLS: Once<&'static [u8]> = Once::new();

const MAGIC: &[u8; 8] = b"AIOSSYM1";

/// Takes the symbol table: magic, count, then pairs of 32-bit words (address less the image's base, offset of the
/// name from the end of the pairs), then names that end with NUL. Malformed tables only cost names.
pub fn set_symbols(table: &'static [u8]) -> bool {
    let fits = table.starts_with(MAGIC) && SYMBOLS.get().is_none();
    if fits {
        SYMBOLS.set(table);
    }
    fits
}

fn word(table: &[u8], at: usize) -> Option<u32> {
    let bytes = table.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The function that holds `address`, and the offset in it.
fn symbol(address: u64) -> Option<(&'static str, u64)> {
    let table = SYMBOLS.get()?;
    let count = word(table, 8)? as usize;
    let target = u32::try_from(address.checked_sub(layout::KERNEL)?).ok()?;
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if word(table, 12 + middle * 8)? <= target {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let row = 12 + low.checked_sub(1)? * 8;
    let names = table.get(12 + count * 8..)?;
    let name = names.get(word(table, row + 4)? as usize..)?;
    let end = name.iter().position(|byte| *byte == 0)?;
    Some((core::str::from_utf8(name.get(..end)?).ok()?, u64::from(target - word(table, row)?)))
}

/// The name of the function that holds `address`.
pub fn name(address: u64) -> Option<&'static str> {
    symbol(address).map(|(name, _)| name)
}

/// Prints the function that holds `address`.
pub fn print(out: &mut impl Write, depth: usize, address: u64) {
    // Nobody is left to tell when the output fails.
    let _ = match symbol(address) {
        Some((name, offset)) => writeln!(out, "  {depth:2} {address:#x} {name}+{offset:#x}"),
        None => writeln!(out, "  {depth:2} {address:#x}"),
    };
}

/// Prints the calls that led to where `frame` is the frame pointer, the first as number `depth`.
pub fn backtrace(out: &mut impl Write, mut frame: u64, depth: usize) {
    for depth in depth..48 {
        // Frame pointers are only followed on kernel stacks and in the image, upwards.
        let readable = frame >= layout::STACKS && kmap::is_mapped(frame) && kmap::is_mapped(frame.wrapping_add(8));
        if !frame.is_multiple_of(8) || !readable {
            break;
        }
        // SAFETY: 1. Both words are aligned and in kernel memory that is mapped. 2. They are only printed and followed with
        // the same checks, so any value will do.
        let (next, address) =
            unsafe { ((frame as *const u64).read_volatile(), (frame as *const u64).add(1).read_volatile()) };
        if address < layout::KERNEL {
            break;
        }
        print(out, depth, address);
        if next <= frame {
            break;
        }
        frame = next;
    }
}
