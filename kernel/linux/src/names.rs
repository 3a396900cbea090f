//! Making, removing and moving names: `mkdir(2)`, `unlink(2)`, `rename(2)`, `link(2)`, `symlink(2)`, `mknod(2)`.

use aios_abi::Errno;
use aios_abi::linux::consts::{at, at_remove, mode as mode_bits, rename as rename_flag};
use aios_abi::linux::table::nr;
use kernel_fs::credentials::capability;
use kernel_fs::types::{PERMISSIONS, RenameMode};
use kernel_fs::vfs::WalkFlags;
use kernel_fs::{DeviceNumber, FileType, Path};

use crate::call::CallResult;
use crate::path::{PathBuffer, start};
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::MKDIR, mkdir),
    (nr::MKDIRAT, mkdirat),
    (nr::RMDIR, rmdir),
    (nr::UNLINK, unlink),
    (nr::UNLINKAT, unlinkat),
    (nr::RENAME, rename),
    (nr::RENAMEAT, renameat),
    (nr::RENAMEAT2, renameat2),
    (nr::LINK, link),
    (nr::LINKAT, linkat),
    (nr::SYMLINK, symlink),
    (nr::SYMLINKAT, symlinkat),
    (nr::MKNOD, mknod),
    (nr::MKNODAT, mknodat),
];

/// Where the path of a call's argument starts; calls without `at` in their name have no descriptor for it.
type Directory = Option<usize>;

fn begin(call: &Call<'_>, directory: Directory, path: &[u8]) -> Result<Option<Path>, Errno> {
    directory.map_or(Ok(None), |index| start(call, index, path, false))
}

fn make_directory(call: &Call<'_>, directory: Directory, path: usize) -> CallResult {
    let mut text = PathBuffer::new();
    let name = text.read(call.ptr(path))?;
    let start = begin(call, directory, name)?;
    let permissions = call.uint(path + 1) as u16 & PERMISSIONS;
    call.in_files(|context| context.mkdir(start.as_ref(), name, permissions))?;
    Ok(0)
}

fn mkdir(call: &mut Call<'_>) -> CallResult {
    make_directory(call, None, 0)
}

fn mkdirat(call: &mut Call<'_>) -> CallResult {
    make_directory(call, Some(0), 1)
}

fn remove(call: &Call<'_>, directory: Directory, path: usize, directories: bool) -> CallResult {
    let mut text = PathBuffer::new();
    let name = text.read(call.ptr(path))?;
    let start = begin(call, directory, name)?;
    call.in_files(|context| match directories {
        true => context.rmdir(start.as_ref(), name),
        false => context.unlink(start.as_ref(), name),
    })?;
    Ok(0)
}

fn rmdir(call: &mut Call<'_>) -> CallResult {
    remove(call, None, 0, true)
}

fn unlink(call: &mut Call<'_>) -> CallResult {
    remove(call, None, 0, false)
}

fn unlinkat(call: &mut Call<'_>) -> CallResult {
    let flags = call.uint(2);
    if flags & !at_remove::AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    remove(call, Some(0), 1, flags != 0)
}

fn rename_mode(flags: u32) -> Result<RenameMode, Errno> {
    match flags {
        0 => Ok(RenameMode::Replace),
        rename_flag::RENAME_NOREPLACE => Ok(RenameMode::NoReplace),
        rename_flag::RENAME_EXCHANGE => Ok(RenameMode::Exchange),
        // `RENAME_WHITEOUT` is for file systems that overlays are made of; they make whiteouts by themselves here.
        _ => Err(Errno::EINVAL),
    }
}

fn move_name(call: &Call<'_>, old: (Directory, usize), new: (Directory, usize), flags: u32) -> CallResult {
    let mode = rename_mode(flags)?;
    let (mut old_text, mut new_text) = (PathBuffer::new(), PathBuffer::new());
    let old_name = old_text.read(call.ptr(old.1))?;
    let old_start = begin(call, old.0, old_name)?;
    let new_name = new_text.read(call.ptr(new.1))?;
    let new_start = begin(call, new.0, new_name)?;
    call.in_files(|context| context.rename((old_start.as_ref(), old_name), (new_start.as_ref(), new_name), mode))?;
    Ok(0)
}

fn rename(call: &mut Call<'_>) -> CallResult {
    move_name(call, (None, 0), (None, 1), 0)
}

fn renameat(call: &mut Call<'_>) -> CallResult {
    move_name(call, (Some(0), 1), (Some(2), 3), 0)
}

