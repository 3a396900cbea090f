//! The bytes in a pipe: a ring of frames, taken when they are first written to.
//!
//! Positions count bytes for ever; the frame of a position is its page number modulo the number of frames. An empty
//! ring starts over at zero, so that a pipe used for small messages stays in one frame.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use aios_abi::Errno;
use kernel_hal::addr::PAGE_SIZE;
use kernel_hal::frame::Frame;
use kernel_mm::Account;
use kernel_mm::io::{Sink, Source};

pub(super) struct Ring {
    frames: Vec<Option<Frame>>,
    /// Bytes that have been read and written since the ring was last empty.
    live: Range<usize>,
    account: Arc<Account>,
}

impl Ring {
    /// An empty ring of `pages` frames, which are charged to `account` as they come.
    pub fn new(pages: usize, account: &Arc<Account>) -> Ring {
        Ring { frames: alloc::vec![None; pages], live: 0..0, account: account.clone() }
    }

    pub fn len(&self) -> usize {
        self.live.len()
    }

    pub fn capacity(&self) -> usize {
        self.frames.len() * PAGE_SIZE
    }

    /// Drops what is in it, and the frames.
    pub fn clear(&mut self) {
        self.frames.fill(None);
        self.live = 0..0;
    }

    pub fn room(&self) -> usize {
        self.capacity() - self.len()
    }

    /// The slot of a position, and the bytes from there to the end of its frame.
    fn slot(&self, position: usize) -> (usize, usize, usize) {
        let offset = position % PAGE_SIZE;
        ((position / PAGE_SIZE) % self.frames.len().max(1), offset, PAGE_SIZE - offset)
    }

    /// Moves bytes from `source` in, as many as there are and fit. An error only when none was moved.
    pub fn fill(&mut self, source: &mut Source) -> Result<usize, Errno> {
        let mut moved = 0;
        loop {
            let wanted = source.remaining().min(self.room());
            if wanted == 0 {
                return Ok(moved);
            }
            let (slot, offset, until_end) = self.slot(self.live.end);
            let account = self.account.id();
            let Some(place) = self.frames.get_mut(slot) else { return Ok(moved) };
            if place.is_none() {
                match self.account.has_room(1).then(|| Frame::zeroed(account)) {
                    Some(Ok(frame)) => *place = Some(frame),
                    _ if moved > 0 => return Ok(moved),
                    _ => return Err(Errno::ENOMEM),
                }
            }
            let Some(frame) = place else { return Ok(moved) };
            let before = source.done();
            let outcome = source.take_to_frame(frame, offset, wanted.min(until_end));
            let count = source.done() - before;
            self.live.end += count;
            moved += count;
            if let Err(error) = outcome {
                return if moved > 0 { Ok(moved) } else { Err(error) };
            }
            if count == 0 {
                return Ok(moved);
            }
        }
    }

    /// Moves bytes out to `sink`, as many as there are and it takes. An error only when none was moved.
    pub fn drain(&mut self, sink: &mut Sink) -> Result<usize, Errno> {
        let mut moved = 0;
        let mut outcome = Ok(());
        while outcome.is_ok() {
            let wanted = sink.remaining().min(self.len());
            if wanted == 0 {
                break;
            }
            let (slot, offset, until_end) = self.slot(self.live.start);
            let Some(Some(frame)) = self.frames.get(slot) else { break };
            let before = sink.done();
            outcome = sink.put_frame(frame, offset, wanted.min(until_end));
            let count = sink.done() - before;
            self.live.start += count;
            moved += count;
        }
        if self.live.is_empty() {
            self.live = 0..0;
        }
        if moved > 0 { Ok(moved) } else { outcome.map(|()| 0) }
    }

    /// Changes the number of frames. `EBUSY` when what is in the pipe does not fit.
    pub fn resize(&mut self, pages: usize) -> Result<(), Errno> {
        let offset = self.live.start % PAGE_SIZE;
        let used = (offset + self.len()).div_ceil(PAGE_SIZE);
        if used > pages {
            return Err(Errno::EBUSY);
        }
        let mut frames = Vec::with_capacity(pages);
        for page in 0..used {
            let (slot, ..) = self.slot(self.live.start - offset + page * PAGE_SIZE);
            frames.push(self.frames.get_mut(slot).and_then(Option::take));
        }
        frames.resize_with(pages, || None);
        self.live = offset..offset + self.len();
        self.frames = frames;
        Ok(())
    }
}
