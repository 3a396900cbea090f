//! Transfers: reads come from the page cache, writes go to the server and then into the pages that are there.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::time::Duration;

use aios_abi::Errno;
use kernel_hal::addr::PAGE_SIZE;
use kernel_hal::frame::Frame;
use kernel_mm::io::{Sink, Source, finish};
use kernel_mm::{MemoryObject, PageSource};

use super::Mode;
use super::cache::fill;
use super::inode::RemoteInode;
use crate::file::{File, FileOps};
use crate::vfs::Inode;

/// Where the pages of a file come from. Weak: the inode owns its page cache. A page is fetched or written only on
/// behalf of someone who has the file open or mapped, and so keeps the inode.
pub(super) struct Pages(pub Weak<RemoteInode>);

impl PageSource for Pages {
    fn read_page(&self, index: u64, frame: &Frame) -> Result<(), Errno> {
        let inode = self.0.upgrade().ok_or(Errno::EIO)?;
        let windows = &inode.share.windows;
        if windows.take(inode.number(), index, frame) {
            return Ok(());
        }
        let handle = inode.reader()?;
        // As many whole pages as one message carries, from a boundary of that many.
        let pages = (handle.unit / PAGE_SIZE).max(1) as u64;
        let first = index - index % pages;
        let wanted = pages as usize * PAGE_SIZE;
        let offset = first.checked_mul(PAGE_SIZE as u64).ok_or(Errno::EFBIG)?;
        let mut bytes = Vec::new();
        while bytes.len() < wanted {
            let at = offset + bytes.len() as u64;
            if handle.fid.read(at, wanted - bytes.len(), &mut bytes)? == 0 {
                break;
            }
        }
        fill(frame, &bytes, (index - first) as usize);
        if bytes.len() > PAGE_SIZE {
            windows.put(inode.number(), first, bytes);
        }
        Ok(())
    }

    fn write_page(&self, index: u64, frame: &Frame, valid: usize) -> Result<(), Errno> {
        let inode = self.0.upgrade().ok_or(Errno::EIO)?;
        let handle = inode.writer()?;
        // Not on the stack: kernel stacks are small.
        let mut page = alloc::vec![0; PAGE_SIZE];
        frame.read(0, &mut page);
        let offset = index.checked_mul(PAGE_SIZE as u64).ok_or(Errno::EFBIG)?;
        let mut done = 0;
        while let Some(rest) = page.get(done..valid.min(PAGE_SIZE)).filter(|rest| !rest.is_empty()) {
            let count = handle.fid.write(offset + done as u64, rest)?;
            if count == 0 {
                return Err(Errno::EIO);
            }
            done += count;
        }
        inode.share.windows.forget(inode.number());
        inode.note_change(None);
        Ok(())
    }
}

/// An open file of the server.
pub(super) struct RemoteFile(pub Arc<RemoteInode>);

impl RemoteFile {
    /// Sends one piece, then puts it into the pages that are in memory.
    fn write_piece(&self, offset: u64, piece: &[u8]) -> Result<usize, Errno> {
        let inode = &self.0;
        let object = inode.object()?;
        let handle = inode.writer()?;
        let count = handle.fid.write(offset, piece)?;
        let end = offset.checked_add(count as u64).ok_or(Errno::EFBIG)?;
        inode.share.windows.forget(inode.number());
        let mut at = offset;
        while at < end {
            let skip = (at % PAGE_SIZE as u64) as usize;
            let len = (PAGE_SIZE - skip).min((end - at) as usize);
            let from = (at - offset) as usize;
            if let (Some(frame), Some(bytes)) = (object.lookup(at / PAGE_SIZE as u64), piece.get(from..from + len)) {
                frame.write(skip, bytes);
            }
            at += len as u64;
        }
        let size = inode.size().max(end);
        object.set_size(size);
        inode.note_change(Some(size));
        Ok(count)
    }
}

impl FileOps for RemoteFile {
    fn read(&self, _file: &File, offset: &mut u64, sink: &mut Sink) -> Result<usize, Errno> {
        let inode = &self.0;
        if *offset >= inode.size() {
            // The host may have appended. A file that was unlinked has the size last known.
            let _ = inode.refresh(Duration::from_secs(1));
        }
        let before = sink.done();
        let result = inode.object()?.read_at(*offset, inode.size(), sink);
        let moved = sink.done() - before;
        *offset += moved as u64;
        finish(moved, result)
    }

    fn write(&self, file: &File, offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        let inode = &self.0;
        if file.is_appending() {
            // A file that was unlinked has the size last known.
            let _ = inode.refresh(Duration::ZERO);
            *offset = inode.size();
        }
        let unit = inode.writer()?.unit;
        let mut piece = alloc::vec![0; unit.min(source.remaining())];
        let mut moved = 0;
        while source.remaining() > 0 {
            let before = source.done();
            let taken = source.take(&mut piece);
            let count = source.done() - before;
            let Some(bytes) = piece.get(..count) else { break };
            let mut sent = 0;
            while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
                match self.write_piece(*offset, rest) {
                    Ok(0) => return finish(moved, Err(Errno::EIO)),
                    Ok(count) => {
                        sent += count;
                        moved += count;
                        *offset += count as u64;
                    }
                    Err(error) => return finish(moved, Err(error)),
                }
            }
            if let Err(error) = taken {
                return finish(moved, Err(error));
            }
        }
        Ok(moved)
    }

    fn size(&self, _file: &File) -> Result<u64, Errno> {
        let _ = self.0.refresh(Duration::from_secs(1));
        Ok(self.0.size())
    }

    fn map(&self, _file: &File) -> Result<Arc<MemoryObject>, Errno> {
        self.0.object().cloned()
    }

    fn sync(&self, file: &File, data_only: bool) -> Result<(), Errno> {
        if self.0.share.mode == Mode::Image {
            return Ok(());
        }
        self.0.object()?.write_back()?;
        let handle = if file.is_writable() { self.0.writer()? } else { self.0.reader()? };
        handle.fid.sync(data_only)
    }

    fn release(&self, _file: &File) {
        // What programs wrote through mappings must not wait for a sync that may never come. An error has nobody to
        // be told to: close(2) of the last descriptor may be an exit.
        if self.0.share.mode == Mode::Share
            && let Ok(object) = self.0.object()
            && object.is_dirty()
            && let Err(error) = object.write_back()
        {
            log::warn!("9p: pages of a closed file could not be written: {error}");
        }
    }
}
