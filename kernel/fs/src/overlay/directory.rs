//! Names in an overlay: looking up, making, removing, moving, listing.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use hashbrown::HashSet;
use kernel_mm::io::Sink;
use kernel_sync::Mutex;

use super::inode::{Home, OverlayInode};
use crate::file::{File, FileOps, list_with_dots};
use crate::tmpfs::Node;
use crate::types::{DirEntry, DirSink, FileType, RenameMode};
use crate::vfs::{Dentry, Inode, NameHash};

impl OverlayInode {
    /// This inode as the VFS refers to it.
    fn this(&self) -> Result<Arc<OverlayInode>, Errno> {
        let inodes = self.overlay.inodes.lock();
        inodes.get(&self.number()).and_then(|inode| inode.upgrade()).ok_or(Errno::ENOENT)
    }

    fn home_of(&self, name: &[u8]) -> Result<Option<Home>, Errno> {
        Ok(Some(Home { directory: self.this()?, name: Arc::from(name) }))
    }

    /// The name in the lower directory, whatever the upper one says.
    fn lower_entry(&self, name: &[u8]) -> Result<Option<Arc<Dentry>>, Errno> {
        match self.lower.as_ref().map(|lower| lower.lookup(name)) {
            Some(Ok(entry)) => Ok(Some(entry)),
            None | Some(Err(Errno::ENOENT)) => Ok(None),
            Some(Err(error)) => Err(error),
        }
    }

    fn upper_entry(&self, name: &[u8]) -> Option<Arc<Node>> {
        self.upper()?.entry(name).ok()
    }

    pub fn find(&self, name: &[u8]) -> Result<Arc<OverlayInode>, Errno> {
        let Some(node) = self.upper_entry(name) else {
            let lower = self.lower_entry(name)?.ok_or(Errno::ENOENT)?;
            return Ok(self.overlay.lower_inode(lower, self.home_of(name)?));
        };
        if self.overlay.is_whiteout(&node) {
            return Err(Errno::ENOENT);
        }
        let shows_through = node.kind() == FileType::Directory && !node.is_opaque();
        let lower = if shows_through { self.lower_entry(name)?.filter(|lower| lower.is_directory()) } else { None };
        Ok(self.overlay.upper_inode(node, lower, self.home_of(name)?))
    }

    /// Puts a new node under a name that is not visible.
    pub fn enter_new(&self, name: &[u8], node: Arc<Node>) -> Result<Arc<OverlayInode>, Errno> {
        let directory = self.copy_up(u64::MAX)?;
        if node.kind() == FileType::Directory && self.lower_entry(name)?.is_some() {
            node.set_opaque()?;
        }
        directory.insert_over(name, &node)?;
        Ok(self.overlay.upper_inode(node, None, self.home_of(name)?))
    }

    /// Gives a file one more name.
    pub fn enter_link(&self, name: &[u8], inode: &OverlayInode) -> Result<(), Errno> {
        let node = inode.copy_up(u64::MAX)?;
        self.copy_up(u64::MAX)?.insert_link_over(name, &node)?;
        if inode.home.lock().is_none() {
            inode.set_home(self.home_of(name)?);
        }
        Ok(())
    }

    /// Hides a name of the lower directory, or takes it out of the upper one.
    fn hide(&self, name: &[u8]) -> Result<(), Errno> {
        let directory = self.copy_up(u64::MAX)?;
        if self.lower_entry(name)?.is_some() {
            directory.insert_link_over(name, &self.overlay.whiteout)
        } else {
            directory.discard(name)
        }
    }

    /// Removes a name. Directories were found empty.
    pub fn remove(&self, name: &[u8]) -> Result<(), Errno> {
        let child = self.find(name)?;
        let was_lower_only = self.upper_entry(name).is_none();
        self.hide(name)?;
        self.after_removal(name, &child, was_lower_only);
        Ok(())
    }

