//! Opening files (`open(2)`, `openat2(2)`).

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::open;

use super::dentry::Dentry;
use super::mount::mount_flags;
use super::walk::{Last, Limits, Step, Walk};
use super::{Caching, Context, OpenRequest, Path, WalkFlags};
use crate::credentials::{MAY_EXECUTE, MAY_READ, MAY_WRITE};
use crate::device;
use crate::file::{File, FileOps, OpenDirectory, PathOnly};
use crate::types::{Changes, DeviceNumber, FileType, NewInode, SET_GID, Timestamp};

/// What `open` was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenHow {
    /// `O_*`.
    pub flags: u32,
    /// Permissions of a file that is made.
    pub permissions: u16,
    pub limits: Limits,
}

impl OpenHow {
    pub const fn flags(flags: u32) -> OpenHow {
        OpenHow { flags, permissions: 0, limits: Limits::NONE }
    }

    fn has(&self, flag: u32) -> bool {
        self.flags & flag == flag
    }

    fn writes(&self) -> bool {
        self.flags & open::O_ACCMODE != open::O_RDONLY
    }

    fn wanted(&self) -> u8 {
        let access = match self.flags & open::O_ACCMODE {
            open::O_RDONLY => MAY_READ,
            open::O_WRONLY => MAY_WRITE,
            // 3 is a Linux relic: rights are checked for both.
            _ => MAY_READ | MAY_WRITE,
        };
        if self.has(open::O_TRUNC) { access | MAY_WRITE } else { access }
    }
}

