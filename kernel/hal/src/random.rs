//! The kernel's random numbers: a ChaCha20 generator with fast key erasure, reseeded from the machine.
//!
//! Each request makes a fresh block, takes its first half as the next key and hands out the rest, so a later look at
//! the kernel's memory tells nothing of earlier output. The entropy is the processor's (RDRAND) where it has it, mixed
//! with the jitter of the time-stamp counter.

use crate::lock::IrqLock;
use crate::machine;

/// Blocks made before new entropy is mixed in.
const RESEED_AFTER: u32 = 4096;

struct Generator {
    key: [u32; 8],
    seeded: bool,
    blocks: u32,
}

static GENERATOR: IrqLock<Generator> = IrqLock::new(Generator { key: [0; 8], seeded: false, blocks: 0 });

/// Fills `into` with bytes that nobody can predict.
pub fn fill(into: &mut [u8]) {
    for chunk in into.chunks_mut(32) {
        let block = GENERATOR.lock().block();
        for (to, from) in chunk.iter_mut().zip(block) {
            *to = from;
        }
    }
}

/// A random word.
pub fn word() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// Mixes bytes from outside into the state; they can only add uncertainty.
pub fn mix(bytes: &[u8]) {
    let mut generator = GENERATOR.lock();
    for chunk in bytes.chunks(32) {
        for (index, byte) in chunk.iter().enumerate() {
            generator.key[index / 4] ^= u32::from(*byte) << (8 * (index % 4));
        }
        generator.block();
    }
}

impl Generator {
    fn reseed(&mut self) {
        for word in &mut self.key {
            *word ^= machine::entropy();
        }
        self.seeded = true;
        self.blocks = 0;
    }

    /// 32 fresh bytes; the key they came from is gone.
    fn block(&mut self) -> [u8; 32] {
        if !self.seeded || self.blocks >= RESEED_AFTER {
            self.reseed();
        }
        self.blocks += 1;
        let output = chacha20_block(&self.key, self.blocks);
        let mut bytes = [0; 32];
        for (index, word) in output.iter().enumerate() {
            if index < 8 {
                self.key[index] = *word;
            } else {
                bytes[(index - 8) * 4..][..4].copy_from_slice(&word.to_le_bytes());
            }
        }
        bytes
    }
}

/// One block of ChaCha20 (RFC 8439 §2.3) with a zero nonce.
fn chacha20_block(key: &[u32; 8], counter: u32) -> [u32; 16] {
    let mut state = [0u32; 16];
    state[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
    state[4..12].copy_from_slice(key);
    state[12] = counter;
    let start = state;
    for _ in 0..10 {
        for (a, b, c, d) in [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)] {
            quarter_round(&mut state, a, b, c, d);
        }
        for (a, b, c, d) in [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)] {
            quarter_round(&mut state, a, b, c, d);
        }
    }
    for (word, before) in state.iter_mut().zip(start) {
        *word = word.wrapping_add(before);
    }
    state
}

fn quarter_round(state: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    for (x, y, z, turn) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        state[x] = state[x].wrapping_add(state[y]);
        state[z] = (state[z] ^ state[x]).rotate_left(turn);
    }
}

#[cfg(test)]
mod tests {
    use super::chacha20_block;

    #[test]
    fn first_block_with_a_zero_key_is_the_published_one() {
        // RFC 8439 appendix A.1, test vector 1.
        let block = chacha20_block(&[0; 8], 0);
        assert_eq!(block[0].to_le_bytes(), [0x76, 0xb8, 0xe0, 0xad]);
        assert_eq!(block[15].to_le_bytes(), [0xb2, 0xee, 0x65, 0x86]);
    }

    #[test]
    fn output_differs_each_time() {
        let (mut first, mut second) = ([0; 48], [0; 48]);
        super::fill(&mut first);
        super::fill(&mut second);
        assert_ne!(first, second);
    }
}
