//! Inodes of an overlay.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use aios_abi::Errno;
use aios_abi::linux::consts::fs_magic;
use kernel_sync::{Mutex, SpinLock};

use super::Overlay;
use crate::file::FileOps;
use crate::pipe::Pipe;
use crate::tmpfs::Node;
use crate::types::{Changes, DeviceNumber, DirSink, FileType, Metadata, NewInode, Ownership, RenameMode, StatFs};
use crate::vfs::{Dentry, Inode, OpenRequest};

/// Where a name of an inode is: what copying up needs.
#[derive(Clone)]
pub(super) struct Home {
    pub directory: Arc<OverlayInode>,
    pub name: Arc<[u8]>,
}

/// What an inode is made of.
pub(super) struct Parts {
    pub number: u64,
    pub kind: FileType,
    /// The lower file, or the lower directory that shows through.
    pub lower: Option<Arc<Dentry>>,
    pub upper: Option<Arc<Node>>,
}

/// A file or directory of an overlay: lower, upper, or both.
pub(super) struct OverlayInode {
    pub overlay: Arc<Overlay>,
    kind: FileType,
    number: u64,
    pub lower: Option<Arc<Dentry>>,
    pub upper: SpinLock<Option<Arc<Node>>>,
    /// `None` for the root and for what has no name any more.
    pub home: SpinLock<Option<Home>>,
    pub copying: Mutex<()>,
    /// The lower file, opened when it is first read.
    pub lower_ops: SpinLock<Option<Arc<dyn FileOps>>>,
}

impl OverlayInode {
    pub fn new(overlay: &Arc<Overlay>, parts: Parts, home: Option<Home>) -> Arc<OverlayInode> {
        Arc::new(OverlayInode {
            overlay: overlay.clone(),
            kind: parts.kind,
            number: parts.number,
            lower: parts.lower,
            upper: SpinLock::new(parts.upper),
            home: SpinLock::new(home),
            copying: Mutex::new(()),
            lower_ops: SpinLock::new(None),
        })
    }

    /// False when the number was reused for something else.
    pub fn is_same(&self, parts: &Parts) -> bool {
        if self.kind != parts.kind {
            return false;
        }
        // What a file was copied from does not matter any more; a directory's lower side does.
        if self.kind == FileType::Directory && self.lower.is_some() != parts.lower.is_some() {
            return false;
        }
        match (&*self.upper.lock(), &parts.upper) {
            (Some(mine), Some(other)) => Arc::ptr_eq(mine, other),
            (None, Some(_)) => false,
            (_, None) => true,
        }
    }

    pub fn set_home(&self, home: Option<Home>) {
        let before = core::mem::replace(&mut *self.home.lock(), home);
        drop(before);
    }

    pub fn upper(&self) -> Option<Arc<Node>> {
        self.upper.lock().clone()
    }

    pub fn from_inode(inode: &Arc<dyn Inode>) -> Result<Arc<OverlayInode>, Errno> {
        let any: Arc<dyn Any + Send + Sync> = inode.clone();
        any.downcast().map_err(|_| Errno::EXDEV)
    }

    fn lower_inode(&self) -> Result<&Arc<dyn Inode>, Errno> {
        self.lower.as_ref().map(|lower| lower.inode()).ok_or(Errno::EIO)
    }

    /// The inode that holds the attributes and contents now.
    pub fn real(&self) -> Result<Arc<dyn Inode>, Errno> {
        match self.upper() {
            Some(upper) => Ok(upper),
            None => self.lower_inode().cloned(),
        }
    }

    /// Names of the lower file that are still there.
    pub fn lower_links(&self, links: u32) -> u32 {
        let lost = self.overlay.names.lock().lost.get(&self.number).copied().unwrap_or(0);
        links.saturating_sub(lost)
    }
}

