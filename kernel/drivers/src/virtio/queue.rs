//! A split virtqueue (VIRTIO 1.2 §2.7).
//!
//! The three parts live in one buffer that the device reads and writes, so nothing read back from it is believed: which
//! descriptors are free, how chains are linked and how much a chain may return is kept in `chains`, which the device
//! cannot reach. A device that returns a chain it does not have, or more chains than it has, has broken the queue.

use alloc::vec::Vec;

use kernel_hal::addr::Phys;
use kernel_hal::dma::{self, Buffer};
use kernel_hal::frame::OutOfMemory;

use super::spec::ring;

/// Memory for one descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub address: Phys,
    pub len: u32,
    /// The device writes it; parts that it reads come first in a chain.
    pub device_writes: bool,
}

/// Names a chain while the device has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token(u16);

impl Token {
    /// Below the size of the queue.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The device broke the rules of the ring; it must be reset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Broken;

/// A chain that came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    pub token: Token,
    /// Bytes that the device says it wrote; at most what the chain had room for.
    pub written: u32,
}

#[derive(Clone)]
struct Chain {
    descriptors: Vec<u16>,
    writable: u32,
}

/// The driver's side of one queue.
pub struct Queue {
    size: u16,
    memory: Buffer,
    available: usize,
    used: usize,
    free: Vec<u16>,
    chains: Vec<Option<Chain>>,
    next_available: u16,
    next_used: u16,
    in_flight: u16,
}

impl Queue {
    /// A queue of `size` descriptors: a power of two up to 32768.
    pub fn new(size: u16) -> Result<Queue, OutOfMemory> {
        assert!(size.is_power_of_two(), "a queue of {size} descriptors");
        let count = usize::from(size);
        let available = ring::DESCRIPTOR * count;
        let used = (available + 6 + 2 * count).next_multiple_of(4);
        let memory = Buffer::new(used + 6 + ring::USED_ELEMENT * count)?;
        let free = (0..size).rev().collect();
        let chains = alloc::vec![None; count];
        Ok(Queue { size, memory, available, used, free, chains, next_available: 0, next_used: 0, in_flight: 0 })
    }

    /// Physical addresses of the descriptors, the available ring and the used ring.
    pub fn addresses(&self) -> [u64; 3] {
        let base = self.memory.phys().0;
        [base, base + self.available as u64, base + self.used as u64]
    }

    /// Hands `parts` to the device, in order. `None` when there are not as many free descriptors.
    ///
    /// The memory must stay untouched until [`pop`](Queue::pop) returns the token, or the device is reset.
    pub fn push(&mut self, parts: &[Part]) -> Option<Token> {
        if parts.is_empty() || parts.len() > self.free.len() {
            return None;
        }
        let descriptors = self.free.split_off(self.free.len() - parts.len());
        for (place, (part, index)) in parts.iter().zip(&descriptors).enumerate() {
            let at = ring::DESCRIPTOR * usize::from(*index);
            let next = descriptors.get(place + 1);
            let flags =
                if part.device_writes { ring::DEVICE_WRITES } else { 0 } | if next.is_some() { ring::NEXT } else { 0 };
            self.memory.write_u64(at, part.address.0);
            self.memory.write_u32(at + 8, part.len);
            self.memory.write_u16(at + 12, flags);
            self.memory.write_u16(at + 14, next.copied().unwrap_or(0));
        }
        let head = *descriptors.first()?;
        let writable =
            parts.iter().filter(|part| part.device_writes).fold(0u32, |sum, part| sum.saturating_add(part.len));
        *self.chains.get_mut(usize::from(head))? = Some(Chain { descriptors, writable });
        self.in_flight += 1;
        let slot = usize::from(self.next_available % self.size);
        self.memory.write_u16(self.available + 4 + 2 * slot, head);
        self.next_available = self.next_available.wrapping_add(1);
        // The device sees the entry before the index that covers it (§2.7.13.3).
        dma::barrier();
        self.memory.write_u16(self.available + 2, self.next_available);
        dma::barrier();
        Some(Token(head))
    }

    /// True when the device wants to be told of new entries.
    pub fn wants_notification(&self) -> bool {
        self.memory.read_u16(self.used) & ring::NO_NOTIFY == 0
    }

    /// True when the device says that it returned a chain that was not taken yet.
    pub fn has_returned(&self) -> bool {
        self.memory.read_u16(self.used + 2) != self.next_used
    }

    /// The next chain that the device returned, if any.
    pub fn pop(&mut self) -> Result<Option<Used>, Broken> {
        let index = self.memory.read_u16(self.used + 2);
        let returned = index.wrapping_sub(self.next_used);
        if returned == 0 {
            return Ok(None);
        }
        if returned > self.in_flight {
            return Err(Broken);
        }
        // The entry is read after the index that covers it.
        dma::barrier();
        let at = self.used + 4 + ring::USED_ELEMENT * usize::from(self.next_used % self.size);
        let id = self.memory.read_u32(at);
        let written = self.memory.read_u32(at + 4);
        let chain = usize::try_from(id).ok().and_then(|id| self.chains.get_mut(id)).ok_or(Broken)?;
        let chain = chain.take().ok_or(Broken)?;
        self.next_used = self.next_used.wrapping_add(1);
        self.in_flight -= 1;
        self.free.extend(chain.descriptors.into_iter().rev());
        if written > chain.writable {
            return Err(Broken);
        }
        Ok(Some(Used { token: Token(id as u16), written }))
    }

    /// Descriptors in all.
    pub fn size(&self) -> u16 {
        self.size
    }
}
