//! Unpacking an archive into a directory tree in memory.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use aios_abi::Errno;

use super::cpio::{Archive, ArchiveError, Entry};
use crate::tmpfs::Node;
use crate::types::{Changes, DeviceNumber, FileType, NewInode, PERMISSIONS, Timestamp};
use crate::vfs::Inode;

/// Why an archive was not unpacked in full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnpackError {
    Archive(ArchiveError),
    /// The entry that ends at this byte could not be made.
    Entry {
        offset: usize,
        error: Errno,
    },
}

impl core::fmt::Display for UnpackError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            UnpackError::Archive(error) => write!(f, "initramfs: {error}"),
            UnpackError::Entry { offset, error } => write!(f, "initramfs: entry before byte {offset}: {error}"),
        }
    }
}

/// Unpacks `archive` below `root`. Directories that entries need and the archive lacks are made; a later entry
/// replaces an earlier one of the same name. Returns the number of entries.
pub fn unpack(archive: &[u8], root: &Arc<Node>) -> Result<usize, UnpackError> {
    let mut archive = Archive::new(archive);
    let mut links: BTreeMap<(u32, u32), Arc<dyn Inode>> = BTreeMap::new();
    let mut count = 0;
    while let Some(entry) = archive.next() {
        let entry = entry.map_err(UnpackError::Archive)?;
        let part = archive.part();
        place(&entry, part, root, &mut links)
            .map_err(|error| UnpackError::Entry { offset: archive.offset(), error })?;
        count += 1;
    }
    Ok(count)
}

fn place(
    entry: &Entry<'_>,
    part: u32,
    root: &Arc<Node>,
    links: &mut BTreeMap<(u32, u32), Arc<dyn Inode>>,
) -> Result<(), Errno> {
    let mut names = entry.name.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    let mut directory = root.clone();
    let Some(mut name) = names.next() else { return set_attributes(entry, &**root) };
    for next in names {
        if name == b".." {
            return Err(Errno::EINVAL);
        }
        directory = enter(&directory, name)?;
        name = next;
    }
    if name == b".." || name.len() > crate::types::NAME_MAX {
        return Err(Errno::EINVAL);
    }
    let kind = FileType::from_mode(entry.mode).ok_or(Errno::EINVAL)?;
    let inode = match (directory.lookup(name), kind) {
        (Ok(known), FileType::Directory) if known.kind() == FileType::Directory => known,
        (Ok(known), _) => {
            if known.kind() == FileType::Directory {
                directory.rmdir(name)?
            } else {
                directory.unlink(name)?
            }
            make(entry, kind, part, &directory, name, links)?
        }
        (Err(_), _) => make(entry, kind, part, &directory, name, links)?,
    };
    set_attributes(entry, &*inode)
}

fn make(
    entry: &Entry<'_>,
    kind: FileType,
    part: u32,
    directory: &Arc<Node>,
    name: &[u8],
    links: &mut BTreeMap<(u32, u32), Arc<dyn Inode>>,
) -> Result<Arc<dyn Inode>, Errno> {
    let special = DeviceNumber::new(entry.special.0, entry.special.1);
    let permissions = entry.mode as u16 & PERMISSIONS;
    let new = NewInode { kind, permissions, owner: entry.owner, group: entry.group, special };
    let linked = kind != FileType::Directory && entry.links > 1;
    let known = links.get(&(part, entry.inode)).filter(|known| linked && known.kind() == kind).cloned();
    let inode = match known {
        Some(inode) => {
            directory.link(name, &inode)?;
            inode
        }
        None if kind == FileType::Symlink => directory.symlink(name, entry.content, &new)?,
        None => directory.create(name, &new)?,
    };
    if kind == FileType::Regular {
        // Of a file with several names, one entry has the contents.
        write_all(&inode, entry.content)?;
    }
    if linked {
        links.insert((part, entry.inode), inode.clone());
    }
    Ok(inode)
}

