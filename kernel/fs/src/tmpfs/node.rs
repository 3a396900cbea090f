//! An inode in memory.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};

use aios_abi::Errno;
use kernel_hal::addr::PAGE_SIZE;
use kernel_mm::{KernelCharge, charge_kernel_bytes};
use kernel_sync::{Mutex, SpinLock};

use super::Shared;
use super::directory::{Below, Directory, LinkCharge};
use super::file::Content;
use crate::file::FileOps;
use crate::pipe::Pipe;
use crate::types::{
    Changes, DeviceNumber, DirSink, FileType, Metadata, NewInode, Ownership, PATH_MAX, RenameMode, StatFs, Timestamp,
};
use crate::vfs::{Inode, OpenRequest};

/// What one inode costs with its first name, beside its contents; about right, and charged before it is made.
const INODE_BYTES: usize = 640;
/// What one entry adds to the size of a directory, as Linux shows it.
const ENTRY_SIZE: u64 = 20;
const NO_ORIGIN: u64 = u64::MAX;

pub(super) struct Attributes {
    pub permissions: u16,
    pub owner: u32,
    pub group: u32,
    pub links: u32,
    pub accessed: Timestamp,
    pub modified: Timestamp,
    pub changed: Timestamp,
}

pub(super) enum Body {
    File(Content),
    Directory(Mutex<Directory>),
    Link(Vec<u8>),
    Fifo(Arc<Pipe>),
    Special(DeviceNumber),
}

/// A file, directory, link or node of a file system in memory.
pub struct Node {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u64,
    kind: FileType,
    pub(super) attributes: SpinLock<Attributes>,
    pub(super) body: Body,
    made: Timestamp,
    /// Of a copy in an overlay: the number of what it was copied from.
    origin: AtomicU64,
    _charge: KernelCharge,
}

impl Node {
    /// An inode without a name. `ENOMEM` when the account has no room for it.
    pub(crate) fn new(shared: &Arc<Shared>, new: &NewInode) -> Result<Arc<Node>, Errno> {
        let body = match new.kind {
            FileType::Regular => Body::File(Content::new(&shared.account)),
            FileType::Directory => Body::Directory(Mutex::new(Directory::default())),
            FileType::Fifo => Body::Fifo(Pipe::fifo(&shared.account)),
            FileType::CharDevice | FileType::BlockDevice | FileType::Socket => Body::Special(new.special),
            FileType::Symlink => return Err(Errno::EINVAL),
        };
        Node::with_body(shared, new, body, 0)
    }

    /// A symbolic link without a name.
    pub(crate) fn new_link(shared: &Arc<Shared>, new: &NewInode, target: &[u8]) -> Result<Arc<Node>, Errno> {
        if target.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        Node::with_body(shared, new, Body::Link(target.to_vec()), target.len())
    }

    fn with_body(shared: &Arc<Shared>, new: &NewInode, body: Body, extra: usize) -> Result<Arc<Node>, Errno> {
        let charge = charge_kernel_bytes(&shared.account, INODE_BYTES + extra)?;
        let now = Timestamp::now();
        shared.inodes.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(Node {
            shared: shared.clone(),
            number: shared.next_number(),
            kind: new.kind,
            attributes: SpinLock::new(Attributes {
                permissions: new.permissions,
                owner: new.owner,
                group: new.group,
                // Of a directory, the name in itself; what names it counts when it is entered.
                links: u32::from(new.kind == FileType::Directory),
                accessed: now,
                modified: now,
                changed: now,
            }),
            body,
            made: now,
            origin: AtomicU64::new(NO_ORIGIN),
            _charge: charge,
        }))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The node behind an inode of this kind of file system: `EXDEV` for others.
    pub(crate) fn from_inode(inode: &Arc<dyn Inode>) -> Result<Arc<Node>, Errno> {
        let any: Arc<dyn Any + Send + Sync> = inode.clone();
        any.downcast().map_err(|_| Errno::EXDEV)
    }

    /// Notes that the contents changed.
    pub(super) fn touch(&self) {
        let now = Timestamp::now();
        let mut attributes = self.attributes.lock();
        attributes.modified = now;
        attributes.changed = now;
    }

    /// Notes that the contents were looked at, as seldom as `relatime` allows (`mount(8)`).
    pub(super) fn note_access(&self) {
        const DAY: i64 = 24 * 60 * 60;
        let now = Timestamp::now();
        let mut attributes = self.attributes.lock();
        let before = attributes.accessed;
        if before <= attributes.modified || before <= attributes.changed || now.seconds - before.seconds >= DAY {
            attributes.accessed = now;
        }
    }

    /// Changes the number of names by `by`, and notes the change.
    pub(super) fn add_links(&self, by: i32) {
        let mut attributes = self.attributes.lock();
        attributes.links = attributes.links.saturating_add_signed(by);
        attributes.changed = Timestamp::now();
    }

    /// Takes over the attributes of `from`, times included.
    pub(crate) fn copy_attributes(&self, from: &Metadata) {
        let mut attributes = self.attributes.lock();
        attributes.permissions = from.permissions;
        attributes.owner = from.owner;
        attributes.group = from.group;
        attributes.accessed = from.accessed;
        attributes.modified = from.modified;
        attributes.changed = from.changed;
    }