    /// Brings the counts of a file that lost a name up to date.
    fn after_removal(&self, name: &[u8], child: &OverlayInode, was_lower_only: bool) {
        if was_lower_only && child.kind() != FileType::Directory {
            match child.upper() {
                Some(copy) => copy.set_links(copy.links().saturating_sub(1)),
                None => *self.overlay.names.lock().lost.entry(child.number()).or_default() += 1,
            }
        }
        let links = match child.upper() {
            Some(copy) => copy.links(),
            None => child.metadata().map_or(0, |metadata| metadata.links),
        };
        if links == 0 && child.kind() != FileType::Directory {
            let copy = self.overlay.names.lock().copies.remove(&child.number());
            drop(copy);
            // Only its users know it now: a copy made from here on is theirs alone.
            child.set_home(None);
            return;
        }
        let mut home = child.home.lock();
        let left = home.take_if(|home| core::ptr::eq(&*home.directory, self) && *home.name == *name);
        drop(home);
        drop(left);
    }

    /// `ENOTEMPTY` when a name is visible in this directory.
    pub fn check_empty(&self) -> Result<(), Errno> {
        let mut empty = true;
        self.list(2, &mut |_: DirEntry<'_>| {
            empty = false;
            false
        })?;
        if empty { Ok(()) } else { Err(Errno::ENOTEMPTY) }
    }

    /// True for a directory of the lower tree: renaming it would mean copying everything below.
    fn is_fixed(&self) -> bool {
        self.kind() == FileType::Directory && self.lower.is_some()
    }

    pub fn move_name(
        &self,
        name: &[u8],
        target: &OverlayInode,
        new_name: &[u8],
        mode: RenameMode,
    ) -> Result<(), Errno> {
        let moved = self.find(name)?;
        let replaced = match target.find(new_name) {
            Ok(_) if mode == RenameMode::NoReplace => return Err(Errno::EEXIST),
            Ok(found) => Some(found),
            Err(Errno::ENOENT) if mode == RenameMode::Exchange => return Err(Errno::ENOENT),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        if moved.is_fixed() || mode == RenameMode::Exchange && replaced.as_ref().is_some_and(|other| other.is_fixed()) {
            return Err(Errno::EXDEV);
        }
        if let (RenameMode::Exchange, Some(other)) = (mode, &replaced) {
            return self.exchange(name, &moved, target, new_name, other);
        }
        if let Some(replaced) = &replaced
            && replaced.kind() == FileType::Directory
        {
            replaced.check_empty()?;
        }
        let node = moved.copy_up(u64::MAX)?;
        let was_lower_only = target.upper_entry(new_name).is_none();
        let (from, to) = (self.copy_up(u64::MAX)?, target.copy_up(u64::MAX)?);
        // One of several lower names of a copied file may not be in the upper tree yet.
        if self.upper_entry(name).is_none() {
            from.insert_copy(name, &node)?;
        }
        target.set_opaque_over(new_name, &node)?;
        to.discard(new_name)?;
        from.move_node(name, &to, new_name)?;
        self.hide_if_lower(name, &from)?;
        if let Some(replaced) = &replaced {
            target.after_removal(new_name, replaced, was_lower_only);
        }
        moved.set_home(target.home_of(new_name)?);
        Ok(())
    }

    fn exchange(
        &self,
        name: &[u8],
        moved: &OverlayInode,
        target: &OverlayInode,
        new_name: &[u8],
        other: &OverlayInode,
    ) -> Result<(), Errno> {
        let (node, other_node) = (moved.copy_up(u64::MAX)?, other.copy_up(u64::MAX)?);
        let (from, to) = (self.copy_up(u64::MAX)?, target.copy_up(u64::MAX)?);
        for (inode, directory, name, node) in [(self, &from, name, &node), (target, &to, new_name, &other_node)] {
            if inode.upper_entry(name).is_none() {
                directory.insert_copy(name, node)?;
            }
        }
        target.set_opaque_over(new_name, &node)?;
        self.set_opaque_over(name, &other_node)?;
        let to: Arc<dyn Inode> = to;
        Inode::rename(&*from, name, &to, new_name, RenameMode::Exchange)?;
        moved.set_home(target.home_of(new_name)?);
        other.set_home(self.home_of(name)?);
        Ok(())
    }

    /// A directory that comes over a lower name must not let that shine through.
    fn set_opaque_over(&self, name: &[u8], node: &Node) -> Result<(), Errno> {
        if node.kind() == FileType::Directory && self.lower_entry(name)?.is_some() {
            node.set_opaque()?;
        }
        Ok(())
    }

    fn hide_if_lower(&self, name: &[u8], upper: &Node) -> Result<(), Errno> {
        if self.lower_entry(name)?.is_some() {
            upper.insert_link_over(name, &self.overlay.whiteout)?;
        }
        Ok(())
    }

    /// Lists what is visible from `cursor` on. Only for directories of one layer do cursors stay good while names
    /// change; an open directory keeps a list ([`open`]).
    pub fn list(&self, cursor: u64, sink: &mut dyn DirSink) -> Result<(), Errno> {
        if let Some(lower) = &self.lower
            && self.upper().is_none()
        {
            return lower.inode().read_dir(cursor, sink);
        }
        for (place, (name, number, kind)) in self.merged()?.iter().enumerate() {
            let place = place as u64 + 2;
            if place >= cursor && !sink.entry(DirEntry { name, inode: *number, kind: *kind, next: place + 1 }) {
                break;
            }
        }
        Ok(())
    }

    /// The names of both layers.
    fn merged(&self) -> Result<Vec<Listed>, Errno> {
        let mut listed: Vec<Listed> = Vec::new();
        let mut hidden: HashSet<Box<[u8]>, NameHash> = HashSet::default();
        if let Some(upper) = self.upper() {
            upper.for_each_entry(&mut |name, node| {
                if self.lower.is_some() {
                    hidden.insert(Box::from(name));
                }
                if !self.overlay.is_whiteout(node) {
                    listed.push((Box::from(name), self.overlay.number_of(node), node.kind()));
                }
            })?;
        }
        if let Some(lower) = &self.lower {
            lower.inode().read_dir(2, &mut |entry: DirEntry<'_>| {
                if !hidden.contains(entry.name) {
                    listed.push((Box::from(entry.name), entry.inode, entry.kind));
                }
                true
            })?;
        }
        Ok(listed)
    }
}

