//! What a file system provides: inodes.
//!
//! An inode method does what it is told: permissions, read-only mounts, name lengths and the order of errors are the
//! VFS's business ([`super::walk`], [`super::names`], [`super::attributes`]). The VFS calls methods that change a
//! directory with that directory's `changing` lock held; an inode protects its own data all the same, since different
//! directories may refer to it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use aios_abi::Errno;

use super::Path;
use crate::file::FileOps;
use crate::pipe::Pipe;
use crate::types::{Changes, DirSink, FileType, Metadata, NewInode, Ownership, RenameMode, StatFs};

/// What may be remembered of a directory's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caching {
    /// Names change only through the VFS: remember them, and which do not exist.
    Full,
    /// Names can change behind our back: ask [`Inode::revalidate`] before using one, never remember absence.
    Validated,
    /// Names are made up at each look.
    None,
}

/// Where a symbolic link leads.
pub enum LinkTarget {
    /// A path to walk.
    Text(Vec<u8>),
    /// An object, whatever its name (`/proc/self/fd/3`).
    Object(Path),
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenRequest {
    pub read: bool,
    pub write: bool,
    /// The contents are about to be cut off (`O_TRUNC`).
    pub truncate: bool,
    /// `O_NONBLOCK`: opening a fifo does not wait for the other side.
    pub nonblocking: bool,
    /// `O_NOCTTY`: a terminal does not become the controlling one.
    pub no_terminal: bool,
}

/// One file, directory, link, device node, fifo or socket of a file system.
pub trait Inode: Any + Send + Sync {
    fn kind(&self) -> FileType;

    fn metadata(&self) -> Result<Metadata, Errno>;

    /// Owner, group and permissions: cheap, asked at every step of a walk.
    fn ownership(&self) -> Ownership;

    /// A number that no other inode of this file system has at this time.
    fn number(&self) -> u64;

    fn set_attributes(&self, changes: &Changes) -> Result<(), Errno>;

    /// Cuts or extends a regular file.
    fn set_size(&self, size: u64) -> Result<(), Errno> {
        let _ = size;
        Err(Errno::EINVAL)
    }

    /// Opens a regular file. Called after permissions were checked.
    fn open(self: Arc<Self>, request: &OpenRequest) -> Result<Arc<dyn FileOps>, Errno> {
        let _ = request;
        Err(Errno::EINVAL)
    }

    /// A directory whose listing needs state for each opening; `None` when [`read_dir`](Inode::read_dir) does it.
    fn open_directory(self: Arc<Self>) -> Result<Option<Arc<dyn FileOps>>, Errno> {
        Ok(None)
    }

    /// The pipe of a fifo.
    fn pipe(&self) -> Option<Arc<Pipe>> {
        None
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let _ = name;
        Err(Errno::ENOTDIR)
    }

    /// Makes a file, directory, device node, fifo or socket. The name does not exist.
    fn create(&self, name: &[u8], new: &NewInode) -> Result<Arc<dyn Inode>, Errno> {
        let _ = (name, new);
        Err(Errno::EPERM)
    }

    fn symlink(&self, name: &[u8], target: &[u8], new: &NewInode) -> Result<Arc<dyn Inode>, Errno> {
        let _ = (name, target, new);
        Err(Errno::EPERM)
    }

    /// Makes a file without a name (`O_TMPFILE`).
    fn create_unnamed(&self, new: &NewInode) -> Result<Arc<dyn Inode>, Errno> {
        let _ = new;
        Err(Errno::EOPNOTSUPP)
    }

    /// Gives `inode`, of the same file system, one more name here.
    fn link(&self, name: &[u8], inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        let _ = (name, inode);
        Err(Errno::EPERM)
    }

    /// Removes the name of something that is not a directory.
    fn unlink(&self, name: &[u8]) -> Result<(), Errno> {
        let _ = name;
        Err(Errno::EPERM)
    }

    /// Removes an empty directory: `ENOTEMPTY` otherwise.
    fn rmdir(&self, name: &[u8]) -> Result<(), Errno> {
        let _ = name;
        Err(Errno::EPERM)
    }

    /// Moves `name` to `new_name` in `directory`, of the same file system. The kinds were checked; that a directory
    /// to be replaced is empty was not.
    fn rename(&self, name: &[u8], directory: &Arc<dyn Inode>, new_name: &[u8], mode: RenameMode) -> Result<(), Errno> {
        let _ = (name, directory, new_name, mode);
        Err(Errno::EPERM)
    }

    /// Lists names from `cursor` on, except `.` and `..`, until the sink is full. Cursors of entries are above 2; a
    /// listing starts with 2.
    fn read_dir(&self, cursor: u64, sink: &mut dyn DirSink) -> Result<(), Errno> {
        let _ = (cursor, sink);
        Err(Errno::ENOTDIR)
    }

    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        Err(Errno::EINVAL)
    }

    /// Where a walk goes on at this symbolic link.
    fn follow(&self) -> Result<LinkTarget, Errno> {
        self.read_link().map(LinkTarget::Text)
    }

    /// What may be remembered of this directory's names.
    fn caching(&self) -> Caching {
        Caching::Full
    }

    /// For inodes found in a directory with [`Caching::Validated`]: false when the name must be looked up again.
    fn revalidate(&self) -> bool {
        true
    }

    /// The VFS has added or removed a name of this inode: what was remembered of its attributes is out of date.
    fn names_changed(&self) {}

    fn stat_fs(&self) -> Result<StatFs, Errno>;

    /// The value of an extended attribute.
    fn attribute(&self, name: &[u8]) -> Result<Vec<u8>, Errno> {
        let _ = name;
        Err(Errno::EOPNOTSUPP)
    }

    /// Names of extended attributes, each ended by a NUL.
    fn attribute_names(&self) -> Result<Vec<u8>, Errno> {
        Ok(Vec::new())
    }

    fn set_attribute(&self, name: &[u8], value: &[u8], mode: AttributeMode) -> Result<(), Errno> {
        let _ = (name, value, mode);
        Err(Errno::EOPNOTSUPP)
    }

    fn remove_attribute(&self, name: &[u8]) -> Result<(), Errno> {
        let _ = name;
        Err(Errno::EOPNOTSUPP)
    }
}

/// What to do when an extended attribute exists, or does not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttributeMode {
    Any,
    /// `XATTR_CREATE`: `EEXIST` when it exists.
    Create,
    /// `XATTR_REPLACE`: `ENODATA` when it does not.
    Replace,
}
