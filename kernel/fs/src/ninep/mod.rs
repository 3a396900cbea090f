//! A client of 9P2000.L: directories of the host as file systems.
//!
//! Two ways to mount one. A tree that nobody changes ([`Mode::Image`]) is read once and remembered for good: names,
//! names that do not exist, attributes, pages. A share ([`Mode::Share`]) may change on the host at any time: names and
//! attributes are asked for again after a second and at each opening, pages are dropped when the file has changed since,
//! writes go to the host at once.

mod cache;
mod client;
mod file;
mod inode;
#[cfg(test)]
mod tests;
pub mod wire;

use alloc::sync::{Arc, Weak};

use aios_abi::Errno;
use hashbrown::HashMap;
use kernel_mm::Account;
use kernel_sync::SpinLock;

use crate::types::DeviceNumber;
use crate::vfs::{FileSystem, NameHash, anonymous_device};
use cache::Windows;
use client::{Client, Fid};
use inode::RemoteInode;
use wire::Attributes;

pub use client::Transport;

/// What may be assumed of the host's directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Nobody changes it while it is mounted, and it is only read.
    Image,
    /// The host and others change it.
    Share,
}

/// What all inodes of one mounted tree have in common.
struct Share {
    device: DeviceNumber,
    mode: Mode,
    /// Pays for pages.
    account: Arc<Account>,
    /// Live inodes by the server's number, so that a file with several names has one page cache.
    inodes: SpinLock<HashMap<u64, Weak<RemoteInode>, NameHash>>,
    windows: Windows,
}

impl Share {
    /// The inode for a file the server knows, made when it is not there.
    fn inode(self: &Arc<Share>, fid: Fid, attributes: &Attributes) -> Result<Arc<RemoteInode>, Errno> {
        let number = attributes.qid.path;
        let known = self.inodes.lock().get(&number).and_then(Weak::upgrade);
        if let Some(known) = known
            && known.accepts(attributes)
        {
            return Ok(known);
        }
        let fresh = RemoteInode::new(self, fid, attributes)?;
        let mut inodes = self.inodes.lock();
        if inodes.len() == inodes.capacity() {
            inodes.retain(|_, inode| inode.strong_count() > 0);
        }
        inodes.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        inodes.insert(number, Arc::downgrade(&fresh));
        Ok(fresh)
    }
}

/// Mounts what `transport` leads to. Pages are charged to `account`.
pub fn mount(transport: Arc<dyn Transport>, mode: Mode, account: &Arc<Account>) -> Result<Arc<FileSystem>, Errno> {
    let (fid, _) = Client::connect(transport)?;
    let share = Arc::new(Share {
        device: anonymous_device(),
        mode,
        account: account.clone(),
        inodes: SpinLock::default(),
        windows: Windows::new(),
    });
    let attributes = fid.attributes()?;
    let root = share.inode(fid, &attributes)?;
    Ok(FileSystem::new("9p", root))
}
