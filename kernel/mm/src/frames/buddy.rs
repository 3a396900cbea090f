//! Free memory as maximal aligned blocks of `1 << order` frames: a buddy system whose lists are [`BitSet`]s.
//!
//! A flat bitmap beside them says of each single frame whether it is free; it catches a frame that is freed twice.
//! Invariant: a frame's bit is set exactly when the frame lies in one block of one set, and no two buddies of an order
//! are both in its set.

use alloc::boxed::Box;
use alloc::vec;
use core::array;
use core::ops::Range;

use super::bits::BitSet;

/// The largest block: 1 GiB.
pub(super) const MAX_ORDER: usize = 18;
const BITS: usize = 64;

pub(super) struct Buddy {
    blocks: [BitSet; MAX_ORDER + 1],
    /// Bit n is set when there is a block of order n.
    nonempty: u32,
    free_bits: Box<[u64]>,
    free: usize,
    limit: usize,
}

impl Buddy {
    /// No free frame among those below `limit`.
    pub(super) fn new(limit: usize) -> Buddy {
        Buddy {
            blocks: array::from_fn(|order| BitSet::new(limit >> order)),
            nonempty: 0,
            free_bits: vec![0; limit.div_ceil(BITS)].into_boxed_slice(),
            free: 0,
            limit,
        }
    }

    /// Free frames.
    pub(super) fn free_frames(&self) -> usize {
        self.free
    }

    /// Makes a range of frames free. Panics when one of them is already.
    pub(super) fn add_range(&mut self, range: Range<usize>) {
        let mut start = range.start;
        while start < range.end {
            let aligned = (start.trailing_zeros() as usize).min(MAX_ORDER);
            let fits = (range.end - start).ilog2() as usize;
            let order = aligned.min(fits);
            self.free_block(start, order);
            start += 1 << order;
        }
    }

    /// Takes the lowest block of `order`, or half of a larger one.
    pub(super) fn take(&mut self, order: usize) -> Option<usize> {
        let candidates = self.nonempty.checked_shr(order as u32)?;
        if candidates == 0 {
            return None;
        }
        let mut from = order + candidates.trailing_zeros() as usize;
        let mut block = self.blocks[from].first()?;
        self.remove(from, block);
        while from > order {
            from -= 1;
            block *= 2;
            self.insert(from, block + 1);
        }
        let start = block << order;
        self.mark(start, order, false);
        self.free -= 1 << order;
        Some(start)
    }

    /// Takes up to `into.len()` single frames. Returns how many.
    pub(super) fn take_singles(&mut self, into: &mut [u32]) -> usize {
        let mut done = 0;
        while done < into.len() {
            if self.nonempty == 0 {
                break;
            }
            let order = (self.nonempty.trailing_zeros() as usize).min((into.len() - done).ilog2() as usize);
            let Some(start) = self.take(order) else { break };
            for (slot, frame) in into[done..].iter_mut().zip(start..start + (1 << order)) {
                *slot = frame as u32;
            }
            done += 1 << order;
        }
        done
    }

    /// Takes back what `take` gave. Panics when any of it is free already, or no frame at all.
    pub(super) fn free_block(&mut self, start: usize, order: usize) {
        assert!(
            start.is_multiple_of(1 << order) && start + (1 << order) <= self.limit,
            "no frames at {start:#x}, order {order}"
        );
        self.mark(start, order, true);
        self.free += 1 << order;
        let mut block = start >> order;
        let mut order = order;
        while order < MAX_ORDER && self.blocks[order].contains(block ^ 1) {
            self.remove(order, block ^ 1);
            block /= 2;
            order += 1;
        }
        self.insert(order, block);
    }

    fn insert(&mut self, order: usize, block: usize) {
        self.blocks[order].insert(block);
        self.nonempty |= 1 << order;
    }

    fn remove(&mut self, order: usize, block: usize) {
        self.blocks[order].remove(block);
        if self.blocks[order].is_empty() {
            self.nonempty &= !(1 << order);
        }
    }

