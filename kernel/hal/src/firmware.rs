//! Tables that firmware left in memory.

use crate::addr::Phys;
use crate::machine;

/// Fills `into` from physical memory; false when that memory is not mapped. Only for tables: RAM that programs use is
/// refused.
pub fn read(at: Phys, into: &mut [u8]) -> bool {
    let end = at.0.checked_add(into.len() as u64);
    end.is_some_and(|end| !machine::overlaps_ram(at.0, end)) && machine::read_any(at.0, into)
}
