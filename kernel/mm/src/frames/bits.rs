//! A set of small numbers as bits, with summaries: each bit of a level says whether a word of the level below has any
//! bit set. Insert, remove and "first member" touch one word a level: four levels hold 16 million members.

use alloc::boxed::Box;
use alloc::vec;

const BITS: usize = 64;
/// Enough for 64^6 members.
const MAX_LEVELS: usize = 6;

pub(super) struct BitSet {
    words: Box<[u64]>,
    /// Where each level starts in `words`; level 0 has the members.
    starts: [usize; MAX_LEVELS],
    levels: usize,
    capacity: usize,
}

impl BitSet {
    /// An empty set of numbers below `capacity`.
    pub(super) fn new(capacity: usize) -> BitSet {
        let mut starts = [0; MAX_LEVELS];
        let mut total = 0;
        let mut levels = 0;
        let mut members = capacity.max(1);
        loop {
            starts[levels] = total;
            levels += 1;
            members = members.div_ceil(BITS);
            total += members;
            if members == 1 {
                break;
            }
        }
        BitSet { words: vec![0; total].into_boxed_slice(), starts, levels, capacity }
    }

    #[inline]
    pub(super) fn contains(&self, member: usize) -> bool {
        member < self.capacity && self.words[member / BITS] >> (member % BITS) & 1 != 0
    }

    #[inline]
    pub(super) fn insert(&mut self, member: usize) {
        let mut index = member;
        for start in &self.starts[..self.levels] {
            let word = &mut self.words[start + index / BITS];
            let before = *word;
            *word |= 1 << (index % BITS);
            if before != 0 {
                return;
            }
            index /= BITS;
        }
    }

    #[inline]
    pub(super) fn remove(&mut self, member: usize) {
        let mut index = member;
        for start in &self.starts[..self.levels] {
            let word = &mut self.words[start + index / BITS];
            *word &= !(1 << (index % BITS));
            if *word != 0 {
                return;
            }
            index /= BITS;
        }
    }

    /// The smallest member.
    #[inline]
    pub(super) fn first(&self) -> Option<usize> {
        let mut index = 0;
        for start in self.starts[..self.levels].iter().rev() {
            let word = self.words[start + index];
            if word == 0 {
                return None;
            }
            index = index * BITS + word.trailing_zeros() as usize;
        }
        Some(index)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.words[self.starts[self.levels - 1]] == 0
    }
}

#[cfg(test)]
mod tests {
    use super::BitSet;
    use crate::testing::Rng;
    use alloc::collections::BTreeSet;

    #[test]
    fn behaves_like_a_tree_set() {
        for (seed, capacity) in [1, 63, 64, 65, 4095, 4096, 4097, 300_000].into_iter().enumerate() {
            let mut rng = Rng::new(seed as u64);
            let mut set = BitSet::new(capacity);
            let mut model = BTreeSet::new();
            for _ in 0..4000 {
                let member = rng.below(capacity);
                if rng.below(2) == 0 {
                    set.insert(member);
                    model.insert(member);
                } else {
                    set.remove(member);
                    model.remove(&member);
                }
                assert_eq!(set.first(), model.first().copied());
                assert_eq!(set.is_empty(), model.is_empty());
                let other = rng.below(capacity + 10);
                assert_eq!(set.contains(other), model.contains(&other));
            }
        }
    }
}