fn write_all(inode: &Arc<dyn Inode>, mut content: &[u8]) -> Result<(), Errno> {
    let node = Node::from_inode(inode)?;
    let mut offset = 0;
    while !content.is_empty() {
        let count = node.write_bytes(offset, content)?;
        content = content.get(count..).unwrap_or_default();
        offset += count as u64;
    }
    Ok(())
}

/// The directory of that name, made when it is missing.
fn enter(directory: &Arc<Node>, name: &[u8]) -> Result<Arc<Node>, Errno> {
    let inode = match directory.lookup(name) {
        Ok(known) => known,
        Err(Errno::ENOENT) => {
            let special = DeviceNumber::default();
            directory.create(
                name,
                &NewInode { kind: FileType::Directory, permissions: 0o755, owner: 0, group: 0, special },
            )?
        }
        Err(error) => return Err(error),
    };
    if inode.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    Node::from_inode(&inode)
}

fn set_attributes(entry: &Entry<'_>, inode: &dyn Inode) -> Result<(), Errno> {
    let time = Timestamp { seconds: i64::from(entry.modified), nanoseconds: 0 };
    let permissions = (inode.kind() != FileType::Symlink).then_some(entry.mode as u16 & PERMISSIONS);
    inode.set_attributes(&Changes {
        permissions,
        owner: Some(entry.owner),
        group: Some(entry.group),
        accessed: Some(time),
        modified: Some(time),
    })
}

#[cfg(test)]
mod tests {
    use super::super::cpio::tests::entry;
    use super::*;
    use crate::testing;
    use crate::tmpfs;

    fn content(inode: &Arc<dyn Inode>) -> std::vec::Vec<u8> {
        testing::read_inode(inode)
    }

    #[test]
    fn a_tree_with_links_and_devices_is_unpacked() {
        let account = testing::account();
        let root = tmpfs::root(&account, tmpfs::Options::default()).expect("root");
        let mut bytes = entry(9, 0o040_750, 2, b".", b"");
        bytes.extend(entry(1, 0o100_755, 2, b"bin/one", b""));
        bytes.extend(entry(1, 0o100_755, 2, b"two", b"shared"));
        bytes.extend(entry(2, 0o120_777, 1, b"link", b"bin/one"));
        bytes.extend(entry(3, 0o020_600, 1, b"dev/console", b""));
        bytes.extend(entry(4, 0o100_644, 1, b"two2", b"first"));
        bytes.extend(entry(5, 0o100_644, 1, b"two2", b"second"));
        assert_eq!(unpack(&bytes, &root), Ok(7));
        assert_eq!(root.metadata().map(|root| root.permissions), Ok(0o750));
        let one = root.lookup(b"bin").and_then(|bin| bin.lookup(b"one")).expect("one");
        assert_eq!(content(&one), b"shared");
        assert_eq!(one.metadata().map(|one| (one.links, one.owner, one.modified.seconds)), Ok((2, 3, 77)));
        assert_eq!(root.lookup(b"link").and_then(|link| link.read_link()), Ok(b"bin/one".to_vec()));
        let console = root.lookup(b"dev").and_then(|dev| dev.lookup(b"console")).and_then(|node| node.metadata());
        assert_eq!(console.map(|node| (node.kind, node.special)), Ok((FileType::CharDevice, DeviceNumber::new(5, 6))));
        assert_eq!(root.lookup(b"two2").map(|file| content(&file)), Ok(b"second".to_vec()));
    }

    #[test]
    fn names_do_not_leave_the_root() {
        let account = testing::account();
        let root = tmpfs::root(&account, tmpfs::Options::default()).expect("root");
        let bytes = entry(1, 0o100_644, 1, b"a/../../etc", b"x");
        assert!(matches!(unpack(&bytes, &root), Err(UnpackError::Entry { error: Errno::EINVAL, .. })));
        let bytes = entry(1, 0o100_644, 1, b"/etc/x", b"x");
        assert_eq!(unpack(&bytes, &root), Ok(1));
        assert!(root.lookup(b"etc").is_ok());
    }
}
