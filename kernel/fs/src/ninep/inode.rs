//! Files of the server as inodes.
//!
//! Attributes are kept with the time they were asked for. In a share they are asked for again when that was more than
//! [`FRESH`] ago; a file that is open but was unlinked answers with the last ones known.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::time::Duration;

use aios_abi::Errno;
use aios_abi::linux::consts::{at_remove, fs_magic, open};
use kernel_hal::time::{self, Instant};
use kernel_mm::MemoryObject;
use kernel_sync::{Mutex, SpinLock};

use super::client::{Fid, Opened};
use super::file::{Pages, RemoteFile};
use super::wire::{Attributes, SetAttributes};
use super::{Mode, Share};
use crate::file::FileOps;
use crate::pipe::Pipe;
use crate::types::{
    Changes, DeviceNumber, DirEntry, DirSink, FileType, Metadata, NewInode, Ownership, RenameMode, StatFs,
};
use crate::vfs::{Caching, Inode, OpenRequest};

/// How long what the server said of a share's file is believed.
const FRESH: Duration = Duration::from_secs(1);

/// What the server last said.
struct Known {
    attributes: Attributes,
    /// `None` when it is known to be out of date.
    at: Option<Instant>,
    /// Changed by us since: other times do not mean that someone else changed it.
    ours: bool,
}

/// Handles for transfers, shared by all openings.
#[derive(Default)]
pub(super) struct Handles {
    pub read: Option<Arc<Opened>>,
    pub write: Option<Arc<Opened>>,
}

/// A file of the server.
pub(super) struct RemoteInode {
    pub share: Arc<Share>,
    kind: FileType,
    number: u64,
    pub fid: Fid,
    known: SpinLock<Known>,
    pub handles: Mutex<Handles>,
    /// The page cache of a regular file.
    object: Option<Arc<MemoryObject>>,
    pipe: Option<Arc<Pipe>>,
    /// Where a symbolic link leads, once it was asked for: another target is another inode.
    target: SpinLock<Option<Arc<[u8]>>>,
}

impl RemoteInode {
    pub fn new(share: &Arc<Share>, fid: Fid, attributes: &Attributes) -> Result<Arc<RemoteInode>, Errno> {
        let kind = FileType::from_mode(attributes.mode).ok_or(Errno::EIO)?;
        Ok(Arc::new_cyclic(|this: &Weak<RemoteInode>| {
            let object = (kind == FileType::Regular).then(|| {
                let object = MemoryObject::with_source(Arc::new(Pages(this.clone())), &share.account);
                object.set_size(attributes.size);
                object
            });
            RemoteInode {
                share: share.clone(),
                kind,
                number: attributes.qid.path,
                fid,
                known: SpinLock::new(Known { attributes: *attributes, at: Some(time::now()), ours: false }),
                handles: Mutex::default(),
                object,
                target: SpinLock::new(None),
                pipe: (kind == FileType::Fifo).then(|| Pipe::fifo(&share.account)),
            }
        }))
    }

    fn from_inode(inode: &Arc<dyn Inode>) -> Result<Arc<RemoteInode>, Errno> {
        let any: Arc<dyn Any + Send + Sync> = inode.clone();
        any.downcast().map_err(|_| Errno::EXDEV)
    }

    /// False when the server's number is used for another kind of file by now; otherwise takes the attributes over.
    pub fn accepts(&self, attributes: &Attributes) -> bool {
        if FileType::from_mode(attributes.mode) != Some(self.kind) {
            return false;
        }
        self.update(attributes);
        true
    }

    /// Takes over what the server says, dropping pages when someone else has changed the file.
    fn update(&self, attributes: &Attributes) {
        let mut known = self.known.lock();
        let before = &known.attributes;
        let same = before.qid.version == attributes.qid.version
            && before.modified == attributes.modified
            && before.size == attributes.size;
        let changed_there = !same && !known.ours;
        *known = Known { attributes: *attributes, at: Some(time::now()), ours: false };
        drop(known);
        if let Some(object) = &self.object
            && self.share.mode == Mode::Share
        {
            if changed_there {
                self.share.windows.forget(self.number);
                object.truncate(0);
            }
            if object.size() > attributes.size {
                object.truncate(attributes.size);
            } else {
                object.set_size(attributes.size);
            }
        }
    }

