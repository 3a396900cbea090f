//! Judges the firmware's page tables before the jump: the kernel starts under them.
//!
//! UEFI promises an identity map (UEFI 2.10 §2.3.4), but not that memory of every type may be executed. A walk that says so
//! in a sentence is better than a triple fault. Format: Intel SDM 3A §4.5.

use core::ops::Range;

const PRESENT: u64 = 1 << 0;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The page tables in use.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    /// Control register 3.
    pub root: u64,
    /// 4, or 5 where `CR4.LA57` is set.
    pub levels: u32,
}

/// What stands against the jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapFault {
    /// This address is not mapped to itself.
    NotIdentity(u64),
    /// This address may not be executed.
    NotExecutable(u64),
}

impl core::fmt::Display for MapFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            MapFault::NotIdentity(addr) => write!(f, "the firmware does not map memory at {addr:#x} to itself"),
            MapFault::NotExecutable(addr) => write!(f, "the firmware forbids to execute memory at {addr:#x}"),
        }
    }
}

impl Tables {
    /// Checks that each byte of `range` is mapped to itself, and executable if asked. `entry` reads the
    /// eight bytes at a physical address, which is always inside a page table.
    pub fn check(&self, entry: impl Fn(u64) -> u64, range: Range<u64>, execute: bool) -> Result<(), MapFault> {
        let mut at = range.start;
        while at < range.end {
            let leaf = self.walk(&entry, at).ok_or(MapFault::NotIdentity(at))?;
            if leaf.phys != at & !(leaf.size - 1) {
                return Err(MapFault::NotIdentity(at));
            }
            if execute && leaf.no_execute {
                return Err(MapFault::NotExecutable(at));
            }
            at = leaf.phys.checked_add(leaf.size).ok_or(MapFault::NotIdentity(at))?;
        }
        Ok(())
    }

    fn walk(&self, entry: &impl Fn(u64) -> u64, addr: u64) -> Option<Leaf> {
        let mut table = self.root & ADDRESS;
        let mut no_execute = false;
        for level in (0..self.levels.clamp(4, 5)).rev() {
            let shift = 12 + 9 * level;
            let value = entry(table + (addr >> shift & 511) * 8);
            if value & PRESENT == 0 {
                return None;
            }
            no_execute |= value & NO_EXECUTE != 0;
            if level == 0 || (level <= 2 && value & LARGE != 0) {
                let size = 1 << shift;
                return Some(Leaf { phys: value & ADDRESS & !(size - 1), size, no_execute });
            }
            table = value & ADDRESS;
        }
        None
    }
}

/// A translation: where the page starts, and its bytes.
struct Leaf {
    phys: u64,
    size: u64,
    no_execute: bool,
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Four levels: the first GiB as a 1 GiB page, then 2 MiB pages of which one is split into 4 KiB.
    fn tables() -> BTreeMap<u64, u64> {
        let mut memory =
            BTreeMap::from([(0x1000, 0x2000 | PRESENT), (0x2000, PRESENT | LARGE), (0x2008, 0x3000 | PRESENT)]);
        for i in 0..512 {
            memory.insert(0x3000 + i * 8, (1 << 30) | (i << 21) | PRESENT | LARGE);
            memory.insert(0x4000 + i * 8, (1 << 30) | (i << 12) | PRESENT);
        }
        memory.insert(0x3000, 0x4000 | PRESENT);
        memory
    }

    fn check(memory: &BTreeMap<u64, u64>, range: Range<u64>, execute: bool) -> Result<(), MapFault> {
        let tables = Tables { root: 0x1018, levels: 4 };
        tables.check(|at| memory.get(&at).copied().unwrap_or(0), range, execute)
    }

    const GIB: u64 = 1 << 30;

    #[test]
    fn pages_of_every_size_are_followed() {
        assert_eq!(check(&tables(), 0..2 * GIB, true), Ok(()));
        assert_eq!(check(&tables(), 5..2 * GIB + 1, true), Err(MapFault::NotIdentity(2 * GIB)));
        assert_eq!(check(&tables(), 7 * GIB..7 * GIB, true), Ok(()));
    }

    #[test]
    fn a_page_that_lies_or_may_not_run_is_found() {
        let mut memory = tables();
        memory.insert(0x4000 + 3 * 8, GIB | 0x4000 | PRESENT);
        assert_eq!(check(&memory, GIB..GIB + 0x3000, true), Ok(()));
        assert_eq!(check(&memory, GIB..GIB + 0x3001, true), Err(MapFault::NotIdentity(GIB + 0x3000)));
        memory.insert(0x3008, GIB | (1 << 21) | PRESENT | LARGE | NO_EXECUTE);
        let data = GIB + (1 << 21)..GIB + (2 << 21);
        assert_eq!(check(&memory, data.clone(), false), Ok(()));
        assert_eq!(check(&memory, data.clone(), true), Err(MapFault::NotExecutable(data.start)));
    }

    proptest! {
        #[test]
        fn wild_tables_end_the_walk(values in proptest::collection::vec(any::<u64>(), 1..64), start in any::<u64>(), len in 0u64..1 << 24, levels in any::<u32>()) {
            let entry = |at: u64| values[(at / 8 % values.len() as u64) as usize];
            let tables = Tables { root: start, levels };
            let _ = tables.check(entry, start..start.saturating_add(len), true);
        }
    }
}
