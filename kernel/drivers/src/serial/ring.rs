//! A ring of bytes between one interrupt handler, which pushes, and one reader at a time, which pops.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// A power of two, so that wrapping counters stay in step with the ring.
const SIZE: usize = 4096;

pub struct Ring {
    bytes: [AtomicU8; SIZE],
    /// Bytes ever pushed and ever popped, wrapping.
    pushed: AtomicUsize,
    popped: AtomicUsize,
}

impl Ring {
    pub const fn new() -> Ring {
        Ring { bytes: [const { AtomicU8::new(0) }; SIZE], pushed: AtomicUsize::new(0), popped: AtomicUsize::new(0) }
    }

    /// False when the ring is full: the byte is lost.
    pub fn push(&self, byte: u8) -> bool {
        let pushed = self.pushed.load(Ordering::Relaxed);
        if self.is_full() {
            return false;
        }
        self.bytes[pushed % SIZE].store(byte, Ordering::Relaxed);
        self.pushed.store(pushed.wrapping_add(1), Ordering::Release);
        true
    }

    /// Moves bytes out; returns how many.
    pub fn pop(&self, into: &mut [u8]) -> usize {
        let popped = self.popped.load(Ordering::Relaxed);
        let waiting = self.pushed.load(Ordering::Acquire).wrapping_sub(popped);
        let count = waiting.min(into.len());
        for (at, byte) in into.iter_mut().take(count).enumerate() {
            *byte = self.bytes[popped.wrapping_add(at) % SIZE].load(Ordering::Relaxed);
        }
        self.popped.store(popped.wrapping_add(count), Ordering::Release);
        count
    }

    pub fn is_full(&self) -> bool {
        self.pushed.load(Ordering::Relaxed).wrapping_sub(self.popped.load(Ordering::Acquire)) >= SIZE
    }

    pub fn is_empty(&self) -> bool {
        self.pushed.load(Ordering::Acquire) == self.popped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_across_threads_and_wraps() {
        let ring = Ring::new();
        let total = 10 * SIZE + 17;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut sent = 0;
                while sent < total {
                    sent += usize::from(ring.push(sent as u8));
                }
            });
            let mut got = 0;
            let mut buffer = [0; 100];
            while got < total {
                let count = ring.pop(&mut buffer);
                for byte in &buffer[..count] {
                    assert_eq!(*byte, got as u8);
                    got += 1;
                }
            }
        });
        assert!(ring.is_empty());
    }

    #[test]
    fn a_full_ring_refuses() {
        let ring = Ring::new();
        assert!((0..SIZE).all(|_| ring.push(1)));
        assert!(!ring.push(2));
        assert_eq!(ring.pop(&mut [0; 1]), 1);
        assert!(ring.push(2));
    }
}
