//! A file system in memory. It is `/tmp`, the root that the initramfs is unpacked into, the nodes of `/dev`, and the
//! upper layer of an overlay.
//!
//! File pages are charged to the account given at creation, and so is every inode and name. The namespace is the
//! inodes' own: dentries above it may be forgotten at any time.

mod directory;
mod file;
mod node;
mod options;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use aios_abi::Errno;
use aios_abi::linux::consts::fs_magic;
use kernel_hal::addr::PAGE_SIZE;
use kernel_mm::Account;

use crate::types::{DeviceNumber, FileType, NAME_MAX, NewInode, StatFs};
use crate::vfs::{FileSystem, anonymous_device};

pub use node::Node;

/// The part of what its account may have that files leave to programs: one in so many, and so many pages at the most.
const KEPT_SHARE: usize = 8;
const MOST_KEPT: usize = 4096;

/// How a file system in memory is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Permissions, owner and group of the root.
    pub permissions: u16,
    pub owner: u32,
    pub group: u32,
    /// The most bytes that files may hold together; `None` leaves it to the account.
    pub size: Option<u64>,
}

impl Default for Options {
    fn default() -> Options {
        Options { permissions: 0o755, owner: 0, group: 0, size: None }
    }
}

/// What all inodes of one instance share.
pub(crate) struct Shared {
    account: Arc<Account>,
    device: DeviceNumber,
    next: AtomicU64,
    inodes: AtomicU64,
    /// Pages that files hold, and how many they may.
    pages: AtomicU64,
    most_pages: u64,
}

impl Shared {
    pub fn new(account: &Arc<Account>, size: Option<u64>) -> Arc<Shared> {
        Arc::new(Shared {
            account: account.clone(),
            device: anonymous_device(),
            next: AtomicU64::new(1),
            inodes: AtomicU64::new(0),
            pages: AtomicU64::new(0),
            most_pages: size.map_or(u64::MAX, |bytes| bytes / PAGE_SIZE as u64),
        })
    }

    fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Pages that files may still take.
    fn room(&self) -> u64 {
        self.most_pages.saturating_sub(self.pages.load(Ordering::Relaxed)).min(self.room_in_account())
    }

    /// Of what the account has left, a part is kept from files: who fills a disk must still be able to run `rm`.
    fn room_in_account(&self) -> u64 {
        let memory = kernel_mm::stats();
        let kept = (self.account.allowance().min(memory.total) / KEPT_SHARE).min(MOST_KEPT);
        let left = self.account.available().min(memory.free.saturating_sub(memory.reserve));
        left.saturating_sub(kept) as u64
    }

    /// Corrects the count of pages by what one file holds now and held before.
    fn count_pages(&self, before: u64, now: u64) {
        if now >= before {
            self.pages.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.pages.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    fn stat_fs(&self) -> StatFs {
        let used = self.pages.load(Ordering::Relaxed);
        let left = self.room();
        let files = self.inodes.load(Ordering::Relaxed);
        StatFs {
            magic: fs_magic::TMPFS_MAGIC as u32,
            block_size: PAGE_SIZE as u32,
            blocks: used.saturating_add(left),
            blocks_free: left,
            blocks_available: left,
            files: files.saturating_add(left),
            files_free: left,
            id: self.device.encode(),
            name_max: NAME_MAX as u32,
        }
    }
}

/// The root inode of a new instance.
pub fn root(account: &Arc<Account>, options: Options) -> Result<Arc<Node>, Errno> {
    let shared = Shared::new(account, options.size);
    let Options { permissions, owner, group, .. } = options;
    let new = NewInode { kind: FileType::Directory, permissions, owner, group, special: DeviceNumber::default() };
    Node::new(&shared, &new)
}

/// A new instance, charged to `account`.
pub fn create(account: &Arc<Account>, options: Options) -> Result<Arc<FileSystem>, Errno> {
    Ok(FileSystem::new("tmpfs", root(account, options)?))
}
