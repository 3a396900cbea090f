//! `mount(2)` and `umount2(2)`, and the kinds of file systems that can be mounted.
//!
//! The kernel registers how each kind is made at start-up; this room knows none of them.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::{PATH_MAX, mount as flag, umount};
use aios_abi::linux::table::nr;
use kernel_cap::Rights;
use kernel_fs::vfs::WalkFlags;
use kernel_fs::{FileSystem, Path};
use kernel_hal::addr::{PAGE_SIZE, Virt};
use kernel_hal::usermem;
use kernel_process::Thread;
use kernel_sync::SpinLock;

use crate::call::{CallResult, string};
use crate::path::PathBuffer;
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[(nr::MOUNT, mount), (nr::UMOUNT2, umount2)];

/// A file system to be made.
pub struct Request<'a> {
    /// Who asks: pays, and is where relative paths among the options start.
    pub thread: &'a Arc<Thread>,
    pub source: &'a [u8],
    /// Comma-separated, as `mount(8)` passes them on.
    pub options: &'a [u8],
    /// `MS_*`.
    pub flags: u64,
}

impl Request<'_> {
    /// The value of the option `name=value`, the last one given.
    pub fn option(&self, name: &str) -> Option<&[u8]> {
        let value = |option| <[u8]>::strip_prefix(option, name.as_bytes())?.strip_prefix(b"=");
        self.options.split(|byte| *byte == b',').rev().find_map(value)
    }
}

/// Makes a file system of one kind.
pub type Constructor = fn(&Request<'_>) -> Result<Arc<FileSystem>, Errno>;

static KINDS: SpinLock<BTreeMap<&'static str, Constructor>> = SpinLock::new(BTreeMap::new());

/// Makes file systems of `kind` mountable.
pub fn register(kind: &'static str, constructor: Constructor) {
    KINDS.lock().insert(kind, constructor);
}

/// The kinds that can be mounted, for `/proc/filesystems`.
pub fn kinds() -> Vec<&'static str> {
    KINDS.lock().keys().copied().collect()
}

/// Flags that a mount keeps.
const KEPT: u64 = flag::MS_RDONLY
    | flag::MS_NOSUID
    | flag::MS_NODEV
    | flag::MS_NOEXEC
    | flag::MS_NOATIME
    | flag::MS_NODIRATIME
    | flag::MS_RELATIME;

/// Flags that only change how mounts spread between namespaces. Each agent has one of its own: nothing ever spreads.
const PROPAGATION: u64 = flag::MS_SHARED | flag::MS_PRIVATE | flag::MS_SLAVE | flag::MS_UNBINDABLE;

/// What `mount` is to do, by its flags; the first that applies, as on Linux.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Remount,
    Bind,
    Propagation,
    Move,
    New,
}

fn action(flags: u64) -> Action {
    if flags & flag::MS_REMOUNT != 0 {
        Action::Remount
    } else if flags & flag::MS_BIND != 0 {
        Action::Bind
    } else if flags & PROPAGATION != 0 {
        Action::Propagation
    } else if flags & flag::MS_MOVE != 0 {
        Action::Move
    } else {
        Action::New
    }
}

/// A string that may be left out.
fn optional(at: Virt, limit: usize) -> Result<Vec<u8>, Errno> {
    if at.0 == 0 {
        return Ok(Vec::new());
    }
    string(at, limit).map_err(|error| match error {
        usermem::StringError::Fault => Errno::EFAULT,
        usermem::StringError::TooLong => Errno::EINVAL,
    })
}

fn mount(call: &mut Call<'_>) -> CallResult {
    let mut flags = call.arg(3);
    if flags & 0xffff_0000 == 0xc0ed_0000 {
        // A magic number that programs older than Linux 2.4 put there.
        flags &= 0xffff;
    }
    let kind = optional(call.ptr(2), PAGE_SIZE)?;
    let source = optional(call.ptr(0), PATH_MAX)?;
    let options = optional(call.ptr(4), PAGE_SIZE)?;
    let mut text = PathBuffer::new();
    let target = text.read(call.ptr(1))?;
    let place = call.in_files(|context| context.walk(None, target, WalkFlags::FOLLOW))?;
    call.process().domain().check(Rights::MOUNT, "mount")?;
    let namespace = call.thread.place().view().namespace.clone();
    let kept = (flags & KEPT) as u32;
    match action(flags) {
        Action::Remount => {
            if !Arc::ptr_eq(&place.dentry, place.mount.root()) {
                return Err(Errno::EINVAL);
            }
            namespace.set_flags(&place.mount, kept);
        }
        Action::Bind => {
            let from = source_path(call, &source)?;
            namespace.bind(&from, place)?;
        }
        Action::Propagation => {}
        Action::Move => {
            let from = source_path(call, &source)?;
            if !Arc::ptr_eq(&from.dentry, from.mount.root()) || Arc::ptr_eq(&from.mount, &place.mount) {
                return Err(Errno::EINVAL);
            }
            namespace.bind(&from, place)?;
            namespace.unmount(&from, true)?;
        }
        Action::New => {
            let Ok(kind) = core::str::from_utf8(&kind) else { return Err(Errno::ENODEV) };
            let constructor = KINDS.lock().get(kind).copied().ok_or(Errno::ENODEV)?;
            let request = Request { thread: call.thread, source: &source, options: &options, flags };
            let file_system = constructor(&request)?;
            let source = if source.is_empty() { b"none" } else { source.as_slice() };
            namespace.mount(file_system, source, kept, place)?;
        }
    }
    Ok(0)
}

/// The place that `MS_BIND` and `MS_MOVE` name as their source.
fn source_path(call: &Call<'_>, source: &[u8]) -> Result<Path, Errno> {
    if source.is_empty() {
        return Err(Errno::EINVAL);
    }
    call.in_files(|context| context.walk(None, source, WalkFlags::FOLLOW))
}

fn umount2(call: &mut Call<'_>) -> CallResult {
    let flags = call.uint(1);
    let known = umount::MNT_FORCE | umount::MNT_DETACH | umount::MNT_EXPIRE | umount::UMOUNT_NOFOLLOW;
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let walk = if flags & umount::UMOUNT_NOFOLLOW != 0 { WalkFlags::NO_FOLLOW } else { WalkFlags::FOLLOW };
    let mut text = PathBuffer::new();
    let target = text.read(call.ptr(0))?;
    let place = call.in_files(|context| context.walk(None, target, walk))?;
    call.process().domain().check(Rights::MOUNT, "umount")?;
    if flags & umount::MNT_EXPIRE != 0 {
        // Would need a mark that the next use of the mount takes away.
        return Err(Errno::EINVAL);
    }
    let namespace = call.thread.place().view().namespace.clone();
    namespace.unmount(&place, flags & umount::MNT_DETACH != 0)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_flag_that_applies_decides() {
        assert_eq!(action(flag::MS_REMOUNT | flag::MS_BIND | flag::MS_RDONLY), Action::Remount);
        assert_eq!(action(flag::MS_BIND | flag::MS_REC | flag::MS_PRIVATE), Action::Bind);
        assert_eq!(action(flag::MS_PRIVATE | flag::MS_REC), Action::Propagation);
        assert_eq!(action(flag::MS_MOVE), Action::Move);
        assert_eq!(action(flag::MS_RDONLY | flag::MS_SILENT), Action::New);
    }
}
