//! Open files: what a descriptor refers to.
//!
//! A [`File`] is Linux's open file description: a place in the tree, what it was opened for, status flags and a
//! position; duplicated descriptors share it. What reading, writing and the rest mean is up to its [`FileOps`].

use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};

use aios_abi::Errno;
use aios_abi::linux::consts::{open, seek};
use kernel_hal::addr::Virt;
use kernel_mm::MemoryObject;
use kernel_mm::io::{Sink, Source};
use kernel_sync::{Mutex, Poller};

use crate::locks::{self, Owner};
use crate::pipe::Pipe;
use crate::poll;
use crate::types::{DirEntry, DirSink, FileType, Metadata};
use crate::vfs::{Inode, Path};

/// Status flags that `fcntl(F_SETFL)` can change.
pub const CHANGEABLE: u32 = open::O_APPEND | open::O_NONBLOCK | open::O_ASYNC | open::O_DIRECT | open::O_NOATIME;

/// Where the position of a file counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Position {
    /// Reads and writes go on at a position that can be moved.
    Kept,
    /// A stream: seeking and positional transfers fail with `ESPIPE`.
    Stream,
    /// Anything may be asked, nothing depends on it (`/dev/null`).
    Ignored,
    /// A stream on which seeking is allowed and does nothing (`eventfd`).
    Still,
}

/// What an open file does. Transfers return the bytes moved, fewer than asked when data or room ends, and advance
/// `offset` by them; an error means that nothing was moved.
pub trait FileOps: Any + Send + Sync {
    fn read(&self, file: &File, offset: &mut u64, sink: &mut Sink) -> Result<usize, Errno> {
        let _ = (file, offset, sink);
        Err(Errno::EINVAL)
    }

    /// With `O_APPEND` among the file's flags the write goes to the end, and `offset` becomes what follows it.
    fn write(&self, file: &File, offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        let _ = (file, offset, source);
        Err(Errno::EINVAL)
    }

    fn position(&self) -> Position {
        Position::Kept
    }

    /// Bytes in the file, for seeking from its end.
    fn size(&self, file: &File) -> Result<u64, Errno> {
        file.metadata().map(|metadata| metadata.size)
    }

    /// The next byte at or after `from` that is data, or that is a hole. `ENXIO` at or after the end.
    fn seek_extent(&self, file: &File, from: u64, data: bool) -> Result<u64, Errno> {
        let size = self.size(file)?;
        if from >= size {
            return Err(Errno::ENXIO);
        }
        Ok(if data { from } else { size })
    }

    /// Lists a directory from `cursor` on, and moves it.
    fn read_dir(&self, file: &File, cursor: &mut u64, sink: &mut dyn DirSink) -> Result<(), Errno> {
        let _ = (file, cursor, sink);
        Err(Errno::ENOTDIR)
    }

    /// What could be done now without waiting ([`poll`]'s bits). Registers with the poller, if there is one, before
    /// looking.
    fn poll(&self, file: &File, poller: Option<&mut Poller>) -> u32 {
        let _ = (file, poller);
        poll::ALWAYS
    }

    fn ioctl(&self, file: &File, command: u32, argument: Virt) -> Result<usize, Errno> {
        let _ = (file, command, argument);
        Err(Errno::ENOTTY)
    }

    /// The memory to map.
    fn map(&self, file: &File) -> Result<Arc<MemoryObject>, Errno> {
        let _ = file;
        Err(Errno::ENODEV)
    }

    /// Waits until what was written is on stable storage; `data_only` leaves out times.
    fn sync(&self, file: &File, data_only: bool) -> Result<(), Errno> {
        let _ = (file, data_only);
        Err(Errno::EINVAL)
    }

    /// `fallocate(2)`; `mode` is `FALLOC_FL_*`.
    fn allocate(&self, file: &File, mode: u32, offset: u64, length: u64) -> Result<(), Errno> {
        let _ = (file, mode, offset, length);
        Err(Errno::EOPNOTSUPP)
    }

