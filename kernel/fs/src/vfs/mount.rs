//! File systems, where they are mounted, and the table of mounts that an agent sees.
//!
//! A [`FileSystem`] owns a tree of dentries; a [`Mount`] shows that tree, or a part of it, at one place of one
//! [`Namespace`]. Mounts hold their parents, never their children: the namespace holds all of its mounts.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use aios_abi::Errno;
use hashbrown::HashMap;
use kernel_sync::{Mutex, SpinLock};

use super::Path;
use super::dentry::{Dentry, DentryCache};
use super::hash::NameHash;
use super::inode::Inode;
use crate::types::DeviceNumber;

/// A new number for a file system without a device, as `st_dev` shows it.
pub fn anonymous_device() -> DeviceNumber {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    DeviceNumber::new(0, NEXT.fetch_add(1, Ordering::Relaxed))
}

const ANONYMOUS: &str = "anon_inodefs";

/// One file system: a root and what is known of the names below it.
pub struct FileSystem {
    /// As `/proc/mounts` shows it: `tmpfs`, `9p`.
    kind: &'static str,
    root: Arc<Dentry>,
    /// Held while directories change places, so that no loop can be made.
    renaming: Mutex<()>,
}

impl FileSystem {
    pub fn new(kind: &'static str, root: Arc<dyn Inode>) -> Arc<FileSystem> {
        // A name takes about 300 bytes: an eighth of memory's frames, in names, is 1 % of memory.
        let limit = (kernel_hal::frame::frame_limit().0 / 8).clamp(512, 1 << 16);
        FileSystem::with_cache_limit(kind, root, limit)
    }

    /// The same with the number of names that are remembered.
    pub fn with_cache_limit(kind: &'static str, root: Arc<dyn Inode>, names: usize) -> Arc<FileSystem> {
        let root = Dentry::root(root, DentryCache::new(names));
        Arc::new(FileSystem { kind, root, renaming: Mutex::new(()) })
    }

    /// The file system of objects without a place: pipes, event counters, memory files.
    pub(super) fn anonymous(root: Arc<dyn Inode>) -> Arc<FileSystem> {
        FileSystem::with_cache_limit(ANONYMOUS, root, 0)
    }

    /// What to show for an object without a place: its label, with its number where the label ends in a colon.
    pub(super) fn label(&self, dentry: &Dentry) -> Option<Vec<u8>> {
        if self.kind != ANONYMOUS {
            return None;
        }
        let mut label = dentry.name().to_vec();
        if label.last() == Some(&b':') {
            label.extend_from_slice(alloc::format!("[{}]", dentry.inode().number()).as_bytes());
        }
        Some(label)
    }

    pub fn kind(&self) -> &'static str {
        self.kind
    }

    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    pub(super) fn lock_renames(&self) -> kernel_sync::MutexGuard<'_, ()> {
        self.renaming.lock()
    }
}

impl Drop for FileSystem {
    fn drop(&mut self) {
        self.root.forget_children();
    }
}

/// Flags of a mount; the bits are those of `mount(2)`.
pub mod mount_flags {
    use aios_abi::linux::consts::mount as bits;

    pub const READ_ONLY: u32 = bits::MS_RDONLY as u32;
    pub const NO_SUID: u32 = bits::MS_NOSUID as u32;
    pub const NO_DEV: u32 = bits::MS_NODEV as u32;
    pub const NO_EXEC: u32 = bits::MS_NOEXEC as u32;
    pub const NO_ACCESS_TIME: u32 = bits::MS_NOATIME as u32;
    pub const RELATIVE_ACCESS_TIME: u32 = bits::MS_RELATIME as u32;
}

/// A file system, or a directory of one, shown somewhere.
pub struct Mount {
    id: u64,
    file_system: Arc<FileSystem>,
    root: Arc<Dentry>,
    flags: AtomicU32,
    /// What was mounted, for `/proc/mounts`.
    source: Arc<[u8]>,
    /// Where it is mounted: `None` for the root of a namespace and after it was unmounted.
    place: SpinLock<Option<Path>>,
}

