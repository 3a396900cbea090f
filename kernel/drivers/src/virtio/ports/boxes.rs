//! The two ends of a port: buffers that the device fills, and one that it empties.

use alloc::vec::Vec;

use kernel_hal::addr::Phys;
use kernel_hal::dma::Buffer;
use kernel_hal::frame::OutOfMemory;

use crate::virtio::queue::{Broken, Part, Queue, Used};

/// As many buffers as the queue has descriptors. The device has them all, but while one is being copied.
pub(super) struct Inbox {
    queue: Queue,
    /// Bytes of one buffer.
    piece: usize,
    /// All buffers in one; none before the first use.
    memory: Option<Buffer>,
    /// By token: which buffer the device has under it.
    buffers: Vec<usize>,
}

impl Inbox {
    pub fn new(queue: Queue, piece: usize) -> Inbox {
        let buffers = alloc::vec![0; usize::from(queue.size())];
        Inbox { queue, piece, memory: None, buffers }
    }

    /// Gives the device its buffers, if it has none yet.
    pub fn provide(&mut self) -> Result<(), OutOfMemory> {
        if self.memory.is_some() {
            return Ok(());
        }
        let count = self.buffers.len();
        self.memory = Some(Buffer::new(count * self.piece)?);
        for number in 0..count {
            self.give(number);
        }
        Ok(())
    }

    fn give(&mut self, number: usize) {
        let Some(memory) = &self.memory else { return };
        let address = Phys(memory.phys().0 + (number * self.piece) as u64);
        let part = Part { address, len: self.piece as u32, device_writes: true };
        // There are as many descriptors as buffers, so none can be missing.
        if let Some(token) = self.queue.push(&[part])
            && let Some(place) = self.buffers.get_mut(token.index())
        {
            *place = number;
        }
    }

    /// Moves what the device wrote first to `into`, which has room for a piece, and gives the device its buffer back. False
    /// when there is nothing.
    pub fn take(&mut self, into: &mut Vec<u8>) -> Result<bool, Broken> {
        let Some(Used { token, written }) = self.queue.pop()? else { return Ok(false) };
        let number = self.buffers.get(token.index()).copied().ok_or(Broken)?;
        let memory = self.memory.as_ref().ok_or(Broken)?;
        into.clear();
        into.resize(written as usize, 0);
        memory.read(number * self.piece, into);
        self.give(number);
        Ok(true)
    }

    pub fn has_input(&self) -> bool {
        self.queue.has_returned()
    }

    /// Whether the device wants to hear of buffers that were given back.
    pub fn wants_notification(&self) -> bool {
        self.queue.wants_notification()
    }
}

/// One buffer on its way to the device, or free.
pub(super) struct Outbox {
    queue: Queue,
    memory: Option<Buffer>,
    busy: bool,
}

impl Outbox {
    pub fn new(queue: Queue) -> Outbox {
        Outbox { queue, memory: None, busy: false }
    }

    /// Makes the buffer, if there is none yet.
    pub fn provide(&mut self, len: usize) -> Result<(), OutOfMemory> {
        if self.memory.is_none() {
            self.memory = Some(Buffer::new(len)?);
        }
        Ok(())
    }

    /// True when the device has nothing of ours.
    pub fn settle(&mut self) -> Result<bool, Broken> {
        while self.queue.pop()?.is_some() {
            self.busy = false;
        }
        Ok(!self.busy)
    }

    /// Hands bytes to the device, at most as many as the buffer holds. False when it is not free.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        let Some(memory) = self.memory.as_ref().filter(|memory| !self.busy && bytes.len() <= memory.len()) else {
            return false;
        };
        memory.write(0, bytes);
        let part = Part { address: memory.phys(), len: bytes.len() as u32, device_writes: false };
        self.busy = self.queue.push(&[part]).is_some();
        self.busy
    }

    /// Whether the device wants to hear of what was sent.
    pub fn wants_notification(&self) -> bool {
        self.queue.wants_notification()
    }
}
