//! Path walking (`path_resolution(7)`), without recursion and without allocation unless a symbolic link is met.
//!
//! A walk goes in two strides: to the directory of the last component ([`Walk::walk_to_parent`]), then into that component
//! ([`Walk::enter`]). Calls that make or remove names stop between the two. When the last component is a symbolic
//! link to be followed, its text takes the place of what is left of the path and both strides are made again.
//!
//! Order of errors, as Linux has it, at each component: not a directory (`ENOTDIR`), no right to search (`EACCES`),
//! name too long (`ENAMETOOLONG`), no such name (`ENOENT`), too many links (`ELOOP`).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use aios_abi::Errno;
use aios_abi::linux::consts::MAXSYMLINKS;

use super::Path;
use super::dentry::Dentry;
use super::inode::LinkTarget;
use super::mount::Namespace;
use crate::credentials::{Credentials, MAY_EXECUTE, capability};
use crate::types::{FileType, PATH_MAX, PERMISSIONS};

/// Who walks, and from where.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub namespace: &'a Arc<Namespace>,
    pub root: &'a Path,
    pub cwd: &'a Path,
    pub credentials: &'a Credentials,
    /// Permissions that new files do not get.
    pub umask: u16,
}

/// How to treat the last component.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WalkFlags {
    /// Follow it when it is a symbolic link. A trailing slash does that too.
    pub follow: bool,
    /// `ENOTDIR` unless it is a directory.
    pub directory: bool,
    /// An empty path is the place the walk starts at: `ENOENT` otherwise.
    pub empty: bool,
    /// `openat2` restrictions.
    pub limits: Limits,
}

impl WalkFlags {
    pub const FOLLOW: WalkFlags = WalkFlags { follow: true, ..WalkFlags::NO_FOLLOW };
    pub const NO_FOLLOW: WalkFlags = WalkFlags { follow: false, directory: false, empty: false, limits: Limits::NONE };
}

/// What a walk may not do (`openat2(2)`, `RESOLVE_*`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// No crossing of mounts: `EXDEV`.
    pub one_mount: bool,
    /// No links that lead to objects rather than paths: `ELOOP`.
    pub no_magic_links: bool,
    /// No symbolic links at all: `ELOOP`.
    pub no_links: bool,
    /// Never above the start: `EXDEV`.
    pub beneath: bool,
    /// The start is the root.
    pub in_root: bool,
}

impl Limits {
    pub const NONE: Limits =
        Limits { one_mount: false, no_magic_links: false, no_links: false, beneath: false, in_root: false };
}

/// What is left of a walk after its first stride.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Last {
    /// Nothing: the path was `/` or a series of slashes, or a link led to an object.
    Here,
    Dot,
    DotDot,
    /// A name, at this range of the text.
    Name {
        start: usize,
        end: usize,
    },
}

/// The outcome of the second stride.
pub(super) enum Step {
    Done,
    /// A symbolic link was followed; walk on.
    Again,
}

enum Text<'a> {
    Given(&'a [u8]),
    Expanded(Vec<u8>),
}

impl Text<'_> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Text::Given(bytes) => bytes,
            Text::Expanded(bytes) => bytes,
        }
    }
}

/// A walk under way.
pub(super) struct Walk<'a> {
    context: &'a Context<'a>,
    limits: Limits,
    /// Where the walk may not leave: the process's root, or the start.
    root: &'a Path,
    pub(super) at: Path,
    text: Text<'a>,
    position: usize,
    links: usize,
    /// The last component was followed by a slash.
    pub(super) trailing_slash: bool,
}

