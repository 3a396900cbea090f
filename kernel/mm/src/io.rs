//! Where bytes go and where they come from: kernel memory, or one or many stretches of the running program's memory.
//!
//! A [`Sink`] or [`Source`] counts what was done. A transfer that faults part-way returns `EFAULT` and keeps its count, so
//! that callers can follow Linux's rule: report the count when it is not zero, the error otherwise ([`finish`]).
//! User memory may fault and sleep: no spinning lock may be held.

use alloc::vec::Vec;

use aios_abi::Errno;
use kernel_hal::addr::Virt;
use kernel_hal::frame::Frame;
use kernel_hal::usermem::{self, Fault};

/// Linux's rule for a transfer that ended with `result` after `done` bytes.
pub fn finish(done: usize, result: Result<(), Errno>) -> Result<usize, Errno> {
    match result {
        Err(error) if done == 0 => Err(error),
        _ => Ok(done),
    }
}

/// Stretches of user memory, and how far they have been walked.
struct UserParts {
    parts: Vec<(Virt, usize)>,
    /// The part that comes after the current one.
    next: usize,
    current: (Virt, usize),
}

impl UserParts {
    fn one(start: Virt, len: usize) -> UserParts {
        UserParts { parts: Vec::new(), next: 0, current: (start, len) }
    }

    fn many(parts: Vec<(Virt, usize)>) -> UserParts {
        UserParts { parts, next: 0, current: (Virt(0), 0) }
    }

    /// Calls `transfer(address, done, count)` for stretches of up to `len` bytes together. `done` counts what was transferred,
    /// also when it ends with a fault.
    fn each(
        &mut self,
        len: usize,
        done: &mut usize,
        mut transfer: impl FnMut(Virt, usize, usize) -> Result<(), Fault>,
    ) -> Result<(), Errno> {
        let mut here = 0;
        while here < len {
            if self.current.1 == 0 {
                let Some(part) = self.parts.get(self.next) else { break };
                self.current = *part;
                self.next += 1;
                continue;
            }
            let (start, left) = self.current;
            let count = left.min(len - here);
            let result = transfer(start, here, count);
            let moved = result.map_or_else(|fault| fault.copied, |()| count);
            here += moved;
            *done += moved;
            self.current = (Virt(start.0.wrapping_add(moved as u64)), left - moved);
            if result.is_err() {
                return Err(Errno::EFAULT);
            }
        }
        Ok(())
    }
}

fn total(parts: &[(Virt, usize)]) -> usize {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.1))
}

enum Target<'a> {
    Kernel(&'a mut [u8]),
    User(UserParts),
}

/// Takes bytes.
pub struct Sink<'a> {
    target: Target<'a>,
    len: usize,
    done: usize,
}

impl<'a> Sink<'a> {
    pub fn kernel(buffer: &'a mut [u8]) -> Sink<'a> {
        let len = buffer.len();
        Sink { target: Target::Kernel(buffer), len, done: 0 }
    }

    /// `len` bytes of the running program's memory.
    pub fn user(start: Virt, len: usize) -> Sink<'a> {
        Sink { target: Target::User(UserParts::one(start, len)), len, done: 0 }
    }

    /// Several stretches of the running program's memory, filled in order.
    pub fn user_iovecs(parts: Vec<(Virt, usize)>) -> Sink<'a> {
        let len = total(&parts);
        Sink { target: Target::User(UserParts::many(parts)), len, done: 0 }
    }

    /// Bytes that still fit.
    pub fn remaining(&self) -> usize {
        self.len - self.done
    }

    /// Bytes put so far.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Lets no more than `bytes` bytes in from here on.
    pub fn limit(&mut self, bytes: usize) {
        self.len = self.len.min(self.done.saturating_add(bytes));
    }

    /// Puts `bytes`, as many as still fit. `EFAULT` when user memory cannot be written.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let count = bytes.len().min(self.remaining());
        match &mut self.target {
            Target::Kernel(buffer) => {
                buffer[self.done..self.done + count].copy_from_slice(&bytes[..count]);
                self.done += count;
                Ok(())
            }
            Target::User(parts) => {
                parts.each(count, &mut self.done, |to, from, count| usermem::copy_out(to, &bytes[from..from + count]))
            }
        }
    }

    /// Puts `len` bytes of `frame` from `offset` on, as many as still fit; they must lie in the frame.
    pub fn put_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<(), Errno> {
        let count = len.min(self.remaining());
        match &mut self.target {
            Target::Kernel(buffer) => {
                frame.read(offset, &mut buffer[self.done..self.done + count]);
                self.done += count;
                Ok(())
            }
            Target::User(parts) => {
                parts.each(count, &mut self.done, |to, from, count| usermem::frame_out(to, frame, offset + from, count))
            }
        }
    }

    /// Puts `len` zeros, as many as still fit.
    pub fn put_zeros(&mut self, len: usize) -> Result<(), Errno> {
        let count = len.min(self.remaining());
        match &mut self.target {
            Target::Kernel(buffer) => {
                buffer[self.done..self.done + count].fill(0);
                self.done += count;
                Ok(())
            }
            Target::User(parts) => parts.each(count, &mut self.done, |to, _, count| usermem::zero_out(to, count)),
        }
    }
}

