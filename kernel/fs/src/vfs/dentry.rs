//! Dentries: the tree of names that have been looked up.
//!
//! A [`Dentry`] is one name of one inode. Its inode never changes; its place changes only with a rename. A directory's
//! dentry keeps its children by name, and remembers names that are known not to exist where the file system allows it.
//!
//! A child holds its parent, and the parent holds its cached children: the cycle is cut when the child is removed,
//! evicted ([`DentryCache`]) or its file system goes ([`Dentry::forget_children`]).
//!
//! Locks, outermost first: `changing` of a directory (two of them only under the file system's rename lock), then the
//! file system's own, then `children`, then `link`. The last two spin and are held for a few instructions.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use aios_abi::Errno;
use hashbrown::HashMap;
use kernel_sync::{Mutex, SpinLock};

use super::hash::{NameHash, Sought};
use super::inode::{Caching, Inode};
use crate::types::{FileType, NAME_MAX};

/// Names known not to exist that one directory remembers.
const MAX_ABSENT: usize = 1024;

/// What a directory remembers of a name.
enum Child {
    Present(Arc<Dentry>),
    Absent,
}

#[derive(Default)]
struct Children {
    names: HashMap<Arc<[u8]>, Child, NameHash>,
    absent: usize,
}

impl Children {
    /// Makes sure that one more name can be kept.
    fn reserve(&mut self) -> Result<(), Errno> {
        self.names.try_reserve(1).map_err(|_| Errno::ENOMEM)
    }

    /// Keeps a name. Without memory it is not kept: it will be looked up again.
    fn insert(&mut self, name: Arc<[u8]>, child: Child) -> Option<Arc<Dentry>> {
        if self.reserve().is_err() {
            return None;
        }
        if matches!(child, Child::Absent) {
            if self.absent >= MAX_ABSENT {
                self.names.retain(|_, child| matches!(child, Child::Present(_)));
                self.absent = 0;
            }
            self.absent += 1;
        }
        match self.names.insert(name, child) {
            Some(Child::Present(before)) => Some(before),
            Some(Child::Absent) => {
                self.absent = self.absent.saturating_sub(1);
                None
            }
            None => None,
        }
    }

    fn remove(&mut self, name: &[u8]) -> Option<Arc<Dentry>> {
        match self.names.remove(name)? {
            Child::Present(dentry) => Some(dentry),
            Child::Absent => {
                self.absent = self.absent.saturating_sub(1);
                None
            }
        }
    }
}

/// What only directories have.
struct Directory {
    caching: Caching,
    children: SpinLock<Children>,
    changing: Mutex<()>,
}

struct Link {
    /// `None` for the root of a file system and for objects without a place.
    parent: Option<Arc<Dentry>>,
    name: Arc<[u8]>,
}

/// One name of one inode.
pub struct Dentry {
    inode: Arc<dyn Inode>,
    kind: FileType,
    directory: Option<Box<Directory>>,
    link: SpinLock<Link>,
    cache: Arc<DentryCache>,
    /// Mounts that cover this dentry, in all namespaces.
    pub(super) covered: AtomicU32,
    removed: AtomicBool,
    /// Used since the cache last looked.
    used: AtomicBool,
}

/// What the cache says of a name.
enum Cached {
    Present(Arc<Dentry>),
    /// It means something else by now.
    Stale(Arc<Dentry>),
    Absent,
    Unknown,
}

impl Dentry {
    /// The root of a file system.
    pub(super) fn root(inode: Arc<dyn Inode>, cache: Arc<DentryCache>) -> Arc<Dentry> {
        Dentry::new(inode, None, Arc::from(&b"/"[..]), cache)
    }

    fn new(
        inode: Arc<dyn Inode>,
        parent: Option<Arc<Dentry>>,
        name: Arc<[u8]>,
        cache: Arc<DentryCache>,
    ) -> Arc<Dentry> {
        let kind = inode.kind();
        Arc::new(Dentry {
            kind,
            directory: (kind == FileType::Directory).then(|| {
                Box::new(Directory {
                    caching: inode.caching(),
                    children: SpinLock::default(),
                    changing: Mutex::default(),
                })
            }),
            inode,
            link: SpinLock::new(Link { parent, name }),
            cache,
            covered: AtomicU32::new(0),
            removed: AtomicBool::new(false),
            used: AtomicBool::new(false),
        })
    }

    /// A name below `self` that the cache does not keep: of an object without a place in any directory, or of one in
    /// a directory that is made up at each look.
    pub(super) fn detached(self: &Arc<Dentry>, inode: Arc<dyn Inode>, name: &[u8]) -> Arc<Dentry> {
        Dentry::new(inode, Some(self.clone()), Arc::from(name), self.cache.clone())
    }

