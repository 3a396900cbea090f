//! Copying up.

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;

use super::inode::OverlayInode;
use crate::file::File;
use crate::tmpfs::Node;
use crate::types::{FileType, Metadata, NewInode};
use crate::vfs::{Inode, OpenRequest, Path, anonymous_path};

/// Bytes copied at a time.
const CHUNK: usize = 64 << 10;

impl OverlayInode {
    /// The upper node, copied up if there is none: of a regular file no more than `size` bytes.
    pub fn copy_up(&self, size: u64) -> Result<Arc<Node>, Errno> {
        if let Some(upper) = self.upper() {
            return Ok(upper);
        }
        // The directories above first, from the top down: the tree may be deeper than the stack.
        let above = |inode: &OverlayInode| inode.home.lock().as_ref().map(|home| home.directory.clone());
        let mut missing = Vec::new();
        let mut next = above(self);
        while let Some(directory) = next.filter(|directory| directory.upper().is_none()) {
            next = above(&directory);
            missing.push(directory);
        }
        while let Some(directory) = missing.pop() {
            directory.copy_one(u64::MAX)?;
        }
        self.copy_one(size)
    }

    /// Copies up what lies in a directory that was copied up.
    fn copy_one(&self, size: u64) -> Result<Arc<Node>, Errno> {
        let _copying = self.copying.lock();
        if let Some(upper) = self.upper() {
            return Ok(upper);
        }
        let lower = self.lower.as_ref().ok_or(Errno::EIO)?;
        let metadata = lower.inode().metadata()?;
        let node = self.duplicate(lower.inode(), &metadata, size)?;
        node.set_origin(self.number());
        let home = self.home.lock().clone();
        if metadata.kind == FileType::Directory {
            let home = home.ok_or(Errno::ENOENT)?;
            home.directory.upper().ok_or(Errno::ENOENT)?.insert_copy(&home.name, &node)?;
            node.copy_attributes(&metadata);
            *self.upper.lock() = Some(node.clone());
        } else {
            // All names, those that the upper tree does not hold included. A file of which no name is known here, but
            // that has some, is found through `copies`.
            let links = self.lower_links(metadata.links);
            if let Some(home) = home {
                home.directory.upper().ok_or(Errno::ENOENT)?.insert_copy(&home.name, &node)?;
            }
            node.set_links(links);
            node.copy_attributes(&metadata);
            *self.upper.lock() = Some(node.clone());
            if metadata.links > 1 {
                let mut names = self.overlay.names.lock();
                names.lost.remove(&self.number());
                names.copies.insert(self.number(), node.clone());
            }
        }
        Ok(node)
    }

    /// A node without a name that is like `lower`.
    fn duplicate(&self, lower: &Arc<dyn Inode>, metadata: &Metadata, size: u64) -> Result<Arc<Node>, Errno> {
        let new = NewInode {
            kind: metadata.kind,
            permissions: metadata.permissions,
            owner: metadata.owner,
            group: metadata.group,
            special: metadata.special,
        };
        if metadata.kind == FileType::Symlink {
            return Node::new_link(&self.overlay.upper, &new, &lower.read_link()?);
        }
        let node = Node::new(&self.overlay.upper, &new)?;
        if metadata.kind == FileType::Regular {
            copy_data(lower, &node, metadata.size.min(size))?;
        }
        Ok(node)
    }
}

fn copy_data(lower: &Arc<dyn Inode>, node: &Node, size: u64) -> Result<(), Errno> {
    if size == 0 {
        return Ok(());
    }
    let request = OpenRequest { read: true, ..OpenRequest::default() };
    let place: Path = anonymous_path(lower.clone(), b"copied up");
    let file = File::new(place, lower.clone().open(&request)?, 0);
    let mut buffer: Vec<u8> = Vec::new();
    let len = usize::try_from(size).map_or(CHUNK, |size| size.min(CHUNK));
    buffer.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(len, 0);
    let mut offset = 0;
    while offset < size {
        let want = usize::try_from(size - offset).map_or(len, |left| left.min(len));
        let chunk = buffer.get_mut(..want).unwrap_or_default();
        let count = file.read_bytes(offset, chunk)?;
        let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            written += node.write_bytes(offset + written as u64, rest)?;
        }
        offset += count as u64;
    }
    Ok(())
}
