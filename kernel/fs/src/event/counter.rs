//! A counter to wait for (`eventfd(2)`).

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::open;
use kernel_mm::io::{Sink, Source};
use kernel_sync::{Poller, SpinLock, WaitQueue};

use crate::file::{File, FileOps, Position};
use crate::poll;

/// The largest value: one more is what no write can reach.
const MAX: u64 = u64::MAX - 1;

struct Counter {
    value: SpinLock<u64>,
    /// Reads take one instead of everything.
    semaphore: bool,
    /// Woken when the value becomes positive, and when it becomes smaller.
    raised: Arc<WaitQueue>,
    lowered: Arc<WaitQueue>,
}

/// A counter that starts with `value`; `flags` may hold `O_NONBLOCK`.
pub fn create(value: u32, semaphore: bool, flags: u32) -> Arc<File> {
    let counter =
        Counter { value: SpinLock::new(u64::from(value)), semaphore, raised: Arc::default(), lowered: Arc::default() };
    super::open(Arc::new(counter), b"anon_inode:[eventfd]", open::O_RDWR | flags & open::O_NONBLOCK)
}

impl Counter {
    fn take(&self) -> Option<u64> {
        let mut value = self.value.lock();
        if *value == 0 {
            return None;
        }
        let taken = if self.semaphore { 1 } else { *value };
        *value -= taken;
        Some(taken)
    }

    fn add(&self, amount: u64) -> Option<()> {
        let mut value = self.value.lock();
        *value = value.checked_add(amount).filter(|sum| *sum <= MAX)?;
        Some(())
    }
}

/// Tries, and unless the file is not to wait, waits until it works.
fn wait<T>(file: &File, queue: &WaitQueue, mut attempt: impl FnMut() -> Option<T>) -> Result<T, Errno> {
    match attempt() {
        Some(value) => Ok(value),
        None if file.is_nonblocking() => Err(Errno::EAGAIN),
        None => Ok(queue.wait_until(attempt)?),
    }
}

impl FileOps for Counter {
    fn read(&self, file: &File, _offset: &mut u64, sink: &mut Sink) -> Result<usize, Errno> {
        if sink.remaining() < size_of::<u64>() {
            return Err(Errno::EINVAL);
        }
        let value = wait(file, &self.raised, || self.take())?;
        self.lowered.wake_all();
        sink.put(&value.to_ne_bytes())?;
        Ok(size_of::<u64>())
    }

    fn write(&self, file: &File, _offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        let mut bytes = [0; size_of::<u64>()];
        if source.remaining() != bytes.len() {
            return Err(Errno::EINVAL);
        }
        source.take(&mut bytes)?;
        let amount = u64::from_ne_bytes(bytes);
        if amount > MAX {
            return Err(Errno::EINVAL);
        }
        wait(file, &self.lowered, || self.add(amount))?;
        self.raised.wake_all();
        Ok(bytes.len())
    }

    fn position(&self) -> Position {
        Position::Still
    }

    fn poll(&self, _file: &File, poller: Option<&mut Poller>) -> u32 {
        if let Some(poller) = poller {
            poller.watch(&self.raised);
            poller.watch(&self.lowered);
        }
        let value = *self.value.lock();
        let readable = if value > 0 { poll::READABLE } else { 0 };
        let writable = if value < MAX { poll::WRITABLE } else { 0 };
        readable | writable
    }

    fn allocate(&self, _file: &File, _mode: u32, _offset: u64, _length: u64) -> Result<(), Errno> {
        Err(Errno::ENODEV)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &File) -> Result<u64, Errno> {
        let mut bytes = [0; 8];
        file.read(&mut Sink::kernel(&mut bytes)).map(|_| u64::from_ne_bytes(bytes))
    }

    fn write(file: &File, value: u64) -> Result<usize, Errno> {
        file.write(&mut Source::kernel(&value.to_ne_bytes()))
    }

    #[test]
    fn a_read_takes_everything_and_a_semaphore_one() {
        kernel_hal::hosted::init(16 << 20);
        let plain = create(3, false, open::O_NONBLOCK);
        assert_eq!(write(&plain, 4), Ok(8));
        assert_eq!(read(&plain), Ok(7));
        assert_eq!(read(&plain), Err(Errno::EAGAIN));
        let semaphore = create(2, true, open::O_NONBLOCK);
        assert_eq!([read(&semaphore), read(&semaphore)], [Ok(1), Ok(1)]);
        assert_eq!(read(&semaphore), Err(Errno::EAGAIN));
    }

    #[test]
    fn a_full_counter_takes_no_more() {
        kernel_hal::hosted::init(16 << 20);
        let file = create(1, false, open::O_NONBLOCK);
        assert_eq!(write(&file, u64::MAX), Err(Errno::EINVAL));
        assert_eq!(write(&file, MAX - 1), Ok(8));
        assert_eq!(write(&file, 1), Err(Errno::EAGAIN));
        assert_eq!(file.poll(None), poll::READABLE);
    }

    #[test]
    fn a_reader_waits_for_a_writer() {
        kernel_hal::hosted::init(16 << 20);
        let file = create(0, false, 0);
        let other = file.clone();
        let writer = std::thread::spawn(move || write(&other, 5));
        assert_eq!(read(&file), Ok(5));
        assert_eq!(writer.join().unwrap(), Ok(8));
    }
}
