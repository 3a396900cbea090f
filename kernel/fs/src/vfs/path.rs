//! A place in the tree: a dentry as seen through a mount; and its name, found by climbing.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::dentry::Dentry;
use super::inode::Inode;
use super::mount::Mount;
use crate::types::FileType;

#[derive(Clone)]
pub struct Path {
    pub mount: Arc<Mount>,
    pub dentry: Arc<Dentry>,
}

impl Path {
    #[inline]
    pub fn inode(&self) -> &Arc<dyn Inode> {
        self.dentry.inode()
    }

    #[inline]
    pub fn kind(&self) -> FileType {
        self.dentry.kind()
    }

    /// True when both are the same place.
    #[inline]
    pub fn is_same(&self, other: &Path) -> bool {
        Arc::ptr_eq(&self.dentry, &other.dentry) && Arc::ptr_eq(&self.mount, &other.mount)
    }

    /// The directory above, across mounts; `None` at the root of everything.
    pub(super) fn above(&self) -> Option<Path> {
        let mut at = self.clone();
        while Arc::ptr_eq(&at.dentry, at.mount.root()) {
            at = at.mount.place()?;
        }
        let dentry = at.dentry.parent()?;
        Some(Path { mount: at.mount, dentry })
    }

    /// The inode number of `..`: the place's own at the root of everything.
    pub fn parent_number(&self) -> u64 {
        self.above().map_or_else(|| self.inode().number(), |above| above.inode().number())
    }

    /// The absolute name as seen from `root`.
    pub fn name(&self, root: &Path) -> PathName {
        let mut names: Vec<Arc<[u8]>> = Vec::new();
        let mut at = self.clone();
        let mut reachable = true;
        while !at.is_same(root) {
            if Arc::ptr_eq(&at.dentry, at.mount.root()) {
                match at.mount.place() {
                    Some(place) => at = place,
                    None => {
                        reachable = false;
                        break;
                    }
                }
                continue;
            }
            names.push(at.dentry.name());
            match at.dentry.parent() {
                Some(dentry) => at.dentry = dentry,
                None => {
                    reachable = false;
                    break;
                }
            }
        }
        let mut bytes = Vec::new();
        for name in names.iter().rev() {
            bytes.push(b'/');
            bytes.extend_from_slice(name);
        }
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        PathName { bytes, reachable, removed: self.dentry.is_removed() }
    }

    /// What `/proc/PID/fd` shows: the name from `root`, `pipe:[7]` for objects without one, `(deleted)` after
    /// the name of what was unlinked.
    pub fn display(&self, root: &Path) -> Vec<u8> {
        if let Some(label) = self.mount.file_system().label(&self.dentry) {
            return label;
        }
        let name = self.name(root);
        let mut bytes = name.bytes;
        if name.removed {
            bytes.extend_from_slice(b" (deleted)");
        }
        bytes
    }
}

/// The name of a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathName {
    pub bytes: Vec<u8>,
    /// False when climbing did not meet the root: the place is outside it.
    pub reachable: bool,
    /// The name was unlinked.
    pub removed: bool,
}