impl Inode for OverlayInode {
    fn kind(&self) -> FileType {
        self.kind
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let upper = self.upper();
        let is_copied = upper.is_some();
        let real = match &upper {
            Some(upper) => upper.metadata()?,
            None => self.lower_inode()?.metadata()?,
        };
        let links = match (self.kind, &self.lower, is_copied) {
            // Counting subdirectories would mean listing both; Linux says 1 as well.
            (FileType::Directory, Some(_), true) => 1,
            (FileType::Directory, _, _) | (_, _, true) => real.links,
            _ => self.lower_links(real.links),
        };
        Ok(Metadata { device: self.overlay.device, inode: self.number, links, ..real })
    }

    fn ownership(&self) -> Ownership {
        match (&*self.upper.lock(), &self.lower) {
            (Some(upper), _) => upper.ownership(),
            (None, Some(lower)) => lower.inode().ownership(),
            (None, None) => Ownership { owner: 0, group: 0, permissions: 0 },
        }
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn set_attributes(&self, changes: &Changes) -> Result<(), Errno> {
        self.copy_up(u64::MAX)?.set_attributes(changes)
    }

    fn set_size(&self, size: u64) -> Result<(), Errno> {
        self.copy_up(size)?.set_size(size)
    }

    fn open(self: Arc<Self>, request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
        if request.write {
            self.copy_up(if request.truncate { 0 } else { u64::MAX })?;
        }
        Ok(self)
    }

    fn open_directory(self: Arc<Self>) -> Result<Option<Arc<dyn FileOps>>, Errno> {
        Ok(Some(super::directory::open()))
    }

    fn pipe(&self) -> Option<Arc<Pipe>> {
        self.real().ok()?.pipe()
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let found = self.find(name)?;
        Ok(found)
    }

    fn create(&self, name: &[u8], new: &NewInode) -> Result<Arc<dyn Inode>, Errno> {
        if new.kind == FileType::CharDevice && new.special == DeviceNumber::default() {
            // It would be taken for a removed name.
            return Err(Errno::EPERM);
        }
        let node = Node::new(&self.overlay.upper, new)?;
        let made = self.enter_new(name, node)?;
        Ok(made)
    }

    fn symlink(&self, name: &[u8], target: &[u8], new: &NewInode) -> Result<Arc<dyn Inode>, Errno> {
        let node = Node::new_link(&self.overlay.upper, new, target)?;
        let made = self.enter_new(name, node)?;
        Ok(made)
    }

    fn create_unnamed(&self, new: &NewInode) -> Result<Arc<dyn Inode>, Errno> {
        let node = Node::new(&self.overlay.upper, new)?;
        let inode = self.overlay.upper_inode(node, None, None);
        Ok(inode)
    }

    fn link(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        self.enter_link(name, &*OverlayInode::from_inode(inode)?)
    }

    fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        self.remove(name)
    }

    fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        self.find(name)?.check_empty()?;
        self.remove(name)
    }

    fn rename(&self, name: &[u8], directory: &Arc<dyn Inode>, new_name: &[u8], mode: RenameMode) -> Result<(), Errno> {
        self.move_name(name, &*OverlayInode::from_inode(directory)?, new_name, mode)
    }

    fn read_dir(&self, cursor: u64, sink: &mut dyn DirSink) -> Result<(), Errno> {
        self.list(cursor, sink)
    }

    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        self.real()?.read_link()
    }

    fn stat_fs(&self) -> Result<StatFs, Errno> {
        let magic = fs_magic::OVERLAYFS_SUPER_MAGIC as u32;
        Ok(StatFs { magic, id: self.overlay.device.encode(), ..self.overlay.whiteout.stat_fs()? })
    }
}

impl Drop for OverlayInode {
    fn drop(&mut self) {
        // One by one up the tree: it may be deeper than the stack.
        let mut above = self.home.get_mut().take().map(|home| home.directory);
        while let Some(inode) = above {
            above = Arc::into_inner(inode).and_then(|mut inode| inode.home.get_mut().take()).map(|home| home.directory);
        }
        let mut inodes = self.overlay.inodes.lock();
        // A fresh inode may have the number by now.
        if inodes.get(&self.number).is_some_and(|inode| inode.strong_count() == 0) {
            inodes.remove(&self.number);
        }
    }
}
