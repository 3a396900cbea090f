//! What a file is: `stat(2)`, `statx(2)`, `statfs(2)`.

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::{at, mount, statfs_flags, statx_attr, statx_mask};
use aios_abi::linux::structs::{Stat, Statfs, Statx, StatxTimestamp, Timespec};
use aios_abi::linux::table::nr;
use kernel_fs::vfs::WalkFlags;
use kernel_fs::{Metadata, Path, Timestamp};
use kernel_hal::addr::Virt;

use crate::call::CallResult;
use crate::path::{PathBuffer, start};
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::STAT, stat),
    (nr::LSTAT, lstat),
    (nr::FSTAT, fstat),
    (nr::NEWFSTATAT, newfstatat),
    (nr::STATX, statx),
    (nr::STATFS, statfs),
    (nr::FSTATFS, fstatfs),
];

fn timespec(time: Timestamp) -> Timespec {
    Timespec { sec: time.seconds, nsec: i64::from(time.nanoseconds) }
}

/// Metadata as `stat` has them.
fn encode(metadata: &Metadata) -> Stat {
    Stat {
        dev: metadata.device.encode(),
        ino: metadata.inode,
        nlink: u64::from(metadata.links),
        mode: metadata.mode(),
        uid: metadata.owner,
        gid: metadata.group,
        pad0: 0,
        rdev: metadata.special.encode(),
        size: i64::try_from(metadata.size).unwrap_or(i64::MAX),
        blksize: i64::from(metadata.block_size),
        blocks: i64::try_from(metadata.blocks).unwrap_or(i64::MAX),
        atime: timespec(metadata.accessed),
        mtime: timespec(metadata.modified),
        ctime: timespec(metadata.changed),
        reserved: [0; 3],
    }
}

fn write_stat(call: &Call<'_>, index: usize, metadata: &Metadata) -> CallResult {
    call.write(call.ptr(index), &encode(metadata))?;
    Ok(0)
}

fn stat_path(call: &Call<'_>, flags: WalkFlags) -> CallResult {
    let mut text = PathBuffer::new();
    let path = text.read(call.ptr(0))?;
    let metadata = call.in_files(|context| context.walk(None, path, flags))?.inode().metadata()?;
    write_stat(call, 1, &metadata)
}

fn stat(call: &mut Call<'_>) -> CallResult {
    stat_path(call, WalkFlags::FOLLOW)
}

fn lstat(call: &mut Call<'_>) -> CallResult {
    stat_path(call, WalkFlags::NO_FOLLOW)
}

fn fstat(call: &mut Call<'_>) -> CallResult {
    let metadata = call.any_fd(0)?.metadata()?;
    write_stat(call, 1, &metadata)
}

/// Flags of `newfstatat` and `statx`.
const KNOWN: u32 = at::AT_SYMLINK_NOFOLLOW | at::AT_NO_AUTOMOUNT | at::AT_EMPTY_PATH | at::AT_STATX_SYNC_TYPE;

/// True when the call names just its descriptor: an empty path, or since Linux 6.11 none at all.
fn names_descriptor(call: &Call<'_>, flags: u32) -> Result<bool, Errno> {
    if flags & !(at::AT_NO_AUTOMOUNT | at::AT_STATX_SYNC_TYPE) != at::AT_EMPTY_PATH || call.int(0) < 0 {
        return Ok(false);
    }
    let path = call.ptr(1);
    // What cannot be read is the walk's to report.
    Ok(path.0 == 0 || call.read::<u8>(path).is_ok_and(|first| first == 0))
}

/// The place that the descriptor and path in arguments 0 and 1 name. `check` runs between the reading of the path and the
/// walk, where Linux checks the other arguments.
fn place(call: &Call<'_>, flags: u32, check: impl FnOnce() -> Result<(), Errno>) -> Result<Path, Errno> {
    let mut text = PathBuffer::new();
    let path = text.read(call.ptr(1))?;
    let empty = flags & at::AT_EMPTY_PATH != 0;
    if path.is_empty() && !empty {
        return Err(Errno::ENOENT);
    }
    check()?;
    if flags & !KNOWN != 0 {
        return Err(Errno::EINVAL);
    }
    let start = start(call, 0, path, empty)?;
    let follow = flags & at::AT_SYMLINK_NOFOLLOW == 0;
    let walk = WalkFlags { follow, empty, ..WalkFlags::NO_FOLLOW };
    call.in_files(|context| context.walk(start.as_ref(), path, walk))
}