enum Origin<'a> {
    Kernel(&'a [u8]),
    User(UserParts),
}

/// Gives bytes.
pub struct Source<'a> {
    origin: Origin<'a>,
    len: usize,
    done: usize,
}

impl<'a> Source<'a> {
    pub fn kernel(bytes: &'a [u8]) -> Source<'a> {
        Source { origin: Origin::Kernel(bytes), len: bytes.len(), done: 0 }
    }

    /// `len` bytes of the running program's memory.
    pub fn user(start: Virt, len: usize) -> Source<'a> {
        Source { origin: Origin::User(UserParts::one(start, len)), len, done: 0 }
    }

    /// Several stretches of the running program's memory, taken in order.
    pub fn user_iovecs(parts: Vec<(Virt, usize)>) -> Source<'a> {
        let len = total(&parts);
        Source { origin: Origin::User(UserParts::many(parts)), len, done: 0 }
    }

    /// Bytes that are still to be had.
    pub fn remaining(&self) -> usize {
        self.len - self.done
    }

    /// Bytes taken so far.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Gives no more than `bytes` bytes from here on.
    pub fn limit(&mut self, bytes: usize) {
        self.len = self.len.min(self.done.saturating_add(bytes));
    }

    /// Fills `into` as far as there are bytes and returns how many. `EFAULT` when user memory cannot be read; what was
    /// read before is in `into` and in [`done`](Source::done).
    pub fn take(&mut self, into: &mut [u8]) -> Result<usize, Errno> {
        let count = into.len().min(self.remaining());
        match &mut self.origin {
            Origin::Kernel(bytes) => {
                into[..count].copy_from_slice(&bytes[self.done..self.done + count]);
                self.done += count;
                Ok(count)
            }
            Origin::User(parts) => {
                parts
                    .each(count, &mut self.done, |from, to, count| usermem::copy_in(&mut into[to..to + count], from))?;
                Ok(count)
            }
        }
    }

    /// Like [`take`](Source::take), into `len` bytes of `frame` from `offset` on, which must lie in the frame.
    pub fn take_to_frame(&mut self, frame: &Frame, offset: usize, len: usize) -> Result<usize, Errno> {
        let count = len.min(self.remaining());
        match &mut self.origin {
            Origin::Kernel(bytes) => {
                frame.write(offset, &bytes[self.done..self.done + count]);
                self.done += count;
                Ok(count)
            }
            Origin::User(parts) => {
                parts.each(count, &mut self.done, |from, to, count| {
                    usermem::frame_in(frame, offset + to, from, count)
                })?;
                Ok(count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Sink, Source, finish};
    use aios_abi::Errno;

    #[test]
    fn kernel_memory_is_filled_in_order_and_no_further() {
        let mut buffer = [9; 6];
        let mut sink = Sink::kernel(&mut buffer);
        assert_eq!(sink.put(&[1, 2]), Ok(()));
        assert_eq!(sink.put_zeros(2), Ok(()));
        assert_eq!((sink.done(), sink.remaining()), (4, 2));
        assert_eq!(sink.put(&[3, 4, 5]), Ok(()));
        assert_eq!(sink.remaining(), 0);
        assert_eq!(buffer, [1, 2, 0, 0, 3, 4]);
    }

    #[test]
    fn a_source_ends() {
        let mut source = Source::kernel(&[1, 2, 3]);
        source.limit(2);
        let mut into = [0; 4];
        assert_eq!(source.take(&mut into), Ok(2));
        assert_eq!(source.take(&mut into), Ok(0));
        assert_eq!(into, [1, 2, 0, 0]);
    }

    #[test]
    fn a_partial_transfer_is_reported_as_its_count() {
        assert_eq!(finish(0, Err(Errno::EFAULT)), Err(Errno::EFAULT));
        assert_eq!(finish(3, Err(Errno::EFAULT)), Ok(3));
        assert_eq!(finish(0, Ok(())), Ok(0));
    }
}
