//! `/dev`: a tmpfs filled with a node for each registered device and the links that programs expect.

use alloc::sync::Arc;

use aios_abi::Errno;
use kernel_mm::Account;

use crate::device;
use crate::tmpfs::{self, Options};
use crate::types::{DeviceNumber, FileType, NewInode};
use crate::vfs::{FileSystem, Inode};

const LINKS: [(&[u8], &[u8]); 4] = [
    (b"fd", b"/proc/self/fd"),
    (b"stdin", b"/proc/self/fd/0"),
    (b"stdout", b"/proc/self/fd/1"),
    (b"stderr", b"/proc/self/fd/2"),
];

/// Directories that other file systems are mounted on, with their permissions.
const DIRECTORIES: [(&[u8], u16); 2] = [(b"shm", 0o1777), (b"pts", 0o755)];

/// A new `/dev` with what is registered now, charged to `account`.
pub fn create(account: &Arc<Account>) -> Result<Arc<FileSystem>, Errno> {
    let root = tmpfs::root(account, Options::default())?;
    let new = |kind, permissions, special| NewInode { kind, permissions, owner: 0, group: 0, special };
    for entry in device::registered() {
        root.create(entry.name.as_bytes(), &new(FileType::CharDevice, entry.permissions, entry.number))?;
    }
    for (name, target) in LINKS {
        root.symlink(name, target, &new(FileType::Symlink, 0o777, DeviceNumber::default()))?;
    }
    for (name, permissions) in DIRECTORIES {
        root.create(name, &new(FileType::Directory, permissions, DeviceNumber::default()))?;
    }
    Ok(FileSystem::new("devtmpfs", root))
}
