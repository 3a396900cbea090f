//! Hashing of names. Keyed with a random number, so that a program cannot choose names that collide.

use core::hash::{BuildHasher, Hasher};

use core::sync::atomic::{AtomicU64, Ordering};

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
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        let mut last = (bytes.len() as u64) << 56;
        for (place, byte) in tail.iter().enumerate() {
            last |= u64::from(*byte) << (8 * place);
        }
        self.mix(last);
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
