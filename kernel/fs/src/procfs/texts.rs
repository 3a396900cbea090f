//! Files whose contents are made when they are read.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use aios_abi::Errno;
use kernel_mm::io::{Sink, Source, finish};
use kernel_mm::{KernelCharge, charge_kernel_bytes};
use kernel_sync::Mutex;

use super::entries::Entry;
use super::subject::owned;
use super::{Instance, Subject, SubjectFile, of_root, stat_fs};
use crate::file::{File, FileOps};
use crate::types::{Changes, FileType, Metadata, Ownership, StatFs, Timestamp};
use crate::vfs::{Inode, OpenRequest};

/// The most that one write to a file here may have, bytes.
const MAX_WRITE: usize = 4096;

/// Where a text comes from.
pub(super) trait Content: Any + Send + Sync {
    fn number(&self) -> u64;
    fn ownership(&self) -> Ownership;
    /// When what the text is about began; `None` for what was always there.
    fn since(&self) -> Option<Timestamp>;
    fn open(&self, request: &OpenRequest) -> Result<(), Errno>;
    fn read(&self, instance: &Instance) -> Result<Vec<u8>, Errno>;
    fn write(&self, bytes: &[u8]) -> Result<(), Errno>;
}

/// Of a registered file.
pub(super) struct MachineText {
    pub number: u64,
    pub entry: Arc<Entry>,
}

impl Content for MachineText {
    fn number(&self) -> u64 {
        self.number
    }

    fn ownership(&self) -> Ownership {
        of_root(self.entry.permissions)
    }

    fn since(&self) -> Option<Timestamp> {
        None
    }

    fn open(&self, request: &OpenRequest) -> Result<(), Errno> {
        if request.write && self.entry.fixed { Err(Errno::EACCES) } else { Ok(()) }
    }

    fn read(&self, instance: &Instance) -> Result<Vec<u8>, Errno> {
        (self.entry.read)(&*instance.processes)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Errno> {
        self.entry.write.as_ref().map_or(Err(Errno::EIO), |write| write(bytes))
    }
}

/// Of a process or thread.
pub(super) struct SubjectText {
    pub subject: Arc<dyn Subject>,
    pub file: SubjectFile,
    pub number: u64,
    pub permissions: u16,
}

impl Content for SubjectText {
    fn number(&self) -> u64 {
        self.number
    }

    fn ownership(&self) -> Ownership {
        owned(&*self.subject, self.permissions)
    }

    fn since(&self) -> Option<Timestamp> {
        Some(self.subject.started())
    }

    fn open(&self, _request: &OpenRequest) -> Result<(), Errno> {
        self.subject.check(self.file)
    }

    fn read(&self, _instance: &Instance) -> Result<Vec<u8>, Errno> {
        self.subject.read(self.file)
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Errno> {
        self.subject.write(self.file, bytes)
    }
}

/// A file with a text.
pub(super) struct TextFile<C> {
    instance: Arc<Instance>,
    content: C,
}

impl<C: Content> TextFile<C> {
    pub fn new(instance: Arc<Instance>, content: C) -> TextFile<C> {
        TextFile { instance, content }
    }
}

impl<C: Content> Inode for TextFile<C> {
    fn kind(&self) -> FileType {
        FileType::Regular
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let since = self.content.since().unwrap_or(self.instance.made);
        Ok(self.instance.metadata(self.number(), FileType::Regular, self.ownership(), since))
    }

    fn ownership(&self) -> Ownership {
        self.content.ownership()
    }

    fn number(&self) -> u64 {
        self.content.number()
    }

    fn set_attributes(&self, _changes: &Changes) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Shells open with `O_TRUNC` what they are to write to.
    fn set_size(&self, _size: u64) -> Result<(), Errno> {
        Ok(())
    }

    fn open(self: Arc<Self>, request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
        self.content.open(request)?;
        Ok(Arc::new(OpenText { file: self, text: Mutex::new(None) }))
    }

