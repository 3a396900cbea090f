//! Opening, duplicating and closing descriptors: `open(2)`, `openat2(2)`, `close(2)`, `close_range(2)`, `dup(2)`.

use aios_abi::Errno;
use aios_abi::linux::consts::resource::RLIMIT_NOFILE;
use aios_abi::linux::consts::{close_range as close_flag, open as flag, resolve};
use aios_abi::linux::structs::{FromBytes, OpenHow as HowArgument};
use aios_abi::linux::table::nr;
use kernel_fs::Path;
use kernel_fs::vfs::{Limits, OpenHow};
use kernel_hal::addr::{PAGE_SIZE, Virt};
use kernel_hal::usermem;

use crate::call::CallResult;
use crate::path::{PathBuffer, directory, start};
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::OPEN, open),
    (nr::OPENAT, openat),
    (nr::OPENAT2, openat2),
    (nr::CREAT, creat),
    (nr::CLOSE, close),
    (nr::CLOSE_RANGE, close_range),
    (nr::DUP, dup),
    (nr::DUP2, dup2),
    (nr::DUP3, dup3),
];

/// Flags that `open` knows; it ignores others, `openat2` refuses them.
const KNOWN: u32 = flag::O_ACCMODE
    | flag::O_CREAT
    | flag::O_EXCL
    | flag::O_NOCTTY
    | flag::O_TRUNC
    | flag::O_APPEND
    | flag::O_NONBLOCK
    | flag::O_SYNC
    | flag::O_ASYNC
    | flag::O_DIRECT
    | flag::O_LARGEFILE
    | flag::O_NOFOLLOW
    | flag::O_NOATIME
    | flag::O_CLOEXEC
    | flag::O_PATH
    | flag::O_TMPFILE;

/// Flags that mean something together with `O_PATH`.
const WITH_PATH: u32 = flag::O_DIRECTORY | flag::O_NOFOLLOW | flag::O_PATH | flag::O_CLOEXEC;

/// The bit of `O_TMPFILE` that is not `O_DIRECTORY`.
const UNNAMED: u32 = flag::O_TMPFILE & !flag::O_DIRECTORY;

const MODE_BITS: u64 = 0o7777;

/// What the classic calls make of their flags: unknown ones vanish, `O_PATH` beats all that it does not combine with, and
/// a mode counts only where something is made.
fn lenient(flags: u32, mode: u32) -> HowArgument {
    let mut flags = flags & KNOWN;
    if flags & flag::O_PATH != 0 {
        flags &= WITH_PATH;
    }
    let makes = flags & (flag::O_CREAT | UNNAMED) != 0;
    HowArgument { flags: flags.into(), mode: if makes { u64::from(mode) & MODE_BITS } else { 0 }, resolve: 0 }
}

/// Checks what was asked for: `EINVAL` for what contradicts itself, `EAGAIN` for what would need a look at the disk when
/// only cached answers are wanted.
fn decode(how: HowArgument) -> Result<OpenHow, Errno> {
    let flags = u32::try_from(how.flags).ok().filter(|flags| flags & !KNOWN == 0).ok_or(Errno::EINVAL)?;
    let has = |bits| flags & bits != 0;
    let limited = |bit| how.resolve & bit != 0;
    let known = resolve::NAMES.iter().fold(0, |all, name| all | name.0);
    let contradicts = limited(resolve::RESOLVE_BENEATH) && limited(resolve::RESOLVE_IN_ROOT);
    if how.resolve & !known != 0 || contradicts {
        return Err(Errno::EINVAL);
    }
    let modes = if has(flag::O_CREAT | UNNAMED) { MODE_BITS } else { 0 };
    if how.mode & !modes != 0 || has(flag::O_CREAT) && has(flag::O_DIRECTORY) {
        return Err(Errno::EINVAL);
    }
    if has(UNNAMED) && (!has(flag::O_DIRECTORY) || flags & flag::O_ACCMODE == flag::O_RDONLY) {
        return Err(Errno::EINVAL);
    }
    if has(flag::O_PATH) && flags & !WITH_PATH != 0 {
        return Err(Errno::EINVAL);
    }
    if limited(resolve::RESOLVE_CACHED) {
        return Err(Errno::EAGAIN);
    }
    // A 64-bit program's files are large by nature, and say so.
    let large = if has(flag::O_PATH) { 0 } else { flag::O_LARGEFILE };
    let limits = Limits {
        one_mount: limited(resolve::RESOLVE_NO_XDEV),
        no_magic_links: limited(resolve::RESOLVE_NO_MAGICLINKS),
        no_links: limited(resolve::RESOLVE_NO_SYMLINKS),
        beneath: limited(resolve::RESOLVE_BENEATH),
        in_root: limited(resolve::RESOLVE_IN_ROOT),
    };
    Ok(OpenHow { flags: flags | large, permissions: how.mode as u16, limits })
}