fn renameat2(call: &mut Call<'_>) -> CallResult {
    move_name(call, (Some(0), 1), (Some(2), 3), call.uint(4))
}

fn add_name(call: &Call<'_>, old: (Directory, usize), new: (Directory, usize), flags: u32) -> CallResult {
    if flags & !(at::AT_SYMLINK_FOLLOW | at::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let empty = flags & at::AT_EMPTY_PATH != 0;
    let (mut old_text, mut new_text) = (PathBuffer::new(), PathBuffer::new());
    let old_name = old_text.read(call.ptr(old.1))?;
    if old_name.is_empty() && !(empty && call.thread.credentials().capable(capability::DAC_READ_SEARCH)) {
        return Err(Errno::ENOENT);
    }
    let old_start = old.0.map_or(Ok(None), |index| start(call, index, old_name, empty))?;
    let walk = WalkFlags { follow: flags & at::AT_SYMLINK_FOLLOW != 0, empty, ..WalkFlags::NO_FOLLOW };
    let from = call.in_files(|context| context.walk(old_start.as_ref(), old_name, walk))?;
    let new_name = new_text.read(call.ptr(new.1))?;
    let new_start = begin(call, new.0, new_name)?;
    call.in_files(|context| context.link(&from, new_start.as_ref(), new_name))?;
    Ok(0)
}

fn link(call: &mut Call<'_>) -> CallResult {
    add_name(call, (None, 0), (None, 1), 0)
}

fn linkat(call: &mut Call<'_>) -> CallResult {
    add_name(call, (Some(0), 1), (Some(2), 3), call.uint(4))
}

fn make_link(call: &Call<'_>, directory: Directory, path: usize) -> CallResult {
    let (mut target_text, mut text) = (PathBuffer::new(), PathBuffer::new());
    let target = target_text.read(call.ptr(0))?;
    if target.is_empty() {
        return Err(Errno::ENOENT);
    }
    let name = text.read(call.ptr(path))?;
    let start = begin(call, directory, name)?;
    call.in_files(|context| context.symlink(target, start.as_ref(), name))?;
    Ok(0)
}

fn symlink(call: &mut Call<'_>) -> CallResult {
    make_link(call, None, 1)
}

fn symlinkat(call: &mut Call<'_>) -> CallResult {
    make_link(call, Some(1), 2)
}

/// The kind of file that `mknod` is asked for: without one, a regular file.
fn node_kind(mode: u32) -> Result<FileType, Errno> {
    match mode & mode_bits::S_IFMT {
        0 => Ok(FileType::Regular),
        kind => match FileType::from_mode(kind) {
            Some(FileType::Directory) => Err(Errno::EPERM),
            None | Some(FileType::Symlink) => Err(Errno::EINVAL),
            Some(kind) => Ok(kind),
        },
    }
}

fn make_node(call: &Call<'_>, directory: Directory, path: usize) -> CallResult {
    let (mode, device) = (call.uint(path + 1), call.uint(path + 2));
    let kind = node_kind(mode)?;
    let mut text = PathBuffer::new();
    let name = text.read(call.ptr(path))?;
    let start = begin(call, directory, name)?;
    let permissions = mode as u16 & PERMISSIONS;
    let special = DeviceNumber::decode(device);
    call.in_files(|context| context.mknod(start.as_ref(), name, kind, permissions, special))?;
    Ok(0)
}

fn mknod(call: &mut Call<'_>) -> CallResult {
    make_node(call, None, 0)
}

fn mknodat(call: &mut Call<'_>) -> CallResult {
    make_node(call, Some(0), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_nodes_are_made() {
        assert_eq!(node_kind(0o644), Ok(FileType::Regular));
        assert_eq!(node_kind(mode_bits::S_IFIFO | 0o600), Ok(FileType::Fifo));
        assert_eq!(node_kind(mode_bits::S_IFDIR), Err(Errno::EPERM));
        assert_eq!(node_kind(mode_bits::S_IFLNK), Err(Errno::EINVAL));
        assert_eq!(node_kind(0o030_000), Err(Errno::EINVAL));
    }

    #[test]
    fn renames_go_one_way() {
        assert_eq!(rename_mode(0), Ok(RenameMode::Replace));
        assert_eq!(rename_mode(3), Err(Errno::EINVAL));
        assert_eq!(rename_mode(8), Err(Errno::EINVAL));
    }
}
