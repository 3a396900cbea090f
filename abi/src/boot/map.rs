//! Makes one clean memory map out of whatever firmware and loaders describe.
//!
//! Firmware maps overlap, wrap and come unsorted, and what a loader placed lies inside memory that the firmware calls
//! free. The rule: where descriptions disagree about a byte the more restrictive kind wins, so an error in the input
//! can cost memory but never hands out memory that something else owns.

use super::{BootError, MemoryRegion, PHYS_LIMIT, memory_kind};

/// Bytes in a page; the output is aligned to it.
const PAGE: u64 = 4096;

/// Writes into `out` the map that `input` describes and returns its length.
///
/// The output is sorted by start, does not overlap, is page aligned, ends at [`PHYS_LIMIT`], and has neighbours of the same kind
/// joined. Usable regions shrink to whole pages, all others grow; unknown kinds become reserved. Takes time
/// quadratic in `input.len()`.
pub fn sanitize(input: &[MemoryRegion], out: &mut [MemoryRegion]) -> Result<usize, BootError> {
    let mut len = 0;
    let mut at = 0;
    while at < PHYS_LIMIT {
        // Between two neighbouring edges of any regions the kind cannot change.
        let next =
            input.iter().filter_map(bounds).flat_map(|(start, end, _)| [start, end]).filter(|edge| *edge > at).min();
        let Some(next) = next else { break };
        let kind = input.iter().filter_map(bounds).filter(|(start, end, _)| *start <= at && at < *end);
        if let Some((.., kind)) = kind.max_by_key(|(.., kind)| strictness(*kind)) {
            len = append(out, len, MemoryRegion::new(at, next - at, kind))?;
        }
        at = next;
    }
    Ok(len)
}

/// Adds `region`, which starts at or behind the end of the last one.
fn append(out: &mut [MemoryRegion], len: usize, region: MemoryRegion) -> Result<usize, BootError> {
    if let Some(last) = len.checked_sub(1).and_then(|i| out.get_mut(i))
        && last.end() == region.start
        && last.kind == region.kind
    {
        last.len += region.len;
        return Ok(len);
    }
    *out.get_mut(len).ok_or(BootError::TooManyRegions)? = region;
    Ok(len + 1)
}

/// Page-aligned start and end and the known kind; nothing for a region without a whole page.
fn bounds(region: &MemoryRegion) -> Option<(u64, u64, u32)> {
    if region.len == 0 {
        return None;
    }
    let (start, end) = (region.start, region.end().min(PHYS_LIMIT));
    let (start, end) = match region.kind {
        memory_kind::USABLE => (start.checked_next_multiple_of(PAGE)?, end / PAGE * PAGE),
        _ => (start / PAGE * PAGE, end.checked_next_multiple_of(PAGE)?),
    };
    (start < end).then_some((start, end, known(region.kind)))
}

fn known(kind: u32) -> u32 {
    if strictness(kind) == UNKNOWN { memory_kind::RESERVED } else { kind }
}

const UNKNOWN: u8 = u8::MAX;

fn strictness(kind: u32) -> u8 {
    match kind {
        memory_kind::USABLE => 0,
        memory_kind::KERNEL => 1,
        memory_kind::ACPI_RECLAIMABLE => 2,
        memory_kind::ACPI_NVS => 3,
        memory_kind::RESERVED => 4,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn clean(input: &[MemoryRegion]) -> Vec<MemoryRegion> {
        let mut out = vec![MemoryRegion::default(); input.len() * 2 + 1];
        let len = sanitize(input, &mut out).unwrap();
        out.truncate(len);
        out
    }

    const U: u32 = memory_kind::USABLE;
    const R: u32 = memory_kind::RESERVED;
    const K: u32 = memory_kind::KERNEL;

    #[test]
    fn a_module_is_carved_out_of_usable_memory() {
        let map = [MemoryRegion::new(0x10_0000, 0x10_0000, U), MemoryRegion::new(0x12_0010, 0x20, K)];
        let want = [
            MemoryRegion::new(0x10_0000, 0x2_0000, U),
            MemoryRegion::new(0x12_0000, 0x1000, K),
            MemoryRegion::new(0x12_1000, 0xd_f000, U),
        ];
        assert_eq!(clean(&map), want);
    }

    #[test]
    fn usable_memory_shrinks_to_pages_and_reserved_memory_grows() {
        let map = [MemoryRegion::new(0x9_fc00, 0x400, R), MemoryRegion::new(0, 0x9_fc00, U)];
        assert_eq!(clean(&map), [MemoryRegion::new(0, 0x9_f000, U), MemoryRegion::new(0x9_f000, 0x1000, R)]);
    }

    #[test]
    fn a_wrapping_region_is_cut_at_the_end_of_physical_memory() {
        let map = [MemoryRegion::new(PHYS_LIMIT - 0x1000, u64::MAX, R), MemoryRegion::new(u64::MAX, u64::MAX, U)];
        assert_eq!(clean(&map), [MemoryRegion::new(PHYS_LIMIT - 0x1000, 0x1000, R)]);
    }

    #[test]
    fn too_small_an_output_is_an_error() {
        let map = [MemoryRegion::new(0, 0x1000, U), MemoryRegion::new(0x1000, 0x1000, R)];
        assert_eq!(sanitize(&map, &mut [MemoryRegion::default()]), Err(BootError::TooManyRegions));
    }

    /// Regions crowded into a few pages, so that they overlap in every way, and a few anywhere at all.
    fn region() -> impl Strategy<Value = MemoryRegion> {
        let near = (0u64..24 * 1024, 0u64..24 * 1024, 0u32..8);
        let far = (any::<u64>(), any::<u64>(), any::<u32>());
        prop_oneof![4 => near, 1 => far].prop_map(|(start, len, kind)| MemoryRegion::new(start, len, kind))
    }

    proptest! {
        #[test]
        fn the_output_is_sorted_aligned_and_minimal(input in proptest::collection::vec(region(), 0..24)) {
            let out = clean(&input);
            for pair in out.windows(2) {
                prop_assert!(pair[0].end() <= pair[1].start);
                prop_assert!(pair[0].end() < pair[1].start || pair[0].kind != pair[1].kind);
            }
            for region in &out {
                prop_assert!(region.len > 0 && region.start % PAGE == 0 && region.len % PAGE == 0);
                prop_assert!(region.end() <= PHYS_LIMIT && (1..=5).contains(&region.kind));
            }
            prop_assert_eq!(clean(&out), out);
        }

        #[test]
        fn each_page_has_the_strictest_kind_anyone_gave_it(input in proptest::collection::vec(region(), 0..24)) {
            let out = clean(&input);
            for page in (0..64 * 1024).step_by(PAGE as usize) {
                let touches = |r: &&MemoryRegion| r.len > 0 && r.start < page + PAGE && r.end() > page;
                let covers = |r: &&MemoryRegion| r.start <= page && r.end() >= page + PAGE;
                let strict = input.iter().filter(touches).filter(|r| r.kind != U).map(|r| known(r.kind));
                let usable = input.iter().filter(covers).filter(|r| r.kind == U).map(|_| U);
                let want = strict.chain(usable).max_by_key(|kind| strictness(*kind));
                prop_assert_eq!(out.iter().find(touches).map(|r| r.kind), want);
            }
        }
    }
}
