//! Where a process is in the file tree: `chdir(2)`, `chroot(2)`, `getcwd(2)`, `umask(2)`.

use aios_abi::Errno;
use aios_abi::linux::table::nr;
use kernel_fs::credentials::MAY_EXECUTE;
use kernel_fs::vfs::WalkFlags;
use kernel_fs::{FileType, Path};
use kernel_hal::usermem;

use crate::call::CallResult;
use crate::path::PathBuffer;
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] =
    &[(nr::CHDIR, chdir), (nr::FCHDIR, fchdir), (nr::CHROOT, chroot), (nr::GETCWD, getcwd), (nr::UMASK, umask)];

/// `CAP_SYS_CHROOT` (`capabilities(7)`).
const SYS_CHROOT: u32 = 18;

/// A directory that the caller may search.
fn searchable(call: &Call<'_>) -> Result<Path, Errno> {
    let mut text = PathBuffer::new();
    let path = text.read(call.ptr(0))?;
    call.in_files(|context| {
        let place = context.walk(None, path, WalkFlags { directory: true, ..WalkFlags::FOLLOW })?;
        context.permission(&place, MAY_EXECUTE)?;
        Ok(place)
    })
}

fn chdir(call: &mut Call<'_>) -> CallResult {
    let place = searchable(call)?;
    call.thread.place().set_cwd(place);
    Ok(0)
}

fn fchdir(call: &mut Call<'_>) -> CallResult {
    let place = call.any_fd(0)?.path().clone();
    if place.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    call.in_files(|context| context.permission(&place, MAY_EXECUTE))?;
    call.thread.place().set_cwd(place);
    Ok(0)
}

fn chroot(call: &mut Call<'_>) -> CallResult {
    let place = searchable(call)?;
    if !call.thread.credentials().capable(SYS_CHROOT) {
        return Err(Errno::EPERM);
    }
    call.thread.place().set_root(place);
    Ok(0)
}

fn getcwd(call: &mut Call<'_>) -> CallResult {
    let size = usize::try_from(call.arg(1)).unwrap_or(usize::MAX);
    let view = call.thread.place().view();
    let name = view.cwd.name(&view.root);
    if name.removed {
        return Err(Errno::ENOENT);
    }
    let mut text = name.bytes;
    if !name.reachable {
        text.splice(..0, *b"(unreachable)");
    }
    text.push(0);
    if text.len() > kernel_fs::types::PATH_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if text.len() > size {
        return Err(Errno::ERANGE);
    }
    usermem::copy_out(call.ptr(0), &text).map_err(|_| Errno::EFAULT)?;
    Ok(text.len())
}

fn umask(call: &mut Call<'_>) -> CallResult {
    Ok(usize::from(call.thread.place().set_umask(call.uint(0) as u16 & 0o777)))
}