fn open_path(call: &Call<'_>, start: Option<&Path>, path: &[u8], how: OpenHow) -> CallResult {
    let file = call.in_files(|context| context.open(start, path, how))?;
    call.thread.add_file(file, how.flags & flag::O_CLOEXEC != 0).map(|fd| fd as usize)
}

fn open(call: &mut Call<'_>) -> CallResult {
    let how = decode(lenient(call.uint(1), call.uint(2)))?;
    let mut text = PathBuffer::new();
    open_path(call, None, text.read(call.ptr(0))?, how)
}

fn creat(call: &mut Call<'_>) -> CallResult {
    let how = decode(lenient(flag::O_CREAT | flag::O_WRONLY | flag::O_TRUNC, call.uint(1)))?;
    let mut text = PathBuffer::new();
    open_path(call, None, text.read(call.ptr(0))?, how)
}

fn openat(call: &mut Call<'_>) -> CallResult {
    let how = decode(lenient(call.uint(2), call.uint(3)))?;
    let mut text = PathBuffer::new();
    let path = text.read(call.ptr(1))?;
    let start = start(call, 0, path, false)?;
    open_path(call, start.as_ref(), path, how)
}

fn openat2(call: &mut Call<'_>) -> CallResult {
    let how = decode(read_how(call.ptr(2), call.arg(3))?)?;
    let mut text = PathBuffer::new();
    let path = text.read(call.ptr(1))?;
    // An absolute path needs the descriptor here when that is its root.
    let rooted = how.limits.in_root && !path.is_empty();
    let start = if rooted { directory(call, 0)? } else { start(call, 0, path, false)? };
    open_path(call, start.as_ref(), path, how)
}

/// A structure that may grow: `E2BIG` when a newer one than this kernel knows says something in its new fields.
fn read_how(at: Virt, size: u64) -> Result<HowArgument, Errno> {
    const KNOWN_SIZE: usize = size_of::<HowArgument>();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size < KNOWN_SIZE {
        return Err(Errno::EINVAL);
    }
    if size > PAGE_SIZE {
        return Err(Errno::E2BIG);
    }
    let mut bytes = alloc::vec![0; size];
    usermem::copy_in(&mut bytes, at).map_err(|_| Errno::EFAULT)?;
    let (how, rest) = HowArgument::read_from_prefix(&bytes).map_err(|_| Errno::EINVAL)?;
    if rest.iter().any(|byte| *byte != 0) { Err(Errno::E2BIG) } else { Ok(how) }
}

fn close(call: &mut Call<'_>) -> CallResult {
    call.thread.files().remove(call.int(0))?;
    Ok(0)
}

