//! Pipes and fifos (`pipe(7)`, `fifo(7)`).
//!
//! A [`Pipe`] is the channel; a [`PipeEnd`] is what a descriptor holds, and counts as a reader or writer as long as
//! it exists. A write to a pipe without readers fails with `EPIPE`; raising `SIGPIPE` is the caller's business.
//!
//! Lock order: `ring` (sleeps; held over user copies), then the wait queues. Waiters look only at the atomics.

mod ring;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use aios_abi::Errno;
use aios_abi::linux::consts::{PIPE_BUF, ioctl, open};
use kernel_hal::addr::{PAGE_SIZE, Virt};
use kernel_hal::usermem;
use kernel_mm::Account;
use kernel_mm::io::{Sink, Source};
use kernel_sync::{Mutex, Poller, WaitQueue};

use crate::file::{File, FileOps, Position};
use crate::poll;
use crate::types::{Changes, FileType, Metadata, Ownership, StatFs, Timestamp};
use crate::vfs::{self, Inode, OpenRequest};
use ring::Ring;

/// Frames of a new pipe: 64 KiB.
const DEFAULT_PAGES: usize = 16;
/// The largest pipe that anyone may ask for, bytes (`/proc/sys/fs/pipe-max-size`).
pub const MAX_CAPACITY: usize = 1 << 20;

/// A channel of bytes.
pub struct Pipe {
    /// A fifo: opening it waits for the other side. A pipe without a name can be opened too, through `/proc/PID/fd`.
    named: bool,
    ring: Mutex<Ring>,
    /// Bytes in the ring and its capacity, as of the last change.
    filled: AtomicUsize,
    capacity: AtomicUsize,
    readers: AtomicUsize,
    writers: AtomicUsize,
    /// Times that an end was opened, so that an opening that waits sees one that came and went.
    readers_ever: AtomicU64,
    writers_ever: AtomicU64,
    data: Arc<WaitQueue>,
    space: Arc<WaitQueue>,
}

impl Pipe {
    /// What a fifo leads to; its frames are charged to `account`.
    pub fn fifo(account: &Arc<Account>) -> Arc<Pipe> {
        Pipe::new(account, true)
    }

    fn new(account: &Arc<Account>, named: bool) -> Arc<Pipe> {
        Arc::new(Pipe {
            named,
            ring: Mutex::new(Ring::new(DEFAULT_PAGES, account)),
            filled: AtomicUsize::new(0),
            capacity: AtomicUsize::new(DEFAULT_PAGES * PAGE_SIZE),
            readers: AtomicUsize::new(0),
            writers: AtomicUsize::new(0),
            readers_ever: AtomicU64::new(0),
            writers_ever: AtomicU64::new(0),
            data: Arc::default(),
            space: Arc::default(),
        })
    }

    fn end(self: &Arc<Pipe>, read: bool, write: bool) -> Arc<PipeEnd> {
        if read {
            self.readers.fetch_add(1, Ordering::AcqRel);
            self.readers_ever.fetch_add(1, Ordering::AcqRel);
            self.space.wake_all();
        }
        if write {
            self.writers.fetch_add(1, Ordering::AcqRel);
            self.writers_ever.fetch_add(1, Ordering::AcqRel);
            self.data.wake_all();
        }
        Arc::new(PipeEnd { pipe: self.clone(), read, write })
    }

    /// Opens an end. With a fifo this waits for the other side unless told not to, and a writer who may not wait needs a
    /// reader (`ENXIO`).
    pub fn open(self: &Arc<Pipe>, request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
        if !self.named {
            return Ok(self.end(request.read, request.write));
        }
        if request.write && !request.read && request.nonblocking && self.readers.load(Ordering::Acquire) == 0 {
            return Err(Errno::ENXIO);
        }
        let (readers, writers) = (self.readers_ever.load(Ordering::Acquire), self.writers_ever.load(Ordering::Acquire));
        let end = self.end(request.read, request.write);
        if request.nonblocking || request.read && request.write {
            return Ok(end);
        }
        if request.read {
            let met = || {
                let here =
                    self.writers.load(Ordering::Acquire) > 0 || self.writers_ever.load(Ordering::Acquire) != writers;
                here.then_some(())
            };
            self.data.wait_until(met)?;
        } else {
            let met = || {
                let here =
                    self.readers.load(Ordering::Acquire) > 0 || self.readers_ever.load(Ordering::Acquire) != readers;
                here.then_some(())
            };
            self.space.wait_until(met)?;
        }
        Ok(end)
    }