    #[inline]
    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.inode
    }

    #[inline]
    pub fn kind(&self) -> FileType {
        self.kind
    }

    #[inline]
    pub fn is_directory(&self) -> bool {
        self.directory.is_some()
    }

    pub fn name(&self) -> Arc<[u8]> {
        self.link.lock().name.clone()
    }

    /// The directory this name is in; `None` for the root of a file system.
    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.link.lock().parent.clone()
    }

    /// The path from the root of the file system, as `mountinfo` shows what part of it is mounted.
    pub fn path_in_file_system(self: &Arc<Dentry>) -> Vec<u8> {
        let mut names = Vec::new();
        let mut at = self.clone();
        while let Some(parent) = at.parent() {
            names.push(at.name());
            at = parent;
        }
        let mut path = Vec::new();
        for name in names.iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        path
    }

    /// True after the name was unlinked.
    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// Marks an object without a place in any directory as deleted, for its displayed name.
    pub(super) fn set_removed(&self) {
        self.removed.store(true, Ordering::Release);
    }

    /// True when `self` is `other` or lies below it.
    pub(super) fn is_within(self: &Arc<Dentry>, other: &Arc<Dentry>) -> bool {
        let mut at = self.clone();
        loop {
            if Arc::ptr_eq(&at, other) {
                return true;
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }

    /// Keeps others from changing this directory and from looking up what is not cached.
    pub(super) fn lock_changes(&self) -> Result<kernel_sync::MutexGuard<'_, ()>, Errno> {
        self.directory.as_ref().map(|directory| directory.changing.lock()).ok_or(Errno::ENOTDIR)
    }

    /// What is remembered of `name`, checked with the file system where that is needed.
    #[inline]
    fn cached(&self, name: &[u8]) -> Cached {
        let Some(directory) = &self.directory else { return Cached::Unknown };
        let children = directory.children.lock();
        let child = match children.names.get(&Sought(name)) {
            Some(Child::Present(dentry)) => dentry.clone(),
            Some(Child::Absent) => return Cached::Absent,
            None => return Cached::Unknown,
        };
        drop(children);
        if directory.caching == Caching::Validated && !child.inode.revalidate() {
            return Cached::Stale(child);
        }
        if !child.used.load(Ordering::Relaxed) {
            child.used.store(true, Ordering::Relaxed);
        }
        Cached::Present(child)
    }

    /// The child called `name`, from the cache or the file system. `ENOENT` when there is none.
    #[inline]
    pub(crate) fn lookup(self: &Arc<Dentry>, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        match self.cached(name) {
            Cached::Present(child) => Ok(child),
            Cached::Absent => Err(Errno::ENOENT),
            Cached::Stale(_) | Cached::Unknown => self.lookup_slowly(name),
        }
    }

    #[cold]
    fn lookup_slowly(self: &Arc<Dentry>, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        let _guard = self.lock_changes()?;
        self.lookup_locked(name)
    }

    /// The same for who holds [`lock_changes`](Dentry::lock_changes).
    pub(super) fn lookup_locked(self: &Arc<Dentry>, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        match self.cached(name) {
            Cached::Present(child) => return Ok(child),
            Cached::Stale(child) => self.detach(&child, false),
            Cached::Absent => return Err(Errno::ENOENT),
            Cached::Unknown => {}
        }
        if let Some(directory) = &self.directory {
            // Whoever makes the child afterwards needs no more than this.
            directory.children.lock().reserve()?;
        }
        match self.inode.lookup(name) {
            Ok(inode) => Ok(self.attach(name, inode)),
            Err(Errno::ENOENT) => {
                self.remember_absent(name);
                Err(Errno::ENOENT)
            }
            Err(error) => Err(error),
        }
    }

    fn remember_absent(&self, name: &[u8]) {
        if let Some(directory) = &self.directory
            && directory.caching == Caching::Full
        {
            let name = Arc::from(name);
            let before = directory.children.lock().insert(name, Child::Absent);
            drop(before);
        }
    }

    /// Enters a child that the file system has made or found. The caller holds `changing`.
    pub(super) fn attach(self: &Arc<Dentry>, name: &[u8], inode: Arc<dyn Inode>) -> Arc<Dentry> {
        let child = self.detached(inode, name);
        if let Some(directory) = &self.directory
            && directory.caching != Caching::None
        {
            let name = child.name();
            let before = directory.children.lock().insert(name, Child::Present(child.clone()));
            drop(before);
            self.cache.add(&child);
        }
        child
    }

    /// Forgets a child, `removed` when its name was unlinked rather than found to be out of date.
    /// The caller holds `changing`.
    pub(super) fn detach(&self, child: &Arc<Dentry>, removed: bool) {
        let Some(directory) = &self.directory else { return };
        let name = child.name();
        let mut children = directory.children.lock();
        let before = match children.names.get(&name) {
            Some(Child::Present(known)) if Arc::ptr_eq(known, child) => children.remove(&name),
            _ => None,
        };
        drop(children);
        drop(before);
        if removed {
            child.removed.store(true, Ordering::Release);
            self.remember_absent(&name);
        }
    }

    /// Moves `child` from `self` to `target` under a new name. The caller holds `changing` of both.
    pub(super) fn move_child(&self, child: &Arc<Dentry>, target: &Arc<Dentry>, name: &[u8]) {
        self.detach(child, false);
        let name: Arc<[u8]> = Arc::from(name);
        let before =
            core::mem::replace(&mut *child.link.lock(), Link { parent: Some(target.clone()), name: name.clone() });
        drop(before);
        if let Some(directory) = &target.directory
            && directory.caching != Caching::None
        {
            let before = directory.children.lock().insert(name, Child::Present(child.clone()));
            drop(before);
        }
    }

    /// Lets go of everything cached below; done when the file system is no longer mounted.
    pub(super) fn forget_children(&self) {
        let Some(mut level) = Level::of(self) else { return };
        // One by one: the tree may be deeper than the stack, and there may be no memory for a list of all.
        loop {
            if let Some(child) = level.names.next() {
                if let Child::Present(dentry) = child
                    && let Some(below) = Level::of(&dentry)
                {
                    let up = core::mem::replace(&mut level, below);
                    level.up = Some(Box::new(up));
                }
            } else if let Some(up) = level.up.take() {
                level = *up;
            } else {
                return;
            }
        }
    }

    /// Evicts this dentry from its parent if nobody uses it. The caller holds one reference.
    fn evict(self: &Arc<Dentry>) -> bool {
        let link = self.link.lock();
        let (Some(parent), name) = (link.parent.clone(), link.name.clone()) else { return false };
        drop(link);
        let Some(directory) = &parent.directory else { return false };
        let mut children = directory.children.lock();
        // The map's reference and the caller's: everyone else gets his from the map, under this lock.
        let idle = Arc::strong_count(self) == 2
            && matches!(children.names.get(&name), Some(Child::Present(known)) if Arc::ptr_eq(known, self));
        let before = if idle { children.remove(&name) } else { None };
        drop(children);
        before.is_some()
    }
}