    /// The number that an overlay shows for this node, when it is a copy.
    pub(crate) fn origin(&self) -> Option<u64> {
        Some(self.origin.load(Ordering::Relaxed)).filter(|origin| *origin != NO_ORIGIN)
    }

    pub(crate) fn set_origin(&self, number: u64) {
        self.origin.store(number, Ordering::Relaxed);
    }

    pub(crate) fn links(&self) -> u32 {
        self.attributes.lock().links
    }

    /// Sets the number of names, for a copy whose other names are in another layer.
    pub(crate) fn set_links(&self, links: u32) {
        self.attributes.lock().links = links;
    }

    pub(super) fn directory(&self) -> Result<&Mutex<Directory>, Errno> {
        match &self.body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn content(&self) -> Result<&Content, Errno> {
        match &self.body {
            Body::File(content) => Ok(content),
            Body::Directory(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    pub(super) fn take_children(&mut self) -> Option<Below> {
        match &mut self.body {
            Body::Directory(directory) => Some(directory.get_mut().take_all()),
            _ => None,
        }
    }

    fn size_and_blocks(&self) -> (u64, u64) {
        match &self.body {
            Body::File(content) => (content.size(), content.pages() * (PAGE_SIZE as u64 / 512)),
            Body::Directory(directory) => ((directory.lock().len() as u64 + 2) * ENTRY_SIZE, 0),
            Body::Link(target) => (target.len() as u64, 0),
            Body::Fifo(_) | Body::Special(_) => (0, 0),
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shared.inodes.fetch_sub(1, Ordering::Relaxed);
        if let Some(below) = self.take_children() {
            below.drop_all();
        }
        if let Body::File(content) = &self.body {
            self.shared.count_pages(content.counted(), 0);
        }
    }
}

impl Inode for Node {
    fn kind(&self) -> FileType {
        self.kind
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let (size, blocks) = self.size_and_blocks();
        let attributes = self.attributes.lock();
        Ok(Metadata {
            device: self.shared.device,
            inode: self.number,
            kind: self.kind,
            permissions: attributes.permissions,
            links: attributes.links,
            owner: attributes.owner,
            group: attributes.group,
            special: match self.body {
                Body::Special(number) => number,
                _ => DeviceNumber::default(),
            },
            size,
            block_size: PAGE_SIZE as u32,
            blocks,
            accessed: attributes.accessed,
            modified: attributes.modified,
            changed: attributes.changed,
            created: Some(self.made),
        })
    }

    fn ownership(&self) -> Ownership {
        let attributes = self.attributes.lock();
        Ownership { owner: attributes.owner, group: attributes.group, permissions: attributes.permissions }
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn set_attributes(&self, changes: &Changes) -> Result<(), Errno> {
        let now = Timestamp::now();
        let mut attributes = self.attributes.lock();
        attributes.permissions = changes.permissions.unwrap_or(attributes.permissions);
        attributes.owner = changes.owner.unwrap_or(attributes.owner);
        attributes.group = changes.group.unwrap_or(attributes.group);
        attributes.accessed = changes.accessed.unwrap_or(attributes.accessed);
        attributes.modified = changes.modified.unwrap_or(attributes.modified);
        attributes.changed = now;
        Ok(())
    }

    fn set_size(&self, size: u64) -> Result<(), Errno> {
        self.content()?.set_size(&self.shared, size)?;
        self.touch();
        Ok(())
    }

    fn open(self: Arc<Self>, _request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
        self.content()?;
        Ok(self)
    }

    fn pipe(&self) -> Option<Arc<Pipe>> {
        match &self.body {
            Body::Fifo(pipe) => Some(pipe.clone()),
            _ => None,
        }
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let node = self.entry(name)?;
        Ok(node)
    }

    fn create(&self, name: &[u8], new: &NewInode) -> Result<Arc<dyn Inode>, Errno> {
        let node = Node::new(&self.shared, new)?;
        self.insert(name, &node, LinkCharge::WithInode)?;
        Ok(node)
    }

    fn symlink(&self, name: &[u8], target: &[u8], new: &NewInode) -> Result<Arc<dyn Inode>, Errno> {
        let node = Node::new_link(&self.shared, new, target)?;
        self.insert(name, &node, LinkCharge::WithInode)?;
        Ok(node)
    }

    fn create_unnamed(&self, new: &NewInode) -> Result<Arc<dyn Inode>, Errno> {
        Ok(Node::new(&self.shared, new)?)
    }

    fn link(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        let node = Node::from_inode(inode)?;
        if node.attributes.lock().links == u32::MAX {
            return Err(Errno::EMLINK);
        }
        let charge = LinkCharge::of_its_own(&self.shared.account)?;
        self.insert(name, &node, charge)
    }

    fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        self.remove(name, false).map(drop)
    }

    fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        self.remove(name, true).map(drop)
    }

    fn rename(&self, name: &[u8], directory: &Arc<dyn Inode>, new_name: &[u8], mode: RenameMode) -> Result<(), Errno> {
        self.move_entry(name, &*Node::from_inode(directory)?, new_name, mode)
    }

    fn read_dir(&self, cursor: u64, sink: &mut dyn DirSink) -> Result<(), Errno> {
        self.directory()?.lock().list(cursor, sink);
        self.note_access();
        Ok(())
    }

    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        match &self.body {
            Body::Link(target) => Ok(target.clone()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn stat_fs(&self) -> Result<StatFs, Errno> {
        Ok(self.shared.stat_fs())
    }
}