    /// Sets the frames' own bits, which must all have been the opposite.
    fn mark(&mut self, start: usize, order: usize, free: bool) {
        let count = (1usize << order).min(BITS);
        let mask = (u64::MAX >> (BITS - count)) << (start % BITS);
        let words = (1usize << order).div_ceil(BITS);
        for word in &mut self.free_bits[start / BITS..][..words] {
            let expected = if free { 0 } else { mask };
            assert!(*word & mask == expected, "frames at {start:#x}, order {order}, freed twice or given twice");
            *word ^= mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Buddy, MAX_ORDER};
    use crate::testing::Rng;
    use alloc::vec;
    use alloc::vec::Vec;

    /// The trivial model: one flag a frame.
    struct Model(Vec<bool>);

    impl Model {
        fn has_run(&self, order: usize) -> bool {
            self.0.chunks_exact(1 << order).any(|run| run.iter().all(|free| *free))
        }
    }

    #[test]
    fn behaves_like_an_array_of_flags() {
        for seed in 0..60 {
            let mut rng = Rng::new(seed);
            let limit = 1 + rng.below(3000);
            let mut buddy = Buddy::new(limit);
            let mut model = Model(vec![false; limit]);
            let mut held: Vec<(usize, usize)> = Vec::new();
            let mut start = 0;
            while start < limit {
                let end = (start + 1 + rng.below(700)).min(limit);
                if rng.below(3) != 0 {
                    buddy.add_range(start..end);
                    model.0[start..end].fill(true);
                }
                start = end;
            }
            let total = buddy.free_frames();
            for _ in 0..2000 {
                match rng.below(5) {
                    0 | 1 => {
                        let order = rng.below(8);
                        match buddy.take(order) {
                            Some(start) => {
                                assert!(start.is_multiple_of(1 << order));
                                let run = &mut model.0[start..start + (1 << order)];
                                assert!(run.iter().all(|free| *free), "gave a frame that is not free");
                                run.fill(false);
                                held.push((start, order));
                            }
                            None => assert!(!model.has_run(order), "seed {seed}: did not find a run of order {order}"),
                        }
                    }
                    2 => {
                        let mut singles = [0; 40];
                        let wanted = rng.below(singles.len());
                        let got = buddy.take_singles(&mut singles[..wanted]);
                        assert!(got == wanted || !model.has_run(0) || buddy.free_frames() == 0);
                        for frame in &singles[..got] {
                            assert!(core::mem::replace(&mut model.0[*frame as usize], false));
                            held.push((*frame as usize, 0));
                        }
                    }
                    _ => {
                        if !held.is_empty() {
                            let (start, order) = held.swap_remove(rng.below(held.len()));
                            buddy.free_block(start, order);
                            model.0[start..start + (1 << order)].fill(true);
                        }
                    }
                }
                assert_eq!(buddy.free_frames(), model.0.iter().filter(|free| **free).count());
            }
            for (start, order) in held.drain(..) {
                buddy.free_block(start, order);
            }
            assert_eq!(buddy.free_frames(), total);
        }
    }

    #[test]
    fn what_was_split_joins_again() {
        let limit = 2 << MAX_ORDER;
        let mut buddy = Buddy::new(limit);
        buddy.add_range(0..limit);
        let mut singles: Vec<usize> = (0..5000).filter_map(|_| buddy.take(0)).collect();
        let mut rng = Rng::new(7);
        while !singles.is_empty() {
            let frame = singles.swap_remove(rng.below(singles.len()));
            buddy.free_block(frame, 0);
        }
        assert!(buddy.take(MAX_ORDER).is_some() && buddy.take(MAX_ORDER).is_some());
        assert_eq!(buddy.take(0), None);
    }

    #[test]
    #[should_panic(expected = "freed twice")]
    fn a_frame_freed_twice_is_noticed() {
        let mut buddy = Buddy::new(64);
        buddy.add_range(0..64);
        let frame = buddy.take(0).unwrap_or(0);
        buddy.free_block(frame, 0);
        buddy.free_block(frame, 0);
    }
}
