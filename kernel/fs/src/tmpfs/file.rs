//! Contents of regular files in memory: an anonymous memory object and a size.
//!
//! `changing` serialises writes and size changes; readers take no lock. A write puts its bytes first and then tells
//! the size, so a reader never sees a size without its bytes.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use aios_abi::Errno;
use aios_abi::linux::consts::fallocate;
use kernel_hal::addr::PAGE_SIZE;
use kernel_mm::io::{Sink, Source, finish};
use kernel_mm::{Account, MemoryObject};
use kernel_sync::Mutex;

use super::Shared;
use super::node::Node;
use crate::file::{File, FileOps};

/// The largest file, bytes.
const MAX_SIZE: u64 = i64::MAX as u64;

pub(super) struct Content {
    object: Arc<MemoryObject>,
    size: AtomicU64,
    /// Pages that the instance has counted for this file.
    counted: AtomicU64,
    changing: Mutex<()>,
}

impl Content {
    pub fn new(account: &Arc<Account>) -> Content {
        Content {
            object: MemoryObject::anonymous(account),
            size: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            changing: Mutex::new(()),
        }
    }

    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub fn pages(&self) -> u64 {
        self.object.pages() as u64
    }

    pub fn counted(&self) -> u64 {
        self.counted.load(Ordering::Relaxed)
    }

    /// Brings the instance's count up to date. The caller holds `changing`.
    fn recount(&self, shared: &Shared) {
        let now = self.pages();
        shared.count_pages(self.counted.swap(now, Ordering::Relaxed), now);
    }

    pub fn set_size(&self, shared: &Shared, size: u64) -> Result<(), Errno> {
        if size > MAX_SIZE {
            return Err(Errno::EFBIG);
        }
        let _guard = self.changing.lock();
        let before = self.size.swap(size, Ordering::AcqRel);
        if size < before {
            self.object.truncate(size);
            self.recount(shared);
        } else {
            self.object.set_size(size);
        }
        Ok(())
    }

    fn write(&self, shared: &Shared, offset: &mut u64, append: bool, source: &mut Source) -> Result<usize, Errno> {
        let _guard = self.changing.lock();
        if append {
            *offset = self.size();
        }
        if source.remaining() == 0 {
            return Ok(0);
        }
        self.limit_to_room(shared, *offset, source)?;
        let before = source.done();
        let result = self.object.write_at(*offset, source);
        let moved = source.done() - before;
        *offset += moved as u64;
        if *offset > self.size() {
            self.size.store(*offset, Ordering::Release);
            self.object.set_size(*offset);
        }
        self.recount(shared);
        finish(moved, result)
    }

    /// Cuts a write short where the instance's size limit does not let it go on: `ENOSPC` at its first page.
    fn limit_to_room(&self, shared: &Shared, offset: u64, source: &mut Source) -> Result<(), Errno> {
        let mut room = shared.room();
        let last = offset.saturating_add(source.remaining() as u64 - 1) / PAGE_SIZE as u64;
        let first = offset / PAGE_SIZE as u64;
        if last - first < room {
            return Ok(());
        }
        for page in first..=last {
            if self.object.lookup(page).is_some() {
                continue;
            }
            if room == 0 {
                let fits = (page * PAGE_SIZE as u64).saturating_sub(offset);
                if fits == 0 {
                    return Err(Errno::ENOSPC);
                }
                source.limit(usize::try_from(fits).unwrap_or(usize::MAX));
                return Ok(());
            }
            room -= 1;
        }
        Ok(())
    }

    /// Makes the pages of a range exist.
    fn reserve(&self, shared: &Shared, offset: u64, end: u64) -> Result<(), Errno> {
        let pages = offset / PAGE_SIZE as u64..end.div_ceil(PAGE_SIZE as u64);
        if shared.room() < pages.end - pages.start {
            return Err(Errno::ENOSPC);
        }
        let outcome = pages.into_iter().try_for_each(|page| self.object.page(page, true).map(drop));
        self.recount(shared);
        outcome
    }

    /// Zeroes a range; its whole pages are given back.
    fn punch(&self, shared: &Shared, offset: u64, end: u64) -> Result<(), Errno> {
        let page = PAGE_SIZE as u64;
        let end = end.min(self.size().next_multiple_of(page));
        let (first, last) = (offset.div_ceil(page), end / page);
        if first < last {
            self.object.discard(first, last);
        }
        let mut at = offset;
        while at < end {
            let index = at / page;
            let stop = end.min((index + 1) * page);
            if !(first..last).contains(&index)
                && let Some(frame) = self.object.lookup(index)
            {
                frame.zero((at % page) as usize..((stop - 1) % page) as usize + 1);
            }
            at = if (first..last).contains(&index) { last * page } else { stop };
        }
        self.recount(shared);
        Ok(())
    }
}

impl Node {
    /// The memory of a regular file.
    pub(crate) fn object(&self) -> Result<Arc<MemoryObject>, Errno> {
        Ok(self.content()?.object.clone())
    }

    /// Writes to a file from inside the kernel.
    pub(crate) fn write_bytes(&self, mut offset: u64, bytes: &[u8]) -> Result<usize, Errno> {
        self.content()?.write(&self.shared, &mut offset, false, &mut Source::kernel(bytes))
    }
}

impl FileOps for Node {
    fn read(&self, _file: &File, offset: &mut u64, sink: &mut Sink) -> Result<usize, Errno> {
        let content = self.content()?;
        let before = sink.done();
        let result = content.object.read_at(*offset, content.size(), sink);
        let moved = sink.done() - before;
        *offset += moved as u64;
        self.note_access();
        finish(moved, result)
    }

    fn write(&self, file: &File, offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        let moved = self.content()?.write(&self.shared, offset, file.is_appending(), source)?;
        self.touch();
        Ok(moved)
    }

    fn size(&self, _file: &File) -> Result<u64, Errno> {
        Ok(self.content()?.size())
    }

    fn seek_extent(&self, _file: &File, from: u64, data: bool) -> Result<u64, Errno> {
        let content = self.content()?;
        let size = content.size();
        if from >= size {
            return Err(Errno::ENXIO);
        }
        let page = PAGE_SIZE as u64;
        for index in from / page..size.div_ceil(page) {
            if content.object.lookup(index).is_some() == data {
                return Ok(from.max(index * page));
            }
            if data && index % 4096 == 0 && content.pages() == 0 {
                break;
            }
        }
        if data { Err(Errno::ENXIO) } else { Ok(size) }
    }

    fn map(&self, _file: &File) -> Result<Arc<MemoryObject>, Errno> {
        self.object()
    }

    fn sync(&self, _file: &File, _data_only: bool) -> Result<(), Errno> {
        Ok(())
    }

    fn allocate(&self, _file: &File, mode: u32, offset: u64, length: u64) -> Result<(), Errno> {
        let content = self.content()?;
        let end = offset.checked_add(length).filter(|end| *end <= MAX_SIZE).ok_or(Errno::EFBIG)?;
        let keep = mode & fallocate::FALLOC_FL_KEEP_SIZE != 0;
        let _guard = content.changing.lock();
        match mode & !fallocate::FALLOC_FL_KEEP_SIZE {
            0 => content.reserve(&self.shared, offset, end)?,
            fallocate::FALLOC_FL_PUNCH_HOLE if keep => content.punch(&self.shared, offset, end)?,
            _ => return Err(Errno::EOPNOTSUPP),
        }
        if !keep && end > content.size() {
            content.size.store(end, Ordering::Release);
            content.object.set_size(end);
        }
        self.touch();
        Ok(())
    }
}