    /// Asks the server for attributes, unless they are known well enough.
    pub fn refresh(&self, at_most: Duration) -> Result<(), Errno> {
        if self.share.mode == Mode::Image {
            return Ok(());
        }
        let known_at = self.known.lock().at;
        if !at_most.is_zero() && known_at.is_some_and(|at| time::now().since(at) <= at_most) {
            return Ok(());
        }
        let attributes = self.fid.attributes()?;
        if attributes.qid.path != self.number || FileType::from_mode(attributes.mode) != Some(self.kind) {
            return Err(Errno::ESTALE);
        }
        self.update(&attributes);
        Ok(())
    }

    /// Notes a change that was made through us; `size` when it is known.
    pub fn note_change(&self, size: Option<u64>) {
        let mut known = self.known.lock();
        known.ours = true;
        known.at = None;
        known.attributes.size = size.unwrap_or(known.attributes.size);
    }

    pub fn size(&self) -> u64 {
        self.known.lock().attributes.size
    }

    pub fn object(&self) -> Result<&Arc<MemoryObject>, Errno> {
        self.object.as_ref().ok_or(Errno::EINVAL)
    }

    /// The handle for reading, opened when first needed.
    pub fn reader(&self) -> Result<Arc<Opened>, Errno> {
        let mut handles = self.handles.lock();
        if let Some(reader) = &handles.read {
            return Ok(reader.clone());
        }
        let directory = if self.kind == FileType::Directory { open::O_DIRECTORY } else { 0 };
        let reader = Arc::new(self.fid.open(open::O_RDONLY | directory)?);
        handles.read = Some(reader.clone());
        Ok(reader)
    }

    /// The handle for writing.
    pub fn writer(&self) -> Result<Arc<Opened>, Errno> {
        let mut handles = self.handles.lock();
        if let Some(writer) = &handles.write {
            return Ok(writer.clone());
        }
        let writer = match self.fid.open(open::O_RDWR) {
            Err(Errno::EACCES) => self.fid.open(open::O_WRONLY)?,
            opened => opened?,
        };
        let writer = Arc::new(writer);
        handles.write = Some(writer.clone());
        Ok(writer)
    }

    fn child(&self, name: &[u8]) -> Result<Arc<RemoteInode>, Errno> {
        let (fid, _) = self.fid.walk(Some(name))?;
        let attributes = fid.attributes()?;
        self.share.inode(fid, &attributes)
    }

    fn writable(&self) -> Result<(), Errno> {
        if self.share.mode == Mode::Image { Err(Errno::EROFS) } else { Ok(()) }
    }
}

impl Inode for RemoteInode {
    fn kind(&self) -> FileType {
        self.kind
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let gone = match self.refresh(FRESH) {
            Err(Errno::ENOENT | Errno::ESTALE) => true,
            outcome => outcome.map(|()| false)?,
        };
        let attributes = self.known.lock().attributes;
        Ok(Metadata {
            device: self.share.device,
            inode: self.number,
            kind: self.kind,
            permissions: attributes.mode as u16 & crate::types::PERMISSIONS,
            links: if gone { 0 } else { u32::try_from(attributes.links).unwrap_or(u32::MAX) },
            owner: attributes.owner,
            group: attributes.group,
            special: DeviceNumber::decode_wide(attributes.special),
            size: attributes.size,
            block_size: 4096,
            blocks: attributes.blocks,
            accessed: attributes.accessed,
            modified: attributes.modified,
            changed: attributes.changed,
            created: attributes.created,
        })
    }