/// What a directory remembered, and, above it, what is left of those that led to it.
struct Level {
    names: hashbrown::hash_map::IntoValues<Arc<[u8]>, Child>,
    up: Option<Box<Level>>,
}

impl Level {
    /// Takes the children of a directory, if it has any.
    fn of(dentry: &Dentry) -> Option<Level> {
        let directory = dentry.directory.as_ref()?;
        let children = core::mem::take(&mut *directory.children.lock());
        (!children.names.is_empty()).then(|| Level { names: children.names.into_values(), up: None })
    }
}

impl Drop for Dentry {
    fn drop(&mut self) {
        // One by one up the tree: it may be deeper than the stack.
        let mut above = self.link.get_mut().parent.take();
        while let Some(parent) = above {
            above = Arc::into_inner(parent).and_then(|mut parent| parent.link.get_mut().parent.take());
        }
    }
}

/// The dentries that one file system may evict, oldest first, with a second chance for those that were used.
pub struct DentryCache {
    limit: usize,
    queue: SpinLock<VecDeque<Weak<Dentry>>>,
}

impl DentryCache {
    /// A cache that evicts beyond `limit` names.
    pub(super) fn new(limit: usize) -> Arc<DentryCache> {
        Arc::new(DentryCache { limit, queue: SpinLock::new(VecDeque::new()) })
    }

    fn add(&self, dentry: &Arc<Dentry>) {
        {
            let mut queue = self.queue.lock();
            if queue.try_reserve(1).is_err() {
                // It stays as long as its directory does.
                return;
            }
            queue.push_back(Arc::downgrade(dentry));
        }
        // Two looks for each new name: the queue shrinks when it is too long, and no single caller pays for all.
        for _ in 0..2 {
            let candidate = {
                let mut queue = self.queue.lock();
                if queue.len() <= self.limit { None } else { queue.pop_front() }
            };
            let Some(candidate) = candidate else { return };
            let Some(dentry) = candidate.upgrade() else { continue };
            if dentry.is_removed() {
                continue;
            }
            if dentry.used.swap(false, Ordering::Relaxed) || !dentry.evict() {
                self.queue.lock().push_back(candidate);
            }
        }
    }
}