impl Mount {
    fn new(
        file_system: Arc<FileSystem>,
        root: Arc<Dentry>,
        flags: u32,
        source: Arc<[u8]>,
        place: Option<Path>,
    ) -> Arc<Mount> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Arc::new(Mount { id, file_system, root, flags: AtomicU32::new(flags), source, place: SpinLock::new(place) })
    }

    /// A mount that no namespace shows: for objects that have no place, and for use inside the kernel.
    pub fn detached(file_system: Arc<FileSystem>) -> Arc<Mount> {
        let root = file_system.root.clone();
        Mount::new(file_system, root, 0, Arc::from(&b"none"[..]), None)
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn file_system(&self) -> &Arc<FileSystem> {
        &self.file_system
    }

    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// See [`mount_flags`].
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    pub fn is_read_only(&self) -> bool {
        self.flags() & mount_flags::READ_ONLY != 0
    }

    pub fn place(&self) -> Option<Path> {
        self.place.lock().clone()
    }

    /// The path of the mount's root.
    pub fn root_path(self: &Arc<Mount>) -> Path {
        Path { mount: self.clone(), dentry: self.root.clone() }
    }
}

/// What covers a dentry of a mount: keyed by the addresses of both, which the mount on top keeps alive.
type Covers = HashMap<[usize; 2], Arc<Mount>, NameHash>;

#[derive(Default)]
struct Table {
    covers: Covers,
    /// In the order they were mounted.
    mounts: Vec<Arc<Mount>>,
}

/// The mounts that one agent sees.
pub struct Namespace {
    root: Arc<Mount>,
    table: SpinLock<Table>,
}

fn key(path: &Path) -> [usize; 2] {
    [Arc::as_ptr(&path.mount) as usize, Arc::as_ptr(&path.dentry) as usize]
}

impl Namespace {
    /// A namespace whose root is `file_system`.
    pub fn new(file_system: Arc<FileSystem>, source: &[u8], flags: u32) -> Arc<Namespace> {
        let dentry = file_system.root.clone();
        let root = Mount::new(file_system, dentry, flags, Arc::from(source), None);
        let table = Table { covers: Covers::default(), mounts: alloc::vec![root.clone()] };
        Arc::new(Namespace { root, table: SpinLock::new(table) })
    }

    /// The root directory, with whatever was mounted over it since.
    pub fn root(&self) -> Path {
        self.cross(self.root.root_path())
    }

    /// Mounts `file_system` over the directory or file `place`.
    pub fn mount(
        &self,
        file_system: Arc<FileSystem>,
        source: &[u8],
        flags: u32,
        place: Path,
    ) -> Result<Arc<Mount>, Errno> {
        let root = file_system.root.clone();
        self.attach(file_system, root, source, flags, place)
    }

    /// Shows the directory or file `from` once more at `place` (`MS_BIND`).
    pub fn bind(&self, from: &Path, place: Path) -> Result<Arc<Mount>, Errno> {
        let mount = &from.mount;
        self.attach(mount.file_system.clone(), from.dentry.clone(), &mount.source, mount.flags(), place)
    }

    fn attach(
        &self,
        file_system: Arc<FileSystem>,
        root: Arc<Dentry>,
        source: &[u8],
        flags: u32,
        place: Path,
    ) -> Result<Arc<Mount>, Errno> {
        if root.is_directory() != place.dentry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        if place.dentry.is_removed() {
            return Err(Errno::ENOENT);
        }
        let mount = Mount::new(file_system, root, flags, Arc::from(source), Some(place.clone()));
        let mut table = self.table.lock();
        if table.covers.contains_key(&key(&place)) {
            return Err(Errno::EBUSY);
        }
        place.dentry.covered.fetch_add(1, Ordering::Release);
        table.covers.insert(key(&place), mount.clone());
        table.mounts.push(mount.clone());
        Ok(mount)
    }