    fn stat_fs(&self) -> Result<StatFs, Errno> {
        Ok(stat_fs())
    }
}

/// A text and the memory it takes.
struct Kept {
    bytes: Vec<u8>,
    _charge: KernelCharge,
}

struct OpenText<C> {
    file: Arc<TextFile<C>>,
    text: Mutex<Option<Arc<Kept>>>,
}

impl<C: Content> OpenText<C> {
    /// The text as of the last read at its start; made anew for such a read.
    fn text(&self, anew: bool) -> Result<Arc<Kept>, Errno> {
        let mut text = self.text.lock();
        if let Some(kept) = text.as_ref().filter(|_| !anew) {
            return Ok(kept.clone());
        }
        let instance = &self.file.instance;
        let bytes = self.file.content.read(instance)?;
        let charge = charge_kernel_bytes(&instance.processes.account(), bytes.len())?;
        let kept = Arc::new(Kept { bytes, _charge: charge });
        *text = Some(kept.clone());
        Ok(kept)
    }
}

impl<C: Content> FileOps for OpenText<C> {
    fn read(&self, _file: &File, offset: &mut u64, sink: &mut Sink) -> Result<usize, Errno> {
        if sink.remaining() == 0 {
            return Ok(0);
        }
        let text = self.text(*offset == 0)?;
        let from = usize::try_from(*offset).unwrap_or(usize::MAX);
        let Some(rest) = text.bytes.get(from..).filter(|rest| !rest.is_empty()) else { return Ok(0) };
        let before = sink.done();
        let result = sink.put(rest.get(..sink.remaining()).unwrap_or(rest));
        let moved = sink.done() - before;
        *offset += moved as u64;
        finish(moved, result)
    }

    fn write(&self, _file: &File, offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        let mut bytes = [0; MAX_WRITE];
        let wanted = source.remaining().min(MAX_WRITE);
        let count = source.take(bytes.get_mut(..wanted).ok_or(Errno::EINVAL)?)?;
        self.file.content.write(bytes.get(..count).unwrap_or_default())?;
        *offset += count as u64;
        Ok(count)
    }

    /// Nobody knows before reading.
    fn size(&self, _file: &File) -> Result<u64, Errno> {
        Ok(0)
    }
}

/// `/proc/PID/mem`: the memory of a process, at its addresses.
pub(super) struct MemoryFile {
    pub instance: Arc<Instance>,
    pub subject: Arc<dyn Subject>,
    pub number: u64,
    pub permissions: u16,
}

impl Inode for MemoryFile {
    fn kind(&self) -> FileType {
        FileType::Regular
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let started = self.subject.started();
        Ok(self.instance.metadata(self.number, FileType::Regular, self.ownership(), started))
    }

    fn ownership(&self) -> Ownership {
        owned(&*self.subject, self.permissions)
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn set_attributes(&self, _changes: &Changes) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    fn set_size(&self, _size: u64) -> Result<(), Errno> {
        Ok(())
    }

    fn open(self: Arc<Self>, _request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
        self.subject.check(SubjectFile::Memory)?;
        Ok(Arc::new(OpenMemory(self.subject.clone())))
    }

    fn stat_fs(&self) -> Result<StatFs, Errno> {
        Ok(stat_fs())
    }
}

struct OpenMemory(Arc<dyn Subject>);

impl FileOps for OpenMemory {
    fn read(&self, _file: &File, offset: &mut u64, sink: &mut Sink) -> Result<usize, Errno> {
        let before = sink.done();
        let result = self.0.read_memory(*offset, sink);
        let moved = sink.done() - before;
        *offset += moved as u64;
        finish(moved, result)
    }

    fn write(&self, _file: &File, offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        let moved = self.0.write_memory(*offset, source)?;
        *offset += moved as u64;
        Ok(moved)
    }

    fn size(&self, _file: &File) -> Result<u64, Errno> {
        Ok(0)
    }
}