fn newfstatat(call: &mut Call<'_>) -> CallResult {
    let flags = call.uint(3);
    if names_descriptor(call, flags)? {
        let metadata = call.any_fd(0)?.metadata()?;
        return write_stat(call, 2, &metadata);
    }
    let metadata = place(call, flags, || Ok(()))?.inode().metadata()?;
    write_stat(call, 2, &metadata)
}

fn statx(call: &mut Call<'_>) -> CallResult {
    let (flags, mask) = (call.uint(2), call.uint(3));
    let check = || {
        let contradicts = flags & at::AT_STATX_SYNC_TYPE == at::AT_STATX_SYNC_TYPE;
        if mask & statx_mask::STATX__RESERVED != 0 || contradicts { Err(Errno::EINVAL) } else { Ok(()) }
    };
    let path = if names_descriptor(call, flags)? {
        check()?;
        call.any_fd(0)?.path().clone()
    } else {
        place(call, flags, check)?
    };
    call.write(call.ptr(4), &encode_extended(&path, &path.inode().metadata()?))?;
    Ok(0)
}

fn encode_extended(path: &Path, metadata: &Metadata) -> Statx {
    let time = |time: Timestamp| StatxTimestamp { sec: time.seconds, nsec: time.nanoseconds, pad0: 0 };
    let born = if metadata.created.is_some() { statx_mask::STATX_BTIME } else { 0 };
    let is_root = Arc::ptr_eq(&path.dentry, path.mount.root());
    Statx {
        mask: statx_mask::STATX_BASIC_STATS | born | statx_mask::STATX_MNT_ID,
        blksize: metadata.block_size,
        attributes: if is_root { statx_attr::STATX_ATTR_MOUNT_ROOT } else { 0 },
        nlink: metadata.links,
        uid: metadata.owner,
        gid: metadata.group,
        mode: metadata.mode() as u16,
        ino: metadata.inode,
        size: metadata.size,
        blocks: metadata.blocks,
        attributes_mask: statx_attr::STATX_ATTR_MOUNT_ROOT,
        atime: time(metadata.accessed),
        btime: time(metadata.created.unwrap_or_default()),
        ctime: time(metadata.changed),
        mtime: time(metadata.modified),
        rdev_major: metadata.special.major,
        rdev_minor: metadata.special.minor,
        dev_major: metadata.device.major,
        dev_minor: metadata.device.minor,
        mnt_id: path.mount.id(),
        ..Statx::default()
    }
}

fn write_statfs(call: &Call<'_>, at: Virt, path: &Path) -> CallResult {
    let stat = path.inode().stat_fs()?;
    // Each flag of a mount and what `statfs` shows for it.
    const FLAGS: [(u64, u64); 6] = [
        (mount::MS_RDONLY, statfs_flags::ST_RDONLY),
        (mount::MS_NOSUID, statfs_flags::ST_NOSUID),
        (mount::MS_NODEV, statfs_flags::ST_NODEV),
        (mount::MS_NOEXEC, statfs_flags::ST_NOEXEC),
        (mount::MS_NOATIME, statfs_flags::ST_NOATIME),
        (mount::MS_RELATIME, statfs_flags::ST_RELATIME),
    ];
    let set = u64::from(path.mount.flags());
    let flags =
        FLAGS.iter().filter(|(bit, _)| set & bit != 0).fold(statfs_flags::ST_VALID, |all, (_, shown)| all | shown);
    let encoded = Statfs {
        kind: i64::from(stat.magic),
        bsize: i64::from(stat.block_size),
        blocks: stat.blocks,
        bfree: stat.blocks_free,
        bavail: stat.blocks_available,
        files: stat.files,
        ffree: stat.files_free,
        fsid: [stat.id as i32, (stat.id >> 32) as i32],
        namelen: i64::from(stat.name_max),
        frsize: i64::from(stat.block_size),
        flags: flags as i64,
        reserved: [0; 4],
    };
    call.write(at, &encoded)?;
    Ok(0)
}

fn statfs(call: &mut Call<'_>) -> CallResult {
    let mut text = PathBuffer::new();
    let path = text.read(call.ptr(0))?;
    let place = call.in_files(|context| context.walk(None, path, WalkFlags::FOLLOW))?;
    write_statfs(call, call.ptr(1), &place)
}

fn fstatfs(call: &mut Call<'_>) -> CallResult {
    let file = call.any_fd(0)?;
    write_statfs(call, call.ptr(1), file.path())
}
