//! Open files of an overlay: each transfer goes to the copy once there is one, to the lower file until then.

use alloc::sync::Arc;

use aios_abi::Errno;
use kernel_mm::MemoryObject;
use kernel_mm::io::{Sink, Source};

use super::inode::OverlayInode;
use crate::file::{File, FileOps};
use crate::vfs::OpenRequest;

impl OverlayInode {
    fn ops(&self) -> Result<Arc<dyn FileOps>, Errno> {
        if let Some(upper) = self.upper() {
            return Ok(upper);
        }
        if let Some(lower) = &*self.lower_ops.lock() {
            return Ok(lower.clone());
        }
        let lower = self.lower.as_ref().ok_or(Errno::EIO)?.inode().clone();
        let opened = lower.open(&OpenRequest { read: true, ..OpenRequest::default() })?;
        let mut known = self.lower_ops.lock();
        let kept = known.get_or_insert_with(|| opened.clone()).clone();
        drop(known);
        Ok(kept)
    }
}

impl FileOps for OverlayInode {
    fn read(&self, file: &File, offset: &mut u64, sink: &mut Sink) -> Result<usize, Errno> {
        self.ops()?.read(file, offset, sink)
    }

    fn write(&self, file: &File, offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        let upper = self.copy_up(u64::MAX)?;
        FileOps::write(&*upper, file, offset, source)
    }

    fn size(&self, file: &File) -> Result<u64, Errno> {
        self.ops()?.size(file)
    }

    fn seek_extent(&self, file: &File, from: u64, data: bool) -> Result<u64, Errno> {
        self.ops()?.seek_extent(file, from, data)
    }

    fn map(&self, file: &File) -> Result<Arc<MemoryObject>, Errno> {
        self.ops()?.map(file)
    }

    fn sync(&self, _file: &File, _data_only: bool) -> Result<(), Errno> {
        // What was written is in memory and goes with the overlay.
        Ok(())
    }

    fn allocate(&self, file: &File, mode: u32, offset: u64, length: u64) -> Result<(), Errno> {
        let upper = self.copy_up(u64::MAX)?;
        upper.allocate(file, mode, offset, length)
    }
}
