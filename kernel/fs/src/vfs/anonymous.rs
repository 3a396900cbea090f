//! Places for objects that no directory names: pipes, event counters, memory files.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use aios_abi::Errno;
use aios_abi::linux::consts::fs_magic;
use kernel_sync::SpinLock;

use super::inode::Inode;
use super::mount::{FileSystem, Mount};
use super::{Path, anonymous_device};
use crate::types::{Changes, DeviceNumber, FileType, Metadata, Ownership, StatFs, Timestamp};

struct Root(DeviceNumber);

impl Inode for Root {
    fn kind(&self) -> FileType {
        FileType::Directory
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(metadata(self.0, self, Timestamp::default()))
    }

    fn ownership(&self) -> Ownership {
        Ownership { owner: 0, group: 0, permissions: 0o500 }
    }

    fn number(&self) -> u64 {
        1
    }

    fn set_attributes(&self, _changes: &Changes) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    fn stat_fs(&self) -> Result<StatFs, Errno> {
        Ok(unplaced_stat_fs(fs_magic::ANON_INODE_FS_MAGIC as u32))
    }
}

static MOUNT: SpinLock<Option<(Arc<Mount>, DeviceNumber)>> = SpinLock::new(None);

fn mount() -> (Arc<Mount>, DeviceNumber) {
    if let Some(known) = &*MOUNT.lock() {
        return known.clone();
    }
    let device = anonymous_device();
    let fresh = (Mount::detached(FileSystem::anonymous(Arc::new(Root(device)))), device);
    MOUNT.lock().get_or_insert(fresh).clone()
}

/// A place for `inode`. A label that ends in a colon is shown with the inode's number: `pipe:[7]`.
pub fn anonymous_path(inode: Arc<dyn Inode>, label: &[u8]) -> Path {
    let (mount, _) = mount();
    let dentry = mount.root().detached(inode, label);
    Path { mount, dentry }
}

/// A number for an inode without a place.
pub fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(2);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Metadata of an inode without a place, size or storage.
pub fn unplaced_metadata(inode: &dyn Inode, made: Timestamp) -> Metadata {
    metadata(mount().1, inode, made)
}

fn metadata(device: DeviceNumber, inode: &dyn Inode, made: Timestamp) -> Metadata {
    let Ownership { owner, group, permissions } = inode.ownership();
    Metadata {
        device,
        inode: inode.number(),
        kind: inode.kind(),
        permissions,
        links: 1,
        owner,
        group,
        special: DeviceNumber::default(),
        size: 0,
        block_size: 4096,
        blocks: 0,
        accessed: made,
        modified: made,
        changed: made,
        created: None,
    }
}

/// Statistics of a file system without storage.
pub fn unplaced_stat_fs(magic: u32) -> StatFs {
    StatFs { magic, block_size: 4096, name_max: 255, ..StatFs::default() }
}