impl Context<'_> {
    /// Opens `path`, making the file when the flags say so.
    pub fn open(&self, start: Option<&Path>, path: &[u8], how: OpenHow) -> Result<Arc<File>, Errno> {
        if how.has(open::O_PATH) {
            return self.open_path(start, path, how);
        }
        if how.has(open::O_TMPFILE) {
            return self.open_unnamed(start, path, how);
        }
        if how.has(open::O_CREAT) && how.has(open::O_DIRECTORY) {
            return Err(Errno::EINVAL);
        }
        let no_follow = how.has(open::O_NOFOLLOW) || how.has(open::O_CREAT | open::O_EXCL);
        let mut walk = Walk::new(self, start, path, how.limits)?;
        loop {
            let last = walk.walk_to_parent()?;
            let step = match last {
                Last::Name { start, end } if how.has(open::O_CREAT) => {
                    if walk.trailing_slash {
                        return Err(Errno::EISDIR);
                    }
                    match self.open_last(&mut walk, start..end, &how, !no_follow)? {
                        Found::New(child) => {
                            let path = Path { mount: walk.at.mount.clone(), dentry: child };
                            return self.finish_open(path, &how, true);
                        }
                        Found::Step(step) => step,
                    }
                }
                // `/`, `.` and `..` exist and are directories.
                _ if how.has(open::O_CREAT) => return Err(Errno::EISDIR),
                last => walk.enter(last, !no_follow)?,
            };
            if let Step::Done = step {
                break;
            }
        }
        if how.has(open::O_DIRECTORY) && !walk.at.dentry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        self.finish_open(walk.at, &how, false)
    }

    /// The last component with `O_CREAT`: what is there, or a new file.
    fn open_last(
        &self,
        walk: &mut Walk<'_>,
        name: core::ops::Range<usize>,
        how: &OpenHow,
        follow: bool,
    ) -> Result<Found, Errno> {
        let directory = walk.at.dentry.clone();
        let known = match directory.lookup(walk.name(name.start, name.end)) {
            Ok(child) => Ok(child),
            Err(Errno::ENOENT) if directory.inode().caching() != Caching::None => {
                let _guard = directory.lock_changes()?;
                match directory.lookup_locked(walk.name(name.start, name.end)) {
                    Err(Errno::ENOENT) => Err(self.create_in(&walk.at, walk.name(name.start, name.end), how)?),
                    found => Ok(found?),
                }
            }
            Err(error) => return Err(error),
        };
        match known {
            Err(new) => Ok(Found::New(new)),
            Ok(_) if how.has(open::O_EXCL) => Err(Errno::EEXIST),
            Ok(child) => Ok(Found::Step(if walk.down(child, follow)? { Step::Again } else { Step::Done })),
        }
    }

    /// Makes a regular file. The caller holds the directory's lock.
    fn create_in(&self, directory: &Path, name: &[u8], how: &OpenHow) -> Result<Arc<Dentry>, Errno> {
        if directory.mount.is_read_only() {
            return Err(Errno::EROFS);
        }
        self.permission(directory, MAY_WRITE | MAY_EXECUTE)?;
        let new = self.new_inode(directory, FileType::Regular, how.permissions, DeviceNumber::default());
        let inode = directory.inode().create(name, &new)?;
        Ok(directory.dentry.attach(name, inode))
    }

    /// What a new inode in `directory` begins with: set-group-id directories pass on their group.
    pub(super) fn new_inode(
        &self,
        directory: &Path,
        kind: FileType,
        permissions: u16,
        special: DeviceNumber,
    ) -> NewInode {
        let above = directory.inode().ownership();
        let mut permissions = self.masked(permissions);
        let inherits = above.permissions & SET_GID != 0;
        if inherits && kind == FileType::Directory {
            permissions |= SET_GID;
        }
        let group = if inherits { above.group } else { self.credentials.fsgid };
        NewInode { kind, permissions, owner: self.credentials.fsuid, group, special }
    }

    fn open_path(&self, start: Option<&Path>, path: &[u8], how: OpenHow) -> Result<Arc<File>, Errno> {
        let flags = WalkFlags {
            follow: !how.has(open::O_NOFOLLOW),
            directory: how.has(open::O_DIRECTORY),
            empty: false,
            limits: how.limits,
        };
        let place = self.walk(start, path, flags)?;
        let kept = open::O_PATH | open::O_DIRECTORY | open::O_NOFOLLOW;
        Ok(File::new(place, Arc::new(PathOnly), how.flags & kept))
    }

    fn open_unnamed(&self, start: Option<&Path>, path: &[u8], how: OpenHow) -> Result<Arc<File>, Errno> {
        if !how.writes() {
            return Err(Errno::EINVAL);
        }
        let flags = WalkFlags { follow: !how.has(open::O_NOFOLLOW), directory: true, empty: false, limits: how.limits };
        let directory = self.walk(start, path, flags)?;
        if directory.mount.is_read_only() {
            return Err(Errno::EROFS);
        }
        self.permission(&directory, MAY_WRITE | MAY_EXECUTE)?;
        let new = self.new_inode(&directory, FileType::Regular, how.permissions, DeviceNumber::default());
        let inode = directory.inode().create_unnamed(&new)?;
        let label = alloc::format!("#{}", inode.number());
        let dentry = directory.dentry.detached(inode, label.as_bytes());
        dentry.set_removed();
        self.finish_open(Path { mount: directory.mount, dentry }, &how, true)
    }

    /// Opens what was found. A file that this call made needs no permission.
    fn finish_open(&self, path: Path, how: &OpenHow, made: bool) -> Result<Arc<File>, Errno> {
        let mut flags = how.flags;
        match path.kind() {
            FileType::Symlink => return Err(Errno::ELOOP),
            FileType::Directory if how.wanted() & MAY_WRITE != 0 || how.has(open::O_CREAT) => {
                return Err(Errno::EISDIR);
            }
            FileType::CharDevice | FileType::BlockDevice if path.mount.flags() & mount_flags::NO_DEV != 0 => {
                return Err(Errno::EACCES);
            }
            FileType::CharDevice | FileType::BlockDevice | FileType::Fifo | FileType::Socket => flags &= !open::O_TRUNC,
            _ => {}
        }
        if !made {
            self.permission(&path, how.wanted())?;
            if how.has(open::O_NOATIME) && !self.credentials.owns(path.inode().ownership()) {
                return Err(Errno::EPERM);
            }
        }
        let ops = self.open_inode(&path, flags)?;
        if flags & open::O_TRUNC != 0 && !made {
            path.inode().set_size(0)?;
            self.drop_set_id(&path)?;
        }
        Ok(File::new(path, ops, flags))
    }

    fn open_inode(&self, path: &Path, flags: u32) -> Result<Arc<dyn FileOps>, Errno> {
        let access = flags & open::O_ACCMODE;
        let request = OpenRequest {
            read: access != open::O_WRONLY,
            write: access != open::O_RDONLY,
            truncate: flags & open::O_TRUNC != 0,
            nonblocking: flags & open::O_NONBLOCK != 0,
            no_terminal: flags & open::O_NOCTTY != 0,
        };
        let inode = path.inode().clone();
        match path.kind() {
            FileType::Regular => inode.open(&request),
            FileType::Directory => Ok(match inode.open_directory()? {
                Some(ops) => ops,
                None => Arc::new(OpenDirectory),
            }),
            FileType::CharDevice => device::open(inode.metadata()?.special, &request),
            FileType::Fifo => match inode.pipe() {
                Some(pipe) => pipe.open(&request),
                None => Err(Errno::ENXIO),
            },
            FileType::BlockDevice | FileType::Socket => Err(Errno::ENXIO),
            FileType::Symlink => Err(Errno::ELOOP),
        }
    }

    /// Opens a program for execution: a regular file that may be executed, on a mount that lets it.
    pub fn open_program(&self, start: Option<&Path>, path: &[u8], flags: WalkFlags) -> Result<Arc<File>, Errno> {
        let place = self.walk(start, path, flags)?;
        match place.kind() {
            FileType::Symlink => return Err(Errno::ELOOP),
            FileType::Regular if place.mount.flags() & mount_flags::NO_EXEC == 0 => {}
            _ => return Err(Errno::EACCES),
        }
        self.permission(&place, MAY_EXECUTE)?;
        let ops = self.open_inode(&place, open::O_RDONLY)?;
        Ok(File::new(place, ops, open::O_RDONLY))
    }

    /// Opens a place that is already known once more, as `/proc/self/fd/N` does.
    pub fn reopen(&self, path: &Path, flags: u32) -> Result<Arc<File>, Errno> {
        self.finish_open(path.clone(), &OpenHow::flags(flags & !(open::O_CREAT | open::O_EXCL)), false)
    }

    /// Takes set-user-id and set-group-id away when the contents were changed by who may not set them.
    pub(super) fn drop_set_id(&self, path: &Path) -> Result<(), Errno> {
        if let Some(permissions) = self.without_set_id(path.inode().ownership().permissions) {
            let now = Timestamp::now();
            let changes = Changes { permissions: Some(permissions), modified: Some(now), ..Changes::default() };
            path.inode().set_attributes(&changes)?;
        }
        Ok(())
    }
}

enum Found {
    New(Arc<Dentry>),
    Step(Step),
}