type Listed = (Box<[u8]>, u64, FileType);

/// An open directory: a list made when the listing starts, so that it neither repeats nor loses names while they change.
struct OpenOverlay(Mutex<Option<Vec<Listed>>>);

pub(super) fn open() -> Arc<dyn FileOps> {
    Arc::new(OpenOverlay(Mutex::new(None)))
}

impl FileOps for OpenOverlay {
    fn read(&self, _file: &File, _offset: &mut u64, _sink: &mut Sink) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn read_dir(&self, file: &File, cursor: &mut u64, sink: &mut dyn DirSink) -> Result<(), Errno> {
        let inode = OverlayInode::from_inode(file.inode())?;
        let mut list = self.0.lock();
        if *cursor == 0 {
            *list = None;
        }
        list_with_dots(file, cursor, sink, &mut |from, sink| {
            let list = match &mut *list {
                Some(list) => list,
                empty => empty.insert(inode.merged()?),
            };
            let start = usize::try_from(from.saturating_sub(2)).unwrap_or(usize::MAX);
            for (place, (name, number, kind)) in list.iter().enumerate().skip(start) {
                let next = place as u64 + 3;
                if !sink.entry(DirEntry { name, inode: *number, kind: *kind, next }) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn size(&self, _file: &File) -> Result<u64, Errno> {
        Ok(i64::MAX as u64)
    }

    fn sync(&self, _file: &File, _data_only: bool) -> Result<(), Errno> {
        Ok(())
    }
}
