//! Calls that change an inode's attributes, and who may: `chmod(2)`, `chown(2)`, `utimensat(2)`, `truncate(2)`.

use aios_abi::Errno;

use super::{Context, Path};
use crate::credentials::{Credentials, MAY_WRITE, capability};
use crate::types::{Changes, FileType, Ownership, PERMISSIONS, SET_GID, SET_UID, Timestamp};

/// A time to set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeChange {
    Keep,
    Now,
    At(Timestamp),
}

impl TimeChange {
    fn resolve(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            TimeChange::Keep => None,
            TimeChange::Now => Some(now),
            TimeChange::At(time) => Some(time),
        }
    }
}

impl Context<'_> {
    /// `chmod(2)`.
    pub fn set_permissions(&self, path: &Path, permissions: u16) -> Result<(), Errno> {
        writable(path)?;
        if path.kind() == FileType::Symlink {
            return Err(Errno::EOPNOTSUPP);
        }
        let inode = path.inode().ownership();
        if !self.credentials.owns(inode) {
            return Err(Errno::EPERM);
        }
        let mut permissions = permissions & PERMISSIONS;
        if !self.credentials.in_group(inode.group) && !self.credentials.capable(capability::FSETID) {
            permissions &= !SET_GID;
        }
        path.inode().set_attributes(&Changes { permissions: Some(permissions), ..Changes::default() })
    }

    /// `chown(2)`; `None` leaves a number as it is.
    pub fn set_owner(&self, path: &Path, owner: Option<u32>, group: Option<u32>) -> Result<(), Errno> {
        writable(path)?;
        let inode = path.inode().ownership();
        if !may_chown(self.credentials, inode, owner, group) {
            return Err(Errno::EPERM);
        }
        // Linux takes the bits from anyone's file that is not a directory, root's hand included.
        let stripped = (path.kind() != FileType::Directory).then(|| strip(inode.permissions)).flatten();
        path.inode().set_attributes(&Changes { permissions: stripped, owner, group, ..Changes::default() })
    }

    /// `utimensat(2)`.
    pub fn set_times(&self, path: &Path, accessed: TimeChange, modified: TimeChange) -> Result<(), Errno> {
        if (accessed, modified) == (TimeChange::Keep, TimeChange::Keep) {
            return Ok(());
        }
        writable(path)?;
        let inode = path.inode().ownership();
        if !self.credentials.owns(inode) {
            if (accessed, modified) != (TimeChange::Now, TimeChange::Now) {
                return Err(Errno::EPERM);
            }
            self.permission(path, MAY_WRITE)?;
        }
        let now = Timestamp::now();
        let changes =
            Changes { accessed: accessed.resolve(now), modified: modified.resolve(now), ..Changes::default() };
        path.inode().set_attributes(&changes)
    }

    /// `truncate(2)`.
    pub fn truncate(&self, path: &Path, size: u64) -> Result<(), Errno> {
        match path.kind() {
            FileType::Regular => {}
            FileType::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
        self.permission(path, MAY_WRITE)?;
        path.inode().set_size(size)?;
        self.drop_set_id(path)
    }

    /// Permissions without set-id bits, when there are some that a write by the caller takes away.
    pub(super) fn without_set_id(&self, permissions: u16) -> Option<u16> {
        if self.credentials.capable(capability::FSETID) { None } else { strip(permissions) }
    }

    /// What a write does to set-user-id and set-group-id bits of a file: they go, unless the writer may set them.
    pub fn after_write(&self, path: &Path) -> Result<(), Errno> {
        self.drop_set_id(path)
    }
}

/// Without set-user-id, and without set-group-id where it means that; `None` when nothing changes.
fn strip(permissions: u16) -> Option<u16> {
    let mut stripped = permissions & !SET_UID;
    if permissions & (SET_GID | 0o010) == SET_GID | 0o010 {
        stripped &= !SET_GID;
    }
    (stripped != permissions).then_some(stripped)
}

fn may_chown(credentials: &Credentials, inode: Ownership, owner: Option<u32>, group: Option<u32>) -> bool {
    if credentials.capable(capability::CHOWN) {
        return true;
    }
    let owns = credentials.fsuid == inode.owner;
    owner.is_none_or(|owner| owns && owner == inode.owner)
        && group.is_none_or(|group| owns && (group == inode.group || credentials.in_group(group)))
}

fn writable(path: &Path) -> Result<(), Errno> {
    if path.mount.is_read_only() { Err(Errno::EROFS) } else { Ok(()) }
}
