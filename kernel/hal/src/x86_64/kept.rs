//! Where the last words are kept: the first of a few fixed physical addresses that is RAM of nobody's.

use core::ops::Range;

use super::phys;
use crate::addr::{PAGE_SIZE, Pfn};
use crate::kept::{self, Ending, Keeper, Previous, SIZE, Store};
use crate::once::Once;

/// Below these addresses firmware and boot loaders unpack themselves, above them they hold what they load; the kernel itself
/// is small and at 2 MiB, unless a loader puts it elsewhere.
const PLACES: [u64; 3] = [24 << 20, 48 << 20, 112 << 20];

struct Region(u64);

impl Store for Region {
    fn read(&self, at: usize, into: &mut [u8]) {
        phys::read_phys(self.0 + at as u64, into);
    }

    fn write(&self, at: usize, from: &[u8]) {
        phys::write_phys(self.0 + at as u64, from);
    }
}

static KEEPER: Once<Keeper<Region>> = Once::new();

/// The frames to keep from everybody else, of those that are usable.
pub fn choose(usable: impl Fn(Range<usize>) -> bool) -> Option<Range<usize>> {
    let frames = |place: u64| (place / PAGE_SIZE as u64) as usize..((place as usize + SIZE).div_ceil(PAGE_SIZE));
    PLACES.into_iter().map(frames).find(|frames| usable(frames.clone()))
}

/// Reads what the kernel before this one left in `frames` and begins anew there.
pub fn begin(frames: &Range<usize>) -> Option<Previous> {
    let at = Pfn(frames.start).phys().0;
    let previous = kept::find(&Region(at));
    KEEPER.set(Keeper::new(Region(at)));
    previous
}

/// Keeps a part of the log. The caller is alone with it.
pub fn keep(bytes: &[u8]) {
    if let Some(keeper) = KEEPER.get() {
        keeper.append(bytes);
    }
}

/// Says how this kernel ends, and how many resets by panics in a row that makes.
pub fn end(ending: Ending, resets: u32) {
    if let Some(keeper) = KEEPER.get() {
        keeper.end(ending, resets);
    }
}