    /// The pipe that this is an end of.
    fn pipe(&self) -> Option<&Arc<Pipe>> {
        None
    }

    /// The last descriptor was closed.
    fn release(&self, file: &File) {
        let _ = file;
    }
}

/// An open file description.
pub struct File {
    path: Path,
    ops: Arc<dyn FileOps>,
    readable: bool,
    writable: bool,
    flags: AtomicU32,
    offset: Mutex<u64>,
    /// The position as the last call left it, for those who look from outside: the lock may be held by themselves.
    shown: AtomicU64,
    /// Advisory locks were taken with it.
    locked: AtomicBool,
    /// `F_SETOWN`: a process, or minus a process group.
    owner: AtomicI32,
}

impl File {
    /// `flags` are those of `open(2)`; the access mode among them says what the file may be used for.
    pub fn new(path: Path, ops: Arc<dyn FileOps>, flags: u32) -> Arc<File> {
        let access = flags & open::O_ACCMODE;
        let usable = flags & open::O_PATH == 0;
        let kept = flags & !(open::O_CREAT | open::O_EXCL | open::O_NOCTTY | open::O_TRUNC | open::O_CLOEXEC);
        Arc::new(File {
            path,
            ops,
            readable: usable && access != open::O_WRONLY,
            writable: usable && access != open::O_RDONLY,
            flags: AtomicU32::new(kept),
            offset: Mutex::new(0),
            shown: AtomicU64::new(0),
            locked: AtomicBool::new(false),
            owner: AtomicI32::new(0),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn inode(&self) -> &Arc<dyn Inode> {
        self.path.inode()
    }

    pub fn kind(&self) -> FileType {
        self.path.kind()
    }

    pub fn metadata(&self) -> Result<Metadata, Errno> {
        self.path.inode().metadata()
    }

    pub fn ops(&self) -> &Arc<dyn FileOps> {
        &self.ops
    }

    pub fn is_readable(&self) -> bool {
        self.readable
    }

    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Opened with `O_PATH`: names a place, nothing else can be done with it.
    pub fn is_path_only(&self) -> bool {
        self.flags() & open::O_PATH != 0
    }

    /// What `fcntl(F_GETFL)` returns.
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }

    /// What `fcntl(F_SETFL)` sets: flags that cannot be changed are ignored.
    pub fn set_flags(&self, flags: u32) {
        let set = |before| Some(before & !CHANGEABLE | flags & CHANGEABLE);
        // The closure always gives a value, so this cannot fail.
        let _ = self.flags.fetch_update(Ordering::Relaxed, Ordering::Relaxed, set);
    }

    pub fn is_nonblocking(&self) -> bool {
        self.flags() & open::O_NONBLOCK != 0
    }

    pub fn is_appending(&self) -> bool {
        self.flags() & open::O_APPEND != 0
    }

    /// Whom `F_SETOWN` named; 0 for nobody.
    pub fn owner(&self) -> i32 {
        self.owner.load(Ordering::Relaxed)
    }

    pub fn set_owner(&self, owner: i32) {
        self.owner.store(owner, Ordering::Relaxed);
    }

    /// Notes that the file's end has locks to give up.
    pub(crate) fn note_lock(&self) {
        self.locked.store(true, Ordering::Relaxed);
    }

    /// `read(2)`.
    pub fn read(&self, sink: &mut Sink) -> Result<usize, Errno> {
        if !self.readable {
            return Err(Errno::EBADF);
        }
        match self.ops.position() {
            Position::Kept => self.at_position(|offset| self.ops.read(self, offset, sink)),
            _ => self.ops.read(self, &mut 0, sink),
        }
    }

    /// `write(2)`.
    pub fn write(&self, source: &mut Source) -> Result<usize, Errno> {
        if !self.writable {
            return Err(Errno::EBADF);
        }
        match self.ops.position() {
            Position::Kept => self.at_position(|offset| self.ops.write(self, offset, source)),
            _ => self.ops.write(self, &mut 0, source),
        }
    }

    /// `pread(2)`.
    pub fn read_at(&self, mut offset: u64, sink: &mut Sink) -> Result<usize, Errno> {
        self.check_positional(offset)?;
        if !self.readable {
            return Err(Errno::EBADF);
        }
        self.ops.read(self, &mut offset, sink)
    }

    /// `pwrite(2)`. As on Linux, `O_APPEND` wins over `offset`.
    pub fn write_at(&self, mut offset: u64, source: &mut Source) -> Result<usize, Errno> {
        self.check_positional(offset)?;
        if !self.writable {
            return Err(Errno::EBADF);
        }
        self.ops.write(self, &mut offset, source)
    }

    fn check_positional(&self, offset: u64) -> Result<(), Errno> {
        if i64::try_from(offset).is_err() {
            return Err(Errno::EINVAL);
        }
        if self.is_path_only() {
            return Err(Errno::EBADF);
        }
        if self.is_seekable() { Ok(()) } else { Err(Errno::ESPIPE) }
    }

    /// Transfers may say where.
    pub fn is_seekable(&self) -> bool {
        !matches!(self.ops.position(), Position::Stream | Position::Still)
    }

    /// Reads exactly `bytes.len()` bytes at `offset` into kernel memory, fewer at the end of the file.
    pub fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < bytes.len() {
            let Some(rest) = bytes.get_mut(done..) else { break };
            let count = self.ops.read(self, &mut (offset + done as u64), &mut Sink::kernel(rest))?;
            if count == 0 {
                break;
            }
            done += count;
        }
        Ok(done)
    }

    /// `lseek(2)`; `whence` is `SEEK_*`.
    pub fn seek(&self, offset: i64, whence: u32) -> Result<u64, Errno> {
        if self.is_path_only() {
            return Err(Errno::EBADF);
        }
        match self.ops.position() {
            Position::Stream => return Err(Errno::ESPIPE),
            Position::Ignored | Position::Still => return Ok(0),
            Position::Kept => {}
        }
        self.at_position(|position| self.seek_from(position, offset, whence))
    }

    fn seek_from(&self, position: &mut u64, offset: i64, whence: u32) -> Result<u64, Errno> {
        let base = match whence {
            seek::SEEK_SET => 0,
            seek::SEEK_CUR => *position,
            seek::SEEK_END => self.ops.size(self)?,
            seek::SEEK_DATA | seek::SEEK_HOLE => {
                let from = u64::try_from(offset).map_err(|_| Errno::ENXIO)?;
                *position = self.ops.seek_extent(self, from, whence == seek::SEEK_DATA)?;
                return Ok(*position);
            }
            _ => return Err(Errno::EINVAL),
        };
        let target = i64::try_from(base).ok().and_then(|base| base.checked_add(offset)).ok_or(Errno::EINVAL)?;
        *position = u64::try_from(target).map_err(|_| Errno::EINVAL)?;
        Ok(*position)
    }

    /// The position, for `/proc/PID/fdinfo`: as it was before a call that is under way, which may be the one that asks.
    pub fn offset(&self) -> u64 {
        self.shown.load(Ordering::Relaxed)
    }

    /// Does what moves the position, alone.
    #[inline]
    fn at_position<T>(&self, act: impl FnOnce(&mut u64) -> T) -> T {
        let mut offset = self.offset.lock();
        let result = act(&mut offset);
        self.shown.store(*offset, Ordering::Relaxed);
        result
    }

    /// `getdents64(2)`: lists from the position on, `.` and `..` first.
    pub fn read_dir(&self, sink: &mut dyn DirSink) -> Result<(), Errno> {
        if !self.readable {
            return Err(Errno::EBADF);
        }
        if self.kind() != FileType::Directory {
            return Err(Errno::ENOTDIR);
        }
        if self.path.dentry.is_removed() {
            return Err(Errno::ENOENT);
        }
        self.at_position(|cursor| self.ops.read_dir(self, cursor, sink))
    }

    pub fn poll(&self, poller: Option<&mut Poller>) -> u32 {
        self.ops.poll(self, poller)
    }

    pub fn ioctl(&self, command: u32, argument: Virt) -> Result<usize, Errno> {
        if self.is_path_only() {
            return Err(Errno::EBADF);
        }
        self.ops.ioctl(self, command, argument)
    }

    /// `ftruncate(2)`.
    pub fn set_size(&self, size: u64) -> Result<(), Errno> {
        if !self.writable || self.kind() != FileType::Regular {
            return Err(Errno::EINVAL);
        }
        self.inode().set_size(size)
    }

    /// The memory to map; `EACCES` unless the file may be read.
    pub fn map(&self) -> Result<Arc<MemoryObject>, Errno> {
        if self.is_path_only() {
            return Err(Errno::EBADF);
        }
        if !self.readable {
            return Err(Errno::EACCES);
        }
        self.ops.map(self)
    }

    pub fn sync(&self, data_only: bool) -> Result<(), Errno> {
        if self.is_path_only() {
            return Err(Errno::EBADF);
        }
        self.ops.sync(self, data_only)
    }

    /// `fallocate(2)`.
    pub fn allocate(&self, mode: u32, offset: u64, length: u64) -> Result<(), Errno> {
        if !self.writable {
            return Err(Errno::EBADF);
        }
        match self.kind() {
            FileType::Regular => self.ops.allocate(self, mode, offset, length),
            FileType::Fifo => Err(Errno::ESPIPE),
            FileType::Directory => Err(Errno::EISDIR),
            _ => Err(Errno::ENODEV),
        }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if *self.locked.get_mut() {
            locks::release(self.path.inode(), Owner::of_file(self));
        }
        // No reference is left, so `ops` sees the file for the last time.
        self.ops.clone().release(self);
    }
}

/// An open directory whose inode does the listing.
pub struct OpenDirectory;

impl FileOps for OpenDirectory {
    fn read(&self, _file: &File, _offset: &mut u64, _sink: &mut Sink) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }

    fn read_dir(&self, file: &File, cursor: &mut u64, sink: &mut dyn DirSink) -> Result<(), Errno> {
        let inode = file.inode().clone();
        list_with_dots(file, cursor, sink, &mut |from, sink| inode.read_dir(from, sink))
    }

    fn size(&self, _file: &File) -> Result<u64, Errno> {
        Ok(i64::MAX as u64)
    }

    fn sync(&self, _file: &File, _data_only: bool) -> Result<(), Errno> {
        Ok(())
    }
}

/// What only names a place (`O_PATH`).
pub struct PathOnly;

impl FileOps for PathOnly {}

/// Lists `.` at cursor 0, `..` at 1 and what `rest` lists from 2 on.
pub fn list_with_dots(
    file: &File,
    cursor: &mut u64,
    sink: &mut dyn DirSink,
    rest: &mut dyn FnMut(u64, &mut dyn DirSink) -> Result<(), Errno>,
) -> Result<(), Errno> {
    if *cursor == 0 {
        let dot = DirEntry { name: b".", inode: file.inode().number(), kind: FileType::Directory, next: 1 };
        if !sink.entry(dot) {
            return Ok(());
        }
        *cursor = 1;
    }
    if *cursor == 1 {
        let inode = file.path().parent_number();
        if !sink.entry(DirEntry { name: b"..", inode, kind: FileType::Directory, next: 2 }) {
            return Ok(());
        }
        *cursor = 2;
    }
    rest(*cursor, &mut |entry: DirEntry<'_>| {
        let taken = sink.entry(entry);
        if taken {
            *cursor = entry.next;
        }
        taken
    })
}
