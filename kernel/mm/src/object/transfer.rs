//! Reading and writing an object as a file.

use aios_abi::Errno;
use kernel_hal::addr::{PAGE_SHIFT, PAGE_SIZE};
use kernel_hal::frame::Frame;

use super::MemoryObject;
use crate::io::{Sink, Source};

/// The page of a byte, and the byte's place in it.
fn locate(at: u64) -> (u64, usize) {
    (at >> PAGE_SHIFT, (at % PAGE_SIZE as u64) as usize)
}

impl MemoryObject {
    /// Puts the bytes from `offset` to `end` into `sink`, as many as fit. Holes of anonymous memory are zeros.
    pub fn read_at(&self, offset: u64, end: u64, sink: &mut Sink<'_>) -> Result<(), Errno> {
        let mut at = offset;
        while at < end && sink.remaining() != 0 {
            let (index, skip) = locate(at);
            let count = (PAGE_SIZE - skip).min(sink.remaining());
            let count = usize::try_from(end - at).map_or(count, |left| count.min(left));
            match self.lookup(index) {
                Some(frame) => sink.put_frame(&frame, skip, count)?,
                None if !self.has_source() => sink.put_zeros(count)?,
                None => sink.put_frame(&self.page(index, false)?, skip, count)?,
            }
            at += count as u64;
        }
        Ok(())
    }

    /// Writes what `source` has at `offset`. The caller then tells the new size, by what `source` says was done.
    ///
    /// `EFBIG` past the largest offset, `ENOMEM`, and what the page source or user memory report.
    pub fn write_at(&self, offset: u64, source: &mut Source<'_>) -> Result<(), Errno> {
        let size = self.size();
        if offset > size && source.remaining() != 0 {
            // A program may have written there through a mapping; in the file it was never there.
            self.zero_from(size, offset);
        }
        let mut at = offset;
        while source.remaining() != 0 {
            let (index, skip) = locate(at);
            let count = (PAGE_SIZE - skip).min(source.remaining());
            let next = at.checked_add(count as u64).filter(|next| *next <= i64::MAX as u64).ok_or(Errno::EFBIG)?;
            match self.lookup(index) {
                Some(frame) => self.fill(index, &frame, skip, count, source)?,
                None if count == PAGE_SIZE => self.write_new_page(index, source)?,
                None => {
                    let frame = self.page(index, false)?;
                    self.fill(index, &frame, skip, count, source)?;
                }
            }
            at = next;
        }
        Ok(())
    }

    /// Writes into a page that is in memory. It is marked dirty after the bytes are there, even if some are missing.
    fn fill(&self, index: u64, frame: &Frame, skip: usize, count: usize, source: &mut Source<'_>) -> Result<(), Errno> {
        let result = source.take_to_frame(frame, skip, count);
        self.mark_dirty(index);
        result.map(|_| ())
    }

    /// Writes a whole page that is not in memory, without fetching it. It is shown to others only when complete: after
    /// a fault midway the old contents must still be there beyond what was written.
    fn write_new_page(&self, index: u64, source: &mut Source<'_>) -> Result<(), Errno> {
        let fresh = self.new_page()?;
        let before = source.done();
        let result = source.take_to_frame(&fresh, 0, PAGE_SIZE);
        let taken = source.done() - before;
        if taken == PAGE_SIZE {
            let pfn = fresh.pfn();
            if let Some(there) = self.insert(index, fresh.clone(), None, true)?
                && there.pfn() != pfn
            {
                copy(&there, &fresh, taken);
                self.mark_dirty(index);
            }
        } else if taken != 0 {
            copy(&self.page(index, true)?, &fresh, taken);
            self.mark_dirty(index);
        }
        result.map(|_| ())
    }
}

/// Copies the first `len` bytes of a frame.
fn copy(to: &Frame, from: &Frame, len: usize) {
    let mut bytes = [0; 256];
    let mut done = 0;
    while done < len {
        let count = bytes.len().min(len - done);
        from.read(done, &mut bytes[..count]);
        to.write(done, &bytes[..count]);
        done += count;
    }
}