impl<'a> Walk<'a> {
    /// A walk of `path` from `start`, or from the working directory. `ENOENT` for an empty path, `ENOTDIR` when the
    /// start is needed and not a directory.
    pub(super) fn new(
        context: &'a Context<'a>,
        start: Option<&'a Path>,
        path: &'a [u8],
        limits: Limits,
    ) -> Result<Walk<'a>, Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let start = start.unwrap_or(context.cwd);
        let root = if limits.beneath || limits.in_root { start } else { context.root };
        let at = if path.starts_with(b"/") {
            if limits.beneath {
                return Err(Errno::EXDEV);
            }
            root.clone()
        } else {
            if !start.dentry.is_directory() {
                return Err(Errno::ENOTDIR);
            }
            start.clone()
        };
        Ok(Walk { context, limits, root, at, text: Text::Given(path), position: 0, links: 0, trailing_slash: false })
    }

    /// The name at a range that [`walk_to_parent`](Walk::walk_to_parent) returned.
    pub(super) fn name(&self, start: usize, end: usize) -> &[u8] {
        self.text.bytes().get(start..end).unwrap_or_default()
    }

    #[inline]
    fn search_allowed(&self) -> Result<(), Errno> {
        let credentials = self.context.credentials;
        if credentials.capable(capability::DAC_OVERRIDE) {
            return Ok(());
        }
        credentials.check(FileType::Directory, self.at.inode().ownership(), MAY_EXECUTE)
    }

    /// Walks all components but the last.
    pub(super) fn walk_to_parent(&mut self) -> Result<Last, Errno> {
        loop {
            let text = self.text.bytes();
            let mut start = self.position;
            while text.get(start) == Some(&b'/') {
                start += 1;
            }
            let mut end = start;
            while text.get(end).is_some_and(|byte| *byte != b'/') {
                end += 1;
            }
            if start == end {
                self.trailing_slash = false;
                return Ok(Last::Here);
            }
            let mut next = end;
            while text.get(next) == Some(&b'/') {
                next += 1;
            }
            let last = next == text.len();
            let component = match text.get(start..end).unwrap_or_default() {
                b"." => Last::Dot,
                b".." => Last::DotDot,
                _ => Last::Name { start, end },
            };
            self.trailing_slash = last && end != next;
            self.position = next;
            if !self.at.dentry.is_directory() {
                return Err(Errno::ENOTDIR);
            }
            self.search_allowed()?;
            if last {
                return Ok(component);
            }
            self.step(component, true)?;
            if !self.at.dentry.is_directory() {
                return Err(Errno::ENOTDIR);
            }
        }
    }

    /// Walks into the last component. `follow`: when it is a symbolic link.
    pub(super) fn enter(&mut self, last: Last, follow: bool) -> Result<Step, Errno> {
        let follow = follow || self.trailing_slash;
        if self.step(last, follow)? {
            return Ok(Step::Again);
        }
        if self.trailing_slash && !self.at.dentry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        Ok(Step::Done)
    }

    /// One component. True when it was a symbolic link with a text that has to be walked now.
    #[inline]
    fn step(&mut self, component: Last, follow: bool) -> Result<bool, Errno> {
        match component {
            Last::Here | Last::Dot => Ok(false),
            Last::DotDot => self.up().map(|()| false),
            Last::Name { start, end } => {
                let text = self.text.bytes();
                let child = self.at.dentry.lookup(text.get(start..end).unwrap_or_default())?;
                self.down(child, follow)
            }
        }
    }

    /// Goes into a child of the current directory, or follows it. True when its text has to be walked now.
    #[inline]
    pub(super) fn down(&mut self, child: Arc<Dentry>, follow: bool) -> Result<bool, Errno> {
        if child.kind() == FileType::Symlink && follow {
            return self.follow(&child);
        }
        self.at.dentry = child;
        self.cross()?;
        Ok(false)
    }

    #[inline]
    fn cross(&mut self) -> Result<(), Errno> {
        if self.at.dentry.covered.load(Ordering::Acquire) == 0 { Ok(()) } else { self.cross_covered() }
    }

    fn cross_covered(&mut self) -> Result<(), Errno> {
        let over = self.context.namespace.cross(self.at.clone());
        if self.limits.one_mount && !Arc::ptr_eq(&over.mount, &self.at.mount) {
            return Err(Errno::EXDEV);
        }
        self.at = over;
        Ok(())
    }

    fn up(&mut self) -> Result<(), Errno> {
        if self.at.is_same(self.root) {
            return if self.limits.beneath { Err(Errno::EXDEV) } else { Ok(()) };
        }
        // Within a mount and not at its root: the common case needs no climbing.
        if Arc::ptr_eq(&self.at.dentry, self.at.mount.root()) {
            let mut place = self.at.clone();
            while Arc::ptr_eq(&place.dentry, place.mount.root()) {
                match place.mount.place() {
                    Some(below) => place = below,
                    None => return Ok(()),
                }
                if place.is_same(self.root) {
                    // Something is mounted over the root: above it is itself.
                    return Ok(());
                }
            }
            if self.limits.one_mount {
                return Err(Errno::EXDEV);
            }
            self.at = place;
        }
        if let Some(parent) = self.at.dentry.parent() {
            self.at.dentry = parent;
        }
        self.cross()
    }

    fn follow(&mut self, link: &Arc<Dentry>) -> Result<bool, Errno> {
        self.links += 1;
        if self.links > MAXSYMLINKS || self.limits.no_links {
            return Err(Errno::ELOOP);
        }
        match link.inode().follow()? {
            LinkTarget::Object(path) => {
                if self.limits.no_magic_links {
                    return Err(Errno::ELOOP);
                }
                if self.limits.beneath || self.limits.in_root {
                    return Err(Errno::EXDEV);
                }
                self.at = path;
                Ok(false)
            }
            LinkTarget::Text(mut text) => {
                if text.is_empty() {
                    return Err(Errno::ENOENT);
                }
                if text.first() == Some(&b'/') {
                    if self.limits.beneath {
                        return Err(Errno::EXDEV);
                    }
                    self.at = self.root.clone();
                }
                let rest = self.text.bytes().get(self.position..).unwrap_or_default();
                if !rest.is_empty() || self.trailing_slash {
                    text.push(b'/');
                    text.extend_from_slice(rest);
                }
                self.text = Text::Expanded(text);
                self.position = 0;
                Ok(true)
            }
        }
    }
}

impl Context<'_> {
    /// The place that `path` names, from `start` or the working directory.
    pub fn walk(&self, start: Option<&Path>, path: &[u8], flags: WalkFlags) -> Result<Path, Errno> {
        if path.is_empty() && flags.empty {
            return Ok(start.unwrap_or(self.cwd).clone());
        }
        let mut walk = Walk::new(self, start, path, flags.limits)?;
        loop {
            let last = walk.walk_to_parent()?;
            if let Step::Done = walk.enter(last, flags.follow)? {
                break;
            }
        }
        if flags.directory && !walk.at.dentry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        Ok(walk.at)
    }

    /// Asks for rights (`MAY_*`) on an inode: `EACCES`, and `EROFS` for writing what a read-only mount shows.
    pub fn permission(&self, path: &Path, wanted: u8) -> Result<(), Errno> {
        let special = !matches!(path.kind(), FileType::Regular | FileType::Directory | FileType::Symlink);
        if wanted & crate::credentials::MAY_WRITE != 0 && path.mount.is_read_only() && !special {
            return Err(Errno::EROFS);
        }
        self.credentials.check(path.kind(), path.inode().ownership(), wanted)
    }

    /// Permissions of a new file: what was asked for less the umask.
    pub(super) fn masked(&self, permissions: u16) -> u16 {
        permissions & PERMISSIONS & !self.umask
    }
}
