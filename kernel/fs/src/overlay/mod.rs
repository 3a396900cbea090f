//! A private layer over a directory tree that is only read: what an agent sees of its image.
//!
//! The lower tree may be any file system and is shared by all overlays over it, names and pages included. The upper
//! one is a tmpfs of its own. What is changed is first copied up: data and attributes of a file, attributes of the
//! directories above it. A name removed from the lower tree leaves a *whiteout* in the upper directory, a character
//! device with number 0; a directory made in place of a removed one is *opaque*: the lower one does not show through.
//!
//! As in Linux's overlayfs a directory of the lower tree cannot be renamed (`EXDEV`), and who has a lower file mapped
//! before it is copied up goes on seeing the lower one. Unlike there, several names of a lower file stay names of one
//! file after it was copied up, and an inode keeps its number for good.
//!
//! Lock order: the VFS's lock of the directory, then `copying` of a file, then of the directories above it, outwards;
//! then the tmpfs's locks.

mod copy;
mod directory;
mod file;
mod inode;
#[cfg(test)]
mod tests;

use alloc::sync::{Arc, Weak};

use aios_abi::Errno;
use hashbrown::HashMap;
use kernel_mm::Account;
use kernel_sync::SpinLock;

use crate::tmpfs::{self, Node, Shared};
use crate::types::{DeviceNumber, FileType, NewInode};
use crate::vfs::{Dentry, FileSystem, Inode, NameHash, Path, anonymous_device};
use inode::{Home, OverlayInode, Parts};

/// Marks the numbers of inodes that exist only in the upper tree of an overlay over something else.
const UPPER: u64 = 1 << 62;
/// Overlays that may lie over each other; each marks its numbers with the next lower bit.
const MOST_LAYERS: u32 = 12;

/// What all inodes of one overlay have in common.
struct Overlay {
    device: DeviceNumber,
    upper: Arc<Shared>,
    /// The bit that marks numbers of the upper tree.
    mark: u64,
    /// Stands for every name removed from the lower tree.
    whiteout: Arc<Node>,
    /// Live inodes by number.
    inodes: SpinLock<HashMap<u64, Weak<OverlayInode>, NameHash>>,
    names: SpinLock<LowerNames>,
    /// Keeps the lower tree mounted.
    _image: Path,
}

/// What became of lower files with more than one name, by their number.
#[derive(Default)]
struct LowerNames {
    /// Copied up: all names lead to the copy.
    copies: HashMap<u64, Arc<Node>, NameHash>,
    /// Not copied up: names that were removed.
    lost: HashMap<u64, u32, NameHash>,
}

impl Overlay {
    fn is_whiteout(&self, node: &Arc<Node>) -> bool {
        Arc::ptr_eq(node, &self.whiteout)
    }

    /// The number under which a node of the upper tree is shown.
    fn number_of(&self, node: &Node) -> u64 {
        node.origin().unwrap_or(node.number() | self.mark)
    }

    /// The one inode with the number that `parts` says.
    fn inode(self: &Arc<Overlay>, parts: Parts, home: Option<Home>) -> Arc<OverlayInode> {
        let known = self.inodes.lock().get(&parts.number).and_then(Weak::upgrade);
        if let Some(known) = known
            && known.is_same(&parts)
        {
            known.set_home(home);
            return known;
        }
        let number = parts.number;
        let fresh = OverlayInode::new(self, parts, home);
        let mut inodes = self.inodes.lock();
        if inodes.len() == inodes.capacity() {
            inodes.retain(|_, inode| inode.strong_count() > 0);
        }
        // Without memory it is made again for who asks next: what it shows is the same.
        if inodes.try_reserve(1).is_ok() {
            inodes.insert(number, Arc::downgrade(&fresh));
        }
        fresh
    }

    /// The inode of something in the upper tree, over `lower` where that shows through.
    fn upper_inode(
        self: &Arc<Overlay>,
        node: Arc<Node>,
        lower: Option<Arc<Dentry>>,
        home: Option<Home>,
    ) -> Arc<OverlayInode> {
        let number = self.number_of(&node);
        let kind = node.kind();
        self.inode(Parts { number, kind, lower, upper: Some(node) }, home)
    }

    /// The inode of something in the lower tree, or of its copy.
    fn lower_inode(self: &Arc<Overlay>, lower: Arc<Dentry>, home: Option<Home>) -> Arc<OverlayInode> {
        let number = lower.inode().number();
        let kind = lower.kind();
        let upper = match kind {
            FileType::Directory => None,
            _ => self.names.lock().copies.get(&number).cloned(),
        };
        self.inode(Parts { number, kind, lower: Some(lower), upper }, home)
    }
}

/// A new overlay over the directory `image`; what it holds is charged to `account`. `ELOOP` when too many overlays
/// lie over each other.
pub fn create(image: &Path, account: &Arc<Account>) -> Result<Arc<FileSystem>, Errno> {
    if image.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    let mark = match OverlayInode::from_inode(image.inode()) {
        Ok(below) if below.overlay.mark <= UPPER >> MOST_LAYERS => return Err(Errno::ELOOP),
        Ok(below) => below.overlay.mark >> 1,
        Err(_) => UPPER,
    };
    let lower = image.inode().metadata()?;
    let options = tmpfs::Options {
        permissions: lower.permissions,
        owner: lower.owner,
        group: lower.group,
        ..tmpfs::Options::default()
    };
    let root = tmpfs::root(account, options)?;
    root.copy_attributes(&lower);
    let special = DeviceNumber::default();
    let whiteout = NewInode { kind: FileType::CharDevice, permissions: 0, owner: 0, group: 0, special };
    let overlay = Arc::new(Overlay {
        device: anonymous_device(),
        upper: root.shared().clone(),
        mark,
        whiteout: Node::new(root.shared(), &whiteout)?,
        inodes: SpinLock::default(),
        names: SpinLock::default(),
        _image: image.clone(),
    });
    root.set_origin(lower.inode);
    let root = overlay.upper_inode(root, Some(image.dentry.clone()), None);
    Ok(FileSystem::new("overlay", root))
}