    /// Bytes that can be read now.
    pub fn len(&self) -> usize {
        self.filled.load(Ordering::Acquire)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `F_GETPIPE_SZ`, bytes.
    pub fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Acquire)
    }

    /// `F_SETPIPE_SZ`: rounds up to a power of two of pages and returns the result. `EBUSY` when the contents do not
    /// fit; `EPERM` above [`MAX_CAPACITY`].
    pub fn set_capacity(&self, bytes: usize) -> Result<usize, Errno> {
        if bytes > MAX_CAPACITY {
            return Err(Errno::EPERM);
        }
        let pages = bytes.div_ceil(PAGE_SIZE).max(1).next_power_of_two();
        let mut ring = self.ring.lock();
        ring.resize(pages)?;
        self.capacity.store(ring.capacity(), Ordering::Release);
        drop(ring);
        self.space.wake_all();
        Ok(pages * PAGE_SIZE)
    }

    fn room(&self) -> usize {
        self.capacity().saturating_sub(self.len())
    }

    /// What a fifo holds does not outlive its last end.
    fn forget_unused(&self) {
        let is_unused = || self.readers.load(Ordering::Acquire) == 0 && self.writers.load(Ordering::Acquire) == 0;
        if self.is_empty() || !is_unused() {
            return;
        }
        let mut ring = self.ring.lock();
        // Opened again meanwhile: then it was never without an end for long enough to tell.
        if is_unused() {
            ring.clear();
            self.filled.store(0, Ordering::Release);
        }
    }

    /// Reads what there is; waits for something when there is nothing. 0 when there are no writers any more.
    fn read(&self, sink: &mut Sink, nonblocking: bool) -> Result<usize, Errno> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        loop {
            let mut ring = self.ring.lock();
            if ring.len() > 0 {
                let moved = ring.drain(sink);
                let left = ring.len();
                self.filled.store(left, Ordering::Release);
                drop(ring);
                self.space.wake_one();
                if left > 0 {
                    // Another reader may have been woken for what this one took only a part of.
                    self.data.wake_one();
                }
                return moved;
            }
            drop(ring);
            if self.writers.load(Ordering::Acquire) == 0 {
                // A writer's last bytes come before its leaving.
                if !self.is_empty() {
                    continue;
                }
                return Ok(0);
            }
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            self.data.wait_until(|| (!self.is_empty() || self.writers.load(Ordering::Acquire) == 0).then_some(()))?;
        }
    }

    /// Writes everything, waiting for room; up to `PIPE_BUF` bytes in one piece.
    fn write(&self, source: &mut Source, nonblocking: bool) -> Result<usize, Errno> {
        let whole = source.remaining();
        if whole == 0 {
            return Ok(0);
        }
        let needed = if whole <= PIPE_BUF { whole } else { 1 };
        let mut moved = 0;
        loop {
            let partly = |error| if moved > 0 { Ok(moved) } else { Err(error) };
            let mut ring = self.ring.lock();
            if self.readers.load(Ordering::Acquire) == 0 {
                return partly(Errno::EPIPE);
            }
            if ring.room() >= needed {
                let outcome = ring.fill(source);
                self.filled.store(ring.len(), Ordering::Release);
                let room = ring.room();
                drop(ring);
                self.data.wake_one();
                match outcome {
                    Ok(count) => moved += count,
                    Err(error) => return partly(error),
                }
                if moved >= whole || source.remaining() == 0 {
                    if room > 0 {
                        self.space.wake_one();
                    }
                    return Ok(moved);
                }
                if room > 0 {
                    // Memory ran out or the source could not be read on.
                    return Ok(moved);
                }
                continue;
            }
            drop(ring);
            if nonblocking {
                return partly(Errno::EAGAIN);
            }
            let ready = || (self.room() >= needed || self.readers.load(Ordering::Acquire) == 0).then_some(());
            if let Err(interrupted) = self.space.wait_until(ready) {
                return partly(interrupted.into());
            }
        }
    }
}