    fn ownership(&self) -> Ownership {
        let attributes = &self.known.lock().attributes;
        Ownership {
            owner: attributes.owner,
            group: attributes.group,
            permissions: attributes.mode as u16 & crate::types::PERMISSIONS,
        }
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn set_attributes(&self, changes: &Changes) -> Result<(), Errno> {
        self.writable()?;
        self.fid.set_attributes(SetAttributes {
            permissions: changes.permissions.map(u32::from),
            owner: changes.owner,
            group: changes.group,
            size: None,
            accessed: changes.accessed.map(Some),
            modified: changes.modified.map(Some),
        })?;
        self.note_change(None);
        self.refresh(Duration::ZERO)
    }

    fn set_size(&self, size: u64) -> Result<(), Errno> {
        self.writable()?;
        let object = self.object()?;
        self.fid.set_attributes(SetAttributes { size: Some(size), ..SetAttributes::default() })?;
        self.share.windows.forget(self.number);
        if size < object.size() {
            object.truncate(size);
        } else {
            object.set_size(size);
        }
        self.note_change(Some(size));
        Ok(())
    }

    fn open(self: Arc<Self>, request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
        if request.write {
            self.writable()?;
        }
        if self.share.mode == Mode::Share {
            self.refresh(Duration::ZERO)?;
            if request.write {
                self.writer()?;
            }
            if request.read {
                self.reader()?;
            }
        }
        Ok(Arc::new(RemoteFile(self)))
    }

    fn pipe(&self) -> Option<Arc<Pipe>> {
        self.pipe.clone()
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let child = self.child(name)?;
        Ok(child)
    }

    fn create(&self, name: &[u8], new: &NewInode) -> Result<Arc<dyn Inode>, Errno> {
        self.writable()?;
        self.note_change(None);
        let permissions = u32::from(new.permissions);
        let mut opened = None;
        match new.kind {
            FileType::Directory => self.fid.make_directory(name, permissions, new.group)?,
            FileType::Regular => {
                let flags = open::O_CREAT | open::O_EXCL | open::O_RDWR;
                opened = Some(Arc::new(self.fid.create(name, flags, permissions, new.group)?));
            }
            kind => {
                let device = (new.special.major, new.special.minor);
                self.fid.make_node(name, kind.mode() | permissions, device, new.group)?;
            }
        }
        let child = self.child(name)?;
        if let Some(opened) = opened
            && opened.qid.path == child.number
        {
            child.handles.lock().write = Some(opened);
        }
        Ok(child)
    }

    fn symlink(&self, name: &[u8], target: &[u8], new: &NewInode) -> Result<Arc<dyn Inode>, Errno> {
        self.writable()?;
        self.note_change(None);
        self.fid.symlink(name, target, new.group)?;
        let child = self.child(name)?;
        Ok(child)
    }

    fn link(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        self.writable()?;
        let inode = RemoteInode::from_inode(inode)?;
        self.fid.link(name, &inode.fid)?;
        self.note_change(None);
        Ok(())
    }

    fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        self.note_change(None);
        self.fid.unlink(name, 0)
    }

    fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        self.writable()?;
        self.note_change(None);
        self.fid.unlink(name, at_remove::AT_REMOVEDIR)
    }

    fn rename(&self, name: &[u8], directory: &Arc<dyn Inode>, new_name: &[u8], mode: RenameMode) -> Result<(), Errno> {
        self.writable()?;
        if mode == RenameMode::Exchange {
            return Err(Errno::EINVAL);
        }
        let directory = RemoteInode::from_inode(directory)?;
        self.note_change(None);
        directory.note_change(None);
        self.fid.rename(name, &directory.fid, new_name)
    }

    fn read_dir(&self, cursor: u64, sink: &mut dyn DirSink) -> Result<(), Errno> {
        // The server's offset 0 is our cursor 2: 0 and 1 are `.` and `..`, which the VFS lists.
        const SHIFT: u64 = 2;
        let handle = self.reader()?;
        let mut offset = cursor.wrapping_sub(SHIFT);
        let mut full = false;
        while !full {
            let more = handle.fid.read_directory(offset, &mut |entry| {
                offset = entry.offset;
                if matches!(entry.name, b"." | b"..") {
                    return true;
                }
                let kind = FileType::from_mode(u32::from(entry.kind) << 12).unwrap_or(FileType::Regular);
                let next = entry.offset.wrapping_add(SHIFT);
                full = !sink.entry(DirEntry { name: entry.name, inode: entry.qid.path, kind, next });
                !full
            })?;
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        if let Some(target) = &*self.target.lock() {
            return Ok(target.to_vec());
        }
        let target = self.fid.read_link()?;
        *self.target.lock() = Some(Arc::from(&target[..]));
        Ok(target)
    }

    fn caching(&self) -> Caching {
        match self.share.mode {
            Mode::Image => Caching::Full,
            Mode::Share => Caching::Validated,
        }
    }

    fn revalidate(&self) -> bool {
        self.refresh(FRESH).is_ok()
    }

    fn names_changed(&self) {
        self.note_change(None);
    }

    fn stat_fs(&self) -> Result<StatFs, Errno> {
        let statistics = self.fid.statistics()?;
        Ok(StatFs {
            magic: fs_magic::V9FS_MAGIC as u32,
            block_size: statistics.block_size,
            blocks: statistics.blocks,
            blocks_free: statistics.blocks_free,
            blocks_available: statistics.blocks_available,
            files: statistics.files,
            files_free: statistics.files_free,
            id: self.share.device.encode(),
            name_max: statistics.name_max,
        })
    }
}
