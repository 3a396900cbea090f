//! Calls that make, remove and move names: `mkdir(2)`, `mknod(2)`, `symlink(2)`, `link(2)`, `unlink(2)`, `rmdir(2)`,
//! `rename(2)` and their kin.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use aios_abi::Errno;

use super::dentry::Dentry;
use super::walk::{Last, Limits, Walk};
use super::{Caching, Context, Path, WalkFlags};
use crate::credentials::{MAY_EXECUTE, MAY_READ, MAY_WRITE, capability};
use crate::types::{DeviceNumber, FileType, PATH_MAX, RenameMode, SET_GID, SET_UID, STICKY};

/// A directory and a name to be made or removed in it.
struct Place {
    directory: Path,
    last: Last,
    name: Vec<u8>,
    trailing_slash: bool,
}

impl Context<'_> {
    fn place(&self, start: Option<&Path>, path: &[u8]) -> Result<Place, Errno> {
        let mut walk = Walk::new(self, start, path, Limits::NONE)?;
        let last = walk.walk_to_parent()?;
        let name = match last {
            Last::Name { start, end } => walk.name(start, end).to_vec(),
            _ => Vec::new(),
        };
        Ok(Place { directory: walk.at, last, name, trailing_slash: walk.trailing_slash })
    }

    /// Runs `make` in the directory of a name that does not exist yet, and enters what it made.
    fn make(
        &self,
        start: Option<&Path>,
        path: &[u8],
        directory_wanted: bool,
        make: impl FnOnce(&Path, &[u8]) -> Result<Arc<dyn super::Inode>, Errno>,
    ) -> Result<Arc<Dentry>, Errno> {
        let place = self.place(start, path)?;
        if !matches!(place.last, Last::Name { .. }) {
            return Err(Errno::EEXIST);
        }
        let directory = &place.directory;
        let _guard = directory.dentry.lock_changes()?;
        match directory.dentry.lookup_locked(&place.name) {
            Ok(_) => return Err(Errno::EEXIST),
            // Where names are made up there is no name to give to something new: not found, rather than not allowed.
            Err(Errno::ENOENT) if directory.inode().caching() != Caching::None => {}
            Err(error) => return Err(error),
        }
        if place.trailing_slash && !directory_wanted {
            return Err(Errno::ENOENT);
        }
        if directory.mount.is_read_only() {
            return Err(Errno::EROFS);
        }
        self.permission(directory, MAY_WRITE | MAY_EXECUTE)?;
        let inode = make(directory, &place.name)?;
        Ok(directory.dentry.attach(&place.name, inode))
    }

    /// `mkdir(2)`.
    pub fn mkdir(&self, start: Option<&Path>, path: &[u8], permissions: u16) -> Result<(), Errno> {
        let permissions = permissions & (0o777 | STICKY);
        self.make(start, path, true, |directory, name| {
            let new = self.new_inode(directory, FileType::Directory, permissions, DeviceNumber::default());
            directory.inode().create(name, &new)
        })
        .map(drop)
    }

    /// `mknod(2)`: a regular file, device node, fifo or socket.
    pub fn mknod(
        &self,
        start: Option<&Path>,
        path: &[u8],
        kind: FileType,
        permissions: u16,
        special: DeviceNumber,
    ) -> Result<Path, Errno> {
        match kind {
            FileType::Directory => return Err(Errno::EPERM),
            FileType::Symlink => return Err(Errno::EINVAL),
            _ => {}
        }
        let mut mount = None;
        let dentry = self.make(start, path, false, |directory, name| {
            let device = matches!(kind, FileType::CharDevice | FileType::BlockDevice);
            if device && !self.credentials.capable(capability::MKNOD) {
                return Err(Errno::EPERM);
            }
            mount = Some(directory.mount.clone());
            directory.inode().create(name, &self.new_inode(directory, kind, permissions, special))
        })?;
        mount.map(|mount| Path { mount, dentry }).ok_or(Errno::EIO)
    }

    /// `symlink(2)`: `target` is not looked at.
    pub fn symlink(&self, target: &[u8], start: Option<&Path>, path: &[u8]) -> Result<(), Errno> {
        if target.is_empty() {
            return Err(Errno::ENOENT);
        }
        if target.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        self.make(start, path, false, |directory, name| {
            let mut new = self.new_inode(directory, FileType::Symlink, 0, DeviceNumber::default());
            new.permissions = 0o777;
            directory.inode().symlink(name, target, &new)
        })
        .map(drop)
    }

    /// `link(2)`: one more name for what is at `from`.
    pub fn link(&self, from: &Path, start: Option<&Path>, path: &[u8]) -> Result<(), Errno> {
        self.make(start, path, false, |directory, name| {
            if !Arc::ptr_eq(&from.mount, &directory.mount) {
                return Err(Errno::EXDEV);
            }
            self.may_link(from)?;
            if from.kind() == FileType::Directory {
                return Err(Errno::EPERM);
            }
            directory.inode().link(name, from.inode())?;
            from.inode().names_changed();
            Ok(from.inode().clone())
        })
        .map(drop)
    }

    /// Others' files get no more names, so that they cannot be kept when their owner removes them, unless they can be
    /// changed anyway (Linux's `fs.protected_hardlinks`): `EPERM`.
    fn may_link(&self, from: &Path) -> Result<(), Errno> {
        let inode = from.inode().ownership();
        if self.credentials.owns(inode) {
            return Ok(());
        }
        let gains_rights = inode.permissions & SET_UID != 0 || inode.permissions & (SET_GID | 0o010) == SET_GID | 0o010;
        let safe = from.kind() == FileType::Regular
            && !gains_rights
            && self.credentials.check(from.kind(), inode, MAY_READ | MAY_WRITE).is_ok();
        if safe { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// Refuses to remove `child`: a sticky directory of others (`EPERM`), a mount point (`EBUSY`).
    fn check_removal(&self, directory: &Path, child: &Arc<Dentry>) -> Result<(), Errno> {
        self.permission(directory, MAY_WRITE | MAY_EXECUTE)?;
        let above = directory.inode().ownership();
        if above.permissions & STICKY != 0
            && self.credentials.fsuid != above.owner
            && !self.credentials.owns(child.inode().ownership())
        {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// `unlink(2)`.
    pub fn unlink(&self, start: Option<&Path>, path: &[u8]) -> Result<(), Errno> {
        let place = self.place(start, path)?;
        if !matches!(place.last, Last::Name { .. }) {
            return Err(Errno::EISDIR);
        }
        let directory = &place.directory;
        if directory.mount.is_read_only() {
            return Err(Errno::EROFS);
        }
        let _guard = directory.dentry.lock_changes()?;
        let child = directory.dentry.lookup_locked(&place.name)?;
        if place.trailing_slash {
            return Err(if child.is_directory() { Errno::EISDIR } else { Errno::ENOTDIR });
        }
        self.check_removal(directory, &child)?;
        if child.is_directory() {
            return Err(Errno::EISDIR);
        }
        if child.covered.load(Ordering::Acquire) != 0 {
            return Err(Errno::EBUSY);
        }
        directory.inode().unlink(&place.name)?;
        child.inode().names_changed();
        directory.dentry.detach(&child, true);
        Ok(())
    }

    /// `rmdir(2)`.
    pub fn rmdir(&self, start: Option<&Path>, path: &[u8]) -> Result<(), Errno> {
        let place = self.place(start, path)?;
        match place.last {
            Last::Here => return Err(Errno::EBUSY),
            Last::Dot => return Err(Errno::EINVAL),
            Last::DotDot => return Err(Errno::ENOTEMPTY),
            Last::Name { .. } => {}
        }
        let directory = &place.directory;
        if directory.mount.is_read_only() {
            return Err(Errno::EROFS);
        }
        let _guard = directory.dentry.lock_changes()?;
        let child = directory.dentry.lookup_locked(&place.name)?;
        self.check_removal(directory, &child)?;
        if !child.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if child.covered.load(Ordering::Acquire) != 0 {
            return Err(Errno::EBUSY);
        }
        directory.inode().rmdir(&place.name)?;
        directory.dentry.detach(&child, true);
        Ok(())
    }

    /// `renameat2(2)`.
    pub fn rename(
        &self,
        old: (Option<&Path>, &[u8]),
        new: (Option<&Path>, &[u8]),
        mode: RenameMode,
    ) -> Result<(), Errno> {
        let from = self.place(old.0, old.1)?;
        let to = self.place(new.0, new.1)?;
        if !Arc::ptr_eq(&from.directory.mount, &to.directory.mount) {
            return Err(Errno::EXDEV);
        }
        if !matches!(from.last, Last::Name { .. }) {
            return Err(Errno::EBUSY);
        }
        if !matches!(to.last, Last::Name { .. }) {
            return Err(if mode == RenameMode::NoReplace { Errno::EEXIST } else { Errno::EBUSY });
        }
        if from.directory.mount.is_read_only() {
            return Err(Errno::EROFS);
        }
        let (source, target) = (&from.directory.dentry, &to.directory.dentry);
        if Arc::ptr_eq(source, target) {
            let _guard = source.lock_changes()?;
            return self.rename_locked(&from, &to, mode);
        }
        let _renames = from.directory.mount.file_system().lock_renames();
        // A directory before what is below it; others by address.
        let source_first =
            target.is_within(source) || (!source.is_within(target) && Arc::as_ptr(source) < Arc::as_ptr(target));
        let (first, second) = if source_first { (source, target) } else { (target, source) };
        let _first = first.lock_changes()?;
        let _second = second.lock_changes()?;
        self.rename_locked(&from, &to, mode)
    }

    fn rename_locked(&self, from: &Place, to: &Place, mode: RenameMode) -> Result<(), Errno> {
        let (source, target) = (&from.directory, &to.directory);
        let moved = source.dentry.lookup_locked(&from.name)?;
        let replaced = match target.dentry.lookup_locked(&to.name) {
            Ok(_) if mode == RenameMode::NoReplace => return Err(Errno::EEXIST),
            Ok(found) => Some(found),
            Err(Errno::ENOENT) if mode == RenameMode::Exchange => return Err(Errno::ENOENT),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(error),
        };
        if mode == RenameMode::Exchange {
            if to.trailing_slash && !replaced.as_ref().is_some_and(|dentry| dentry.is_directory()) {
                return Err(Errno::ENOTDIR);
            }
            if from.trailing_slash && !moved.is_directory() {
                return Err(Errno::ENOTDIR);
            }
        } else if !moved.is_directory() && (from.trailing_slash || to.trailing_slash) {
            return Err(Errno::ENOTDIR);
        }
        // Into itself, or onto a directory that it is in.
        if moved.is_directory() && target.dentry.is_within(&moved) {
            return Err(Errno::EINVAL);
        }
        if let Some(replaced) = &replaced
            && source.dentry.is_within(replaced)
        {
            return Err(if mode == RenameMode::Exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        if replaced.as_ref().is_some_and(|replaced| Arc::ptr_eq(replaced.inode(), moved.inode())) {
            return Ok(());
        }
        self.check_removal(source, &moved)?;
        match &replaced {
            None => self.permission(target, MAY_WRITE | MAY_EXECUTE)?,
            Some(replaced) => {
                self.check_removal(target, replaced)?;
                if mode != RenameMode::Exchange {
                    match (moved.is_directory(), replaced.is_directory()) {
                        (true, false) => return Err(Errno::ENOTDIR),
                        (false, true) => return Err(Errno::EISDIR),
                        _ => {}
                    }
                }
            }
        }
        // A directory that changes its parent has its `..` rewritten.
        if !Arc::ptr_eq(&source.dentry, &target.dentry) {
            let check = |dentry: &Arc<Dentry>| {
                if !dentry.is_directory() {
                    return Ok(());
                }
                self.credentials.check(FileType::Directory, dentry.inode().ownership(), MAY_WRITE)
            };
            check(&moved)?;
            if let (RenameMode::Exchange, Some(replaced)) = (mode, &replaced) {
                check(replaced)?;
            }
        }
        let covered = |dentry: &Arc<Dentry>| dentry.covered.load(Ordering::Acquire) != 0;
        if covered(&moved) || replaced.as_ref().is_some_and(covered) {
            return Err(Errno::EBUSY);
        }
        source.inode().rename(&from.name, target.inode(), &to.name, mode)?;
        if let Some(replaced) = &replaced {
            replaced.inode().names_changed();
        }
        match &replaced {
            Some(replaced) if mode == RenameMode::Exchange => {
                target.dentry.detach(replaced, false);
                source.dentry.move_child(&moved, &target.dentry, &to.name);
                target.dentry.move_child(replaced, &source.dentry, &from.name);
            }
            _ => {
                if let Some(replaced) = &replaced {
                    target.dentry.detach(replaced, true);
                }
                source.dentry.move_child(&moved, &target.dentry, &to.name);
            }
        }
        Ok(())
    }

    /// `readlink(2)`.
    pub fn read_link(&self, start: Option<&Path>, path: &[u8]) -> Result<Vec<u8>, Errno> {
        let flags = WalkFlags { empty: start.is_some(), ..WalkFlags::NO_FOLLOW };
        let place = self.walk(start, path, flags)?;
        if place.kind() != FileType::Symlink {
            return Err(if path.is_empty() { Errno::ENOENT } else { Errno::EINVAL });
        }
        place.inode().read_link()
    }
}
