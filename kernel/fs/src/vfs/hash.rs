//! Hashing of names. Keyed with a random number, so that a program cannot choose names that collide.

use alloc::sync::Arc;
use core::hash::{BuildHasher, Hash, Hasher};
use core::sync::atomic::{AtomicU64, Ordering};

use hashbrown::Equivalent;
use kernel_hal::random;

/// Zero until the first map is made; the same for all maps from then on.
static KEY: AtomicU64 = AtomicU64::new(0);

/// Builds hashers for maps whose keys are names.
#[derive(Clone, Copy)]
pub struct NameHash(u64);

impl Default for NameHash {
    fn default() -> NameHash {
        let known = KEY.load(Ordering::Relaxed);
        if known != 0 {
            return NameHash(known);
        }
        let mut bytes = [0; 8];
        random::fill(&mut bytes);
        let fresh = u64::from_ne_bytes(bytes) | 1;
        match KEY.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => NameHash(fresh),
            Err(first) => NameHash(first),
        }
    }
}

impl BuildHasher for NameHash {
    type Hasher = NameHasher;
    fn build_hasher(&self) -> NameHasher {
        NameHasher(self.0)
    }
}

/// Up to seven bytes as one word; different for different bytes of one length.
#[inline]
fn tail(mut bytes: &[u8]) -> u64 {
    let mut word = 0;
    if let Some((four, rest)) = bytes.split_first_chunk::<4>() {
        word = u64::from(u32::from_le_bytes(*four));
        bytes = rest;
    }
    if let Some((two, rest)) = bytes.split_first_chunk::<2>() {
        word = word << 16 | u64::from(u16::from_le_bytes(*two));
        bytes = rest;
    }
    if let [last] = bytes {
        word = word << 8 | u64::from(*last);
    }
    word
}

/// A name to look for: compared by words, where names that are kept are compared as slices.
#[derive(Clone, Copy)]
pub(super) struct Sought<'a>(pub &'a [u8]);

impl Hash for Sought<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Equivalent<Arc<[u8]>> for Sought<'_> {
    #[inline]
    fn equivalent(&self, kept: &Arc<[u8]>) -> bool {
        let ((ours, our_rest), (theirs, their_rest)) = (self.0.as_chunks::<8>(), kept.as_chunks::<8>());
        self.0.len() == kept.len()
            && tail(our_rest) == tail(their_rest)
            && ours.iter().zip(theirs).all(|(one, other)| u64::from_le_bytes(*one) == u64::from_le_bytes(*other))
    }
}

/// Folded multiplication, eight bytes a step.
pub struct NameHasher(u64);

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl NameHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word) * u128::from(FACTOR ^ self.0.rotate_left(23) | 1);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

impl Hasher for NameHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        self.mix((bytes.len() as u64) << 56 | tail(rest));
    }

    #[inline]
    fn write_usize(&mut self, _length: usize) {
        // The length prefix of a slice: `write` takes the length in itself.
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn sought_names_are_equal_to_themselves_alone() {
        let names: Vec<Arc<[u8]>> = (0..20)
            .flat_map(|len| (0..len.max(1)).map(move |place| (len, place)))
            .map(|(len, place)| (0..len).map(|at| if at == place { b'x' } else { b'a' }).collect())
            .collect();
        for (index, one) in names.iter().enumerate() {
            for (other_index, other) in names.iter().enumerate() {
                assert_eq!(Sought(one).equivalent(other), index == other_index, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn short_tails_of_one_length_differ() {
        for len in 1..8 {
            let plain = std::vec![7; len];
            for place in 0..len {
                let mut changed = plain.clone();
                changed[place] ^= 1;
                assert_ne!(tail(&plain), tail(&changed));
            }
        }
    }
}