    /// Takes the mount whose root is `root` away. `EINVAL` when `root` is not the root of a mount that can go,
    /// `EBUSY` when something is mounted below it, or when it is in use and `lazily` is not set.
    pub fn unmount(&self, root: &Path, lazily: bool) -> Result<(), Errno> {
        let mount = &root.mount;
        let Some(place) = mount.place().filter(|_| Arc::ptr_eq(&mount.root, &root.dentry)) else {
            return Err(Errno::EINVAL);
        };
        let mut table = self.table.lock();
        let below =
            |other: &Arc<Mount>| other.place.lock().as_ref().is_some_and(|place| Arc::ptr_eq(&place.mount, mount));
        if table.mounts.iter().any(below) {
            return Err(Errno::EBUSY);
        }
        // In use: more than the two references of the table and the caller's path.
        if !lazily && Arc::strong_count(mount) > 3 {
            return Err(Errno::EBUSY);
        }
        if !table.covers.get(&key(&place)).is_some_and(|known| Arc::ptr_eq(known, mount)) {
            return Err(Errno::EINVAL);
        }
        let gone = table.covers.remove(&key(&place));
        table.mounts.retain(|other| !Arc::ptr_eq(other, mount));
        drop(table);
        place.dentry.covered.fetch_sub(1, Ordering::Release);
        let place = mount.place.lock().take();
        drop((gone, place));
        Ok(())
    }

    /// Sets the flags of a mount (`MS_REMOUNT`).
    pub fn set_flags(&self, mount: &Mount, flags: u32) {
        mount.flags.store(flags, Ordering::Relaxed);
    }

    /// The top of what is mounted over `path`, or `path`.
    #[inline]
    pub fn cross(&self, mut path: Path) -> Path {
        while path.dentry.covered.load(Ordering::Acquire) != 0 {
            let over = self.table.lock().covers.get(&key(&path)).map(Mount::root_path);
            match over {
                Some(root) => path = root,
                None => break,
            }
        }
        path
    }

    /// All mounts, in the order they were mounted.
    pub fn mounts(&self) -> Vec<Arc<Mount>> {
        self.table.lock().mounts.clone()
    }

    /// A twin with the same mounts, and each mount's own twin: paths are translated with [`Twin::path`].
    pub fn twin(&self) -> Twin {
        let mounts = self.mounts();
        let mut pairs: Vec<(Arc<Mount>, Arc<Mount>)> = Vec::with_capacity(mounts.len());
        let mut covers = Covers::default();
        for mount in mounts {
            // Mounted later than what it is mounted on, so the parent's twin is there.
            let place = mount.place().map(|place| translate(&pairs, &place));
            let twin = Mount::new(
                mount.file_system.clone(),
                mount.root.clone(),
                mount.flags(),
                mount.source.clone(),
                place.clone(),
            );
            if let Some(place) = &place {
                place.dentry.covered.fetch_add(1, Ordering::Release);
                covers.insert(key(place), twin.clone());
            }
            pairs.push((mount, twin));
        }
        let root = translate(&pairs, &self.root.root_path()).mount;
        let table = Table { covers, mounts: pairs.iter().map(|(_, twin)| twin.clone()).collect() };
        Twin { namespace: Arc::new(Namespace { root, table: SpinLock::new(table) }), pairs }
    }
}

fn translate(pairs: &[(Arc<Mount>, Arc<Mount>)], path: &Path) -> Path {
    let mount = pairs.iter().find(|(old, _)| Arc::ptr_eq(old, &path.mount)).map_or(&path.mount, |(_, twin)| twin);
    Path { mount: mount.clone(), dentry: path.dentry.clone() }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for mount in core::mem::take(&mut self.table.get_mut().mounts) {
            // Cut from its parent, so that one path left open does not keep everything mounted.
            let place = mount.place.lock().take();
            if let Some(place) = place {
                place.dentry.covered.fetch_sub(1, Ordering::Release);
            }
        }
    }
}

/// A copied namespace and which mount became which.
pub struct Twin {
    pub namespace: Arc<Namespace>,
    pairs: Vec<(Arc<Mount>, Arc<Mount>)>,
}

impl Twin {
    /// The same place in the new namespace.
    pub fn path(&self, path: &Path) -> Path {
        translate(&self.pairs, path)
    }
}
