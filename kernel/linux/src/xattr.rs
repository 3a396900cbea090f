//! Extended attributes (`xattr(7)`): `getxattr(2)`, `setxattr(2)`, `listxattr(2)`, `removexattr(2)` and their kin.

use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::xattr as flag;
use aios_abi::linux::table::nr;
use kernel_fs::credentials::{MAY_READ, MAY_WRITE, capability};
use kernel_fs::types::STICKY;
use kernel_fs::vfs::{AttributeMode, WalkFlags};
use kernel_fs::{FileType, Path};
use kernel_hal::addr::Virt;
use kernel_hal::usermem::{self, StringError};

use crate::call::{CallResult, string};
use crate::path::PathBuffer;
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::GETXATTR, getxattr),
    (nr::LGETXATTR, lgetxattr),
    (nr::FGETXATTR, fgetxattr),
    (nr::SETXATTR, setxattr),
    (nr::LSETXATTR, lsetxattr),
    (nr::FSETXATTR, fsetxattr),
    (nr::LISTXATTR, listxattr),
    (nr::LLISTXATTR, llistxattr),
    (nr::FLISTXATTR, flistxattr),
    (nr::REMOVEXATTR, removexattr),
    (nr::LREMOVEXATTR, lremovexattr),
    (nr::FREMOVEXATTR, fremovexattr),
];

/// Longest name, and largest value or list (`xattr(7)`, bytes).
const NAME_MAX: usize = 255;
const VALUE_MAX: usize = 65_536;

/// The file that a call is about.
fn at_path(call: &Call<'_>, walk: WalkFlags) -> Result<Path, Errno> {
    let mut text = PathBuffer::new();
    let path = text.read(call.ptr(0))?;
    call.in_files(|context| context.walk(None, path, walk))
}

fn at_descriptor(call: &Call<'_>) -> Result<Path, Errno> {
    Ok(call.fd(0)?.path().clone())
}

/// An attribute's name: `ERANGE` when it is empty or too long.
fn name(at: Virt) -> Result<Vec<u8>, Errno> {
    match string(at, NAME_MAX + 1) {
        Ok(name) if !name.is_empty() => Ok(name),
        Ok(_) | Err(StringError::TooLong) => Err(Errno::ERANGE),
        Err(StringError::Fault) => Err(Errno::EFAULT),
    }
}

/// Who may use an attribute depends on the first part of its name.
fn permit(call: &Call<'_>, place: &Path, name: &[u8], wanted: u8) -> Result<(), Errno> {
    let writes = wanted == MAY_WRITE;
    if writes && place.mount.is_read_only() {
        return Err(Errno::EROFS);
    }
    if name.starts_with(b"security.") || name.starts_with(b"system.") {
        return Ok(());
    }
    let credentials = call.thread.credentials();
    if name.starts_with(b"trusted.") {
        let refused = if writes { Errno::EPERM } else { Errno::ENODATA };
        return if credentials.capable(capability::SYS_ADMIN) { Ok(()) } else { Err(refused) };
    }
    if !name.starts_with(b"user.") {
        return Err(Errno::EOPNOTSUPP);
    }
    let inode = place.inode().ownership();
    match place.kind() {
        FileType::Regular => {}
        FileType::Directory if writes && inode.permissions & STICKY != 0 && !credentials.owns(inode) => {
            return Err(Errno::EPERM);
        }
        FileType::Directory => {}
        _ => return Err(if writes { Errno::EPERM } else { Errno::ENODATA }),
    }
    call.in_files(|context| context.permission(place, wanted))
}

/// Hands a value or list out: only its length where the caller's buffer has none, `ERANGE` where it is too small.
fn hand_out(at: Virt, size: u64, bytes: &[u8]) -> CallResult {
    if size == 0 {
        return Ok(bytes.len());
    }
    if bytes.len() as u64 > size {
        return Err(Errno::ERANGE);
    }
    usermem::copy_out(at, bytes).map_err(|_| Errno::EFAULT)?;
    Ok(bytes.len())
}

fn get(call: &Call<'_>, place: Path) -> CallResult {
    let name = name(call.ptr(1))?;
    permit(call, &place, &name, MAY_READ)?;
    let value = place.inode().attribute(&name)?;
    hand_out(call.ptr(2), call.arg(3), &value)
}

fn getxattr(call: &mut Call<'_>) -> CallResult {
    get(call, at_path(call, WalkFlags::FOLLOW)?)
}

fn lgetxattr(call: &mut Call<'_>) -> CallResult {
    get(call, at_path(call, WalkFlags::NO_FOLLOW)?)
}

fn fgetxattr(call: &mut Call<'_>) -> CallResult {
    get(call, at_descriptor(call)?)
}

/// What `setxattr` is given beside the file.
struct Assignment {
    name: Vec<u8>,
    value: Vec<u8>,
    mode: AttributeMode,
}

fn assignment(call: &Call<'_>) -> Result<Assignment, Errno> {
    let mode = match call.uint(4) {
        0 => AttributeMode::Any,
        flag::XATTR_CREATE => AttributeMode::Create,
        flag::XATTR_REPLACE => AttributeMode::Replace,
        _ => return Err(Errno::EINVAL),
    };
    let name = name(call.ptr(1))?;
    let size = usize::try_from(call.arg(3)).ok().filter(|size| *size <= VALUE_MAX).ok_or(Errno::E2BIG)?;
    let mut value = Vec::new();
    value.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
    value.resize(size, 0);
    usermem::copy_in(&mut value, call.ptr(2)).map_err(|_| Errno::EFAULT)?;
    Ok(Assignment { name, value, mode })
}

fn set(call: &Call<'_>, place: Path) -> CallResult {
    let Assignment { name, value, mode } = assignment(call)?;
    permit(call, &place, &name, MAY_WRITE)?;
    place.inode().set_attribute(&name, &value, mode)?;
    Ok(0)
}

fn setxattr(call: &mut Call<'_>) -> CallResult {
    set(call, at_path(call, WalkFlags::FOLLOW)?)
}

fn lsetxattr(call: &mut Call<'_>) -> CallResult {
    set(call, at_path(call, WalkFlags::NO_FOLLOW)?)
}

fn fsetxattr(call: &mut Call<'_>) -> CallResult {
    set(call, at_descriptor(call)?)
}

fn list(call: &Call<'_>, place: Path) -> CallResult {
    let names = place.inode().attribute_names()?;
    hand_out(call.ptr(1), call.arg(2), &names)
}

fn listxattr(call: &mut Call<'_>) -> CallResult {
    list(call, at_path(call, WalkFlags::FOLLOW)?)
}

fn llistxattr(call: &mut Call<'_>) -> CallResult {
    list(call, at_path(call, WalkFlags::NO_FOLLOW)?)
}

fn flistxattr(call: &mut Call<'_>) -> CallResult {
    list(call, at_descriptor(call)?)
}

fn remove(call: &Call<'_>, place: Path) -> CallResult {
    let name = name(call.ptr(1))?;
    permit(call, &place, &name, MAY_WRITE)?;
    place.inode().remove_attribute(&name)?;
    Ok(0)
}

fn removexattr(call: &mut Call<'_>) -> CallResult {
    remove(call, at_path(call, WalkFlags::FOLLOW)?)
}

fn lremovexattr(call: &mut Call<'_>) -> CallResult {
    remove(call, at_path(call, WalkFlags::NO_FOLLOW)?)
}

fn fremovexattr(call: &mut Call<'_>) -> CallResult {
    remove(call, at_descriptor(call)?)
}