fn close_range(call: &mut Call<'_>) -> CallResult {
    let (first, last, flags) = (call.uint(0), call.uint(1), call.uint(2));
    if flags & !(close_flag::CLOSE_RANGE_UNSHARE | close_flag::CLOSE_RANGE_CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    if flags & close_flag::CLOSE_RANGE_UNSHARE != 0 {
        let own = call.thread.files().duplicate()?;
        drop(call.thread.replace_files(own));
    }
    let files = call.thread.files();
    let mut from = first as usize;
    while let Some((fd, entry)) = files.next_open(from) {
        if fd as u32 > last {
            break;
        }
        // Both fail only when another thread closed it meanwhile, which is what was wanted.
        if flags & close_flag::CLOSE_RANGE_CLOEXEC != 0 {
            let _ = files.set_close_on_exec(fd, true);
        } else {
            drop(entry);
            let _ = files.remove(fd);
        }
        from = fd as usize + 1;
    }
    Ok(0)
}

fn dup(call: &mut Call<'_>) -> CallResult {
    let file = call.any_fd(0)?;
    call.thread.add_file(file, false).map(|fd| fd as usize)
}

fn replace(call: &Call<'_>, close_on_exec: bool) -> CallResult {
    let new = call.int(1);
    let limit = call.process().limits.current(RLIMIT_NOFILE);
    if !u64::try_from(new).is_ok_and(|new| new < limit) {
        return Err(Errno::EBADF);
    }
    let file = call.any_fd(0)?;
    let before = call.thread.files().put(file, new, limit, close_on_exec)?;
    drop(before);
    Ok(new as usize)
}

fn dup2(call: &mut Call<'_>) -> CallResult {
    if call.int(0) == call.int(1) {
        call.any_fd(0)?;
        return Ok(call.int(0) as usize);
    }
    replace(call, false)
}

fn dup3(call: &mut Call<'_>) -> CallResult {
    let flags = call.uint(2);
    if flags & !flag::O_CLOEXEC != 0 || call.int(0) == call.int(1) {
        return Err(Errno::EINVAL);
    }
    replace(call, flags != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn how(flags: u32, mode: u64, resolve: u64) -> Result<OpenHow, Errno> {
        decode(HowArgument { flags: flags.into(), mode, resolve })
    }

    #[test]
    fn open_forgives_what_openat2_refuses() {
        assert!(decode(lenient(1 << 30 | flag::O_PATH | flag::O_TRUNC, 0o777)).is_ok());
        assert_eq!(how(1 << 30, 0, 0).err(), Some(Errno::EINVAL));
        assert_eq!(how(flag::O_PATH | flag::O_TRUNC, 0, 0).err(), Some(Errno::EINVAL));
        assert_eq!(how(flag::O_RDONLY, 0o600, 0).err(), Some(Errno::EINVAL));
        assert_eq!(how(flag::O_RDWR | flag::O_CREAT, 0o10_000, 0).err(), Some(Errno::EINVAL));
    }

    #[test]
    fn contradictions_are_refused() {
        for flags in [flag::O_CREAT | flag::O_DIRECTORY, flag::O_TMPFILE, UNNAMED | flag::O_RDWR] {
            assert_eq!(decode(lenient(flags, 0o600)).err(), Some(Errno::EINVAL), "{flags:o}");
        }
        let both = resolve::RESOLVE_BENEATH | resolve::RESOLVE_IN_ROOT;
        assert_eq!(how(0, 0, both).err(), Some(Errno::EINVAL));
        assert_eq!(how(0, 0, resolve::RESOLVE_CACHED).err(), Some(Errno::EAGAIN));
    }

    #[test]
    fn modes_and_limits_are_passed_on() {
        let made = decode(lenient(flag::O_CREAT | flag::O_WRONLY, 0o170_640)).unwrap();
        assert_eq!(made.permissions, 0o640);
        assert_eq!(decode(lenient(flag::O_RDONLY, 0o777)).unwrap().permissions, 0);
        assert!(how(0, 0, resolve::RESOLVE_NO_SYMLINKS).unwrap().limits.no_links);
    }
}