/// One end of a pipe, or both, as a descriptor holds it.
pub struct PipeEnd {
    pipe: Arc<Pipe>,
    read: bool,
    write: bool,
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        if self.read && self.pipe.readers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.pipe.space.wake_all();
        }
        if self.write && self.pipe.writers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.pipe.data.wake_all();
        }
        self.pipe.forget_unused();
    }
}

impl FileOps for PipeEnd {
    fn read(&self, file: &File, _offset: &mut u64, sink: &mut Sink) -> Result<usize, Errno> {
        self.pipe.read(sink, file.is_nonblocking())
    }

    fn write(&self, file: &File, _offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        self.pipe.write(source, file.is_nonblocking())
    }

    fn position(&self) -> Position {
        Position::Stream
    }

    fn poll(&self, _file: &File, poller: Option<&mut Poller>) -> u32 {
        let pipe = &self.pipe;
        if let Some(poller) = poller {
            if self.read {
                poller.watch(&pipe.data);
            }
            if self.write {
                poller.watch(&pipe.space);
            }
        }
        let mut ready = 0;
        if self.read {
            if !pipe.is_empty() {
                ready |= poll::READABLE;
            }
            if pipe.writers.load(Ordering::Acquire) == 0 && pipe.writers_ever.load(Ordering::Acquire) > 0 {
                ready |= poll::HANGUP;
            }
        }
        if self.write {
            if pipe.room() >= PIPE_BUF {
                ready |= poll::WRITABLE;
            }
            if pipe.readers.load(Ordering::Acquire) == 0 {
                ready |= poll::ERROR;
            }
        }
        ready
    }

    fn ioctl(&self, _file: &File, command: u32, argument: Virt) -> Result<usize, Errno> {
        if command != ioctl::FIONREAD {
            return Err(Errno::ENOTTY);
        }
        let count = u32::try_from(self.pipe.len()).unwrap_or(u32::MAX);
        usermem::copy_out(argument, &count.to_ne_bytes()).map_err(|_| Errno::EFAULT)?;
        Ok(0)
    }

    fn pipe(&self) -> Option<&Arc<Pipe>> {
        Some(&self.pipe)
    }
}

/// The inode of a pipe without a name.
struct PipeInode {
    pipe: Arc<Pipe>,
    number: u64,
    owner: u32,
    group: u32,
    made: Timestamp,
}

impl Inode for PipeInode {
    fn kind(&self) -> FileType {
        FileType::Fifo
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(vfs::unplaced_metadata(self, self.made))
    }

    fn pipe(&self) -> Option<Arc<Pipe>> {
        Some(self.pipe.clone())
    }

    fn ownership(&self) -> Ownership {
        Ownership { owner: self.owner, group: self.group, permissions: 0o600 }
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn set_attributes(&self, _changes: &Changes) -> Result<(), Errno> {
        Ok(())
    }

    fn stat_fs(&self) -> Result<StatFs, Errno> {
        Ok(vfs::unplaced_stat_fs(aios_abi::linux::consts::fs_magic::PIPEFS_MAGIC as u32))
    }
}

/// `pipe2(2)`: the end to read from and the end to write to. `flags` may hold `O_NONBLOCK` and `O_DIRECT`; frames are
/// charged to `account`.
pub fn create(account: &Arc<Account>, owner: u32, group: u32, flags: u32) -> (Arc<File>, Arc<File>) {
    let pipe = Pipe::new(account, false);
    let inode = PipeInode { pipe: pipe.clone(), number: vfs::next_number(), owner, group, made: Timestamp::now() };
    let path = vfs::anonymous_path(Arc::new(inode), b"pipe:");
    let status = flags & (open::O_NONBLOCK | open::O_DIRECT);
    let read = File::new(path.clone(), pipe.end(true, false), open::O_RDONLY | status);
    let write = File::new(path, pipe.end(false, true), open::O_WRONLY | status);
    (read, write)
}
