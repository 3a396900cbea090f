//! `fcntl(2)` and `flock(2)`.

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::fcntl as command;
use aios_abi::linux::consts::fd_flags::FD_CLOEXEC;
use aios_abi::linux::consts::resource::RLIMIT_NOFILE;
use aios_abi::linux::consts::{flock_op, lock_type, open, seek};
use aios_abi::linux::structs::Flock;
use aios_abi::linux::table::nr;
use kernel_fs::File;
use kernel_fs::locks::{self, Kind, Owner, Request};

use crate::call::CallResult;
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[(nr::FCNTL, fcntl), (nr::FLOCK, flock)];

fn fcntl(call: &mut Call<'_>) -> CallResult {
    let file = call.any_fd(0)?;
    let (fd, number) = (call.int(0), call.uint(1));
    match number {
        command::F_DUPFD => return duplicate(call, file, false),
        command::F_DUPFD_CLOEXEC => return duplicate(call, file, true),
        command::F_DUPFD_QUERY => {
            let other = call.any_fd(2)?;
            return Ok(usize::from(Arc::ptr_eq(&file, &other)));
        }
        command::F_GETFD => {
            let descriptor = call.thread.files().descriptor(fd)?;
            return Ok(if descriptor.close_on_exec { FD_CLOEXEC as usize } else { 0 });
        }
        command::F_SETFD => {
            call.thread.files().set_close_on_exec(fd, call.uint(2) & FD_CLOEXEC != 0)?;
            return Ok(0);
        }
        command::F_GETFL => return Ok(file.flags() as usize),
        _ if file.is_path_only() => return Err(Errno::EBADF),
        _ => {}
    }
    match number {
        command::F_SETFL => set_flags(call, &file),
        command::F_GETLK | command::F_OFD_GETLK => test_record(call, &file, number == command::F_OFD_GETLK),
        command::F_SETLK | command::F_OFD_SETLK => set_record(call, &file, number == command::F_OFD_SETLK, false),
        command::F_SETLKW | command::F_OFD_SETLKW => set_record(call, &file, number == command::F_OFD_SETLKW, true),
        // Only kept: no signal tells of input and output.
        command::F_GETOWN => Ok(file.owner() as usize),
        command::F_SETOWN => {
            file.set_owner(call.int(2));
            Ok(0)
        }
        command::F_GETSIG => Ok(0),
        command::F_GETPIPE_SZ => Ok(file.ops().pipe().ok_or(Errno::EBADF)?.capacity()),
        command::F_SETPIPE_SZ => {
            let pipe = file.ops().pipe().ok_or(Errno::EBADF)?;
            let size = call.uint(2);
            if size > 1 << 31 { Err(Errno::EINVAL) } else { pipe.set_capacity(size as usize) }
        }
        // Nobody else can open an agent's files by surprise, so there is never a lease to break.
        command::F_GETLEASE => Ok(lock_type::F_UNLCK as usize),
        _ => Err(Errno::EINVAL),
    }
}

fn duplicate(call: &Call<'_>, file: Arc<File>, close_on_exec: bool) -> CallResult {
    let limit = call.process().limits.current(RLIMIT_NOFILE);
    let from = call.uint(2);
    if u64::from(from) >= limit {
        return Err(Errno::EINVAL);
    }
    call.thread.files().add(file, from as usize, limit, close_on_exec).map(|fd| fd as usize)
}

fn set_flags(call: &Call<'_>, file: &File) -> CallResult {
    let flags = call.uint(2);
    let quietly = flags & !file.flags() & open::O_NOATIME != 0;
    if quietly && !call.thread.credentials().owns(file.inode().ownership()) {
        return Err(Errno::EPERM);
    }
    file.set_flags(flags);
    Ok(0)
}

/// Who holds a record lock: the descriptor table, or for the `OFD` commands the open file.
fn owner(call: &Call<'_>, file: &File, of_file: bool) -> Owner {
    if of_file { Owner::of_file(file) } else { Owner::of_table(&*call.thread.files()) }
}

/// The bytes that a `struct flock` speaks of: `start..end`.
fn range(file: &File, lock: &Flock) -> Result<(u64, u64), Errno> {
    let base = match lock.whence as u32 {
        seek::SEEK_SET => 0,
        seek::SEEK_CUR => file.offset(),
        seek::SEEK_END => file.ops().size(file)?,
        _ => return Err(Errno::EINVAL),
    };
    let base = i64::try_from(base).map_err(|_| Errno::EOVERFLOW)?;
    span(base, lock.start, lock.len)
}

/// Like [`range`], counting from `base`: a negative length lies before the start, length 0 goes on for ever.
fn span(base: i64, start: i64, len: i64) -> Result<(u64, u64), Errno> {
    let start = base.checked_add(start).ok_or(Errno::EOVERFLOW)?;
    let unsigned = |value: i64| u64::try_from(value).map_err(|_| Errno::EINVAL);
    let first = unsigned(start)?;
    match len {
        0 => Ok((first, locks::FOREVER)),
        1.. => {
            start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?;
            Ok((first, first + len as u64))
        }
        _ => Ok((unsigned(start.checked_add(len).ok_or(Errno::EINVAL)?)?, first)),
    }
}

/// Read or write; `None` for unlocking.
fn kind(lock: &Flock) -> Result<Option<Kind>, Errno> {
    match lock.kind {
        lock_type::F_RDLCK => Ok(Some(Kind::Read)),
        lock_type::F_WRLCK => Ok(Some(Kind::Write)),
        lock_type::F_UNLCK => Ok(None),
        _ => Err(Errno::EINVAL),
    }
}

fn test_record(call: &Call<'_>, file: &File, of_file: bool) -> CallResult {
    let mut lock: Flock = call.read(call.ptr(2))?;
    let kind = kind(&lock)?.ok_or(Errno::EINVAL)?;
    let (start, end) = range(file, &lock)?;
    if of_file && lock.pid != 0 {
        return Err(Errno::EINVAL);
    }
    let wanted = Request { owner: owner(call, file, of_file), kind, start, end, pid: 0 };
    match locks::find_conflict(file.inode(), &wanted) {
        None => lock.kind = lock_type::F_UNLCK,
        Some(held) => {
            lock.kind = if held.kind == Kind::Read { lock_type::F_RDLCK } else { lock_type::F_WRLCK };
            lock.whence = seek::SEEK_SET as i16;
            lock.start = held.start as i64;
            lock.len = if held.end == locks::FOREVER { 0 } else { (held.end - held.start) as i64 };
            lock.pid = held.pid;
        }
    }
    call.write(call.ptr(2), &lock)?;
    Ok(0)
}

fn set_record(call: &Call<'_>, file: &File, of_file: bool, wait: bool) -> CallResult {
    let lock: Flock = call.read(call.ptr(2))?;
    let (start, end) = range(file, &lock)?;
    let kind = kind(&lock)?;
    if of_file && lock.pid != 0 {
        return Err(Errno::EINVAL);
    }
    let owner = owner(call, file, of_file);
    let Some(kind) = kind else {
        locks::unlock(file, owner, start, end);
        return Ok(0);
    };
    let allowed = if kind == Kind::Read { file.is_readable() } else { file.is_writable() };
    if !allowed {
        return Err(Errno::EBADF);
    }
    let pid = if of_file { -1 } else { call.process().pid() as i32 };
    locks::lock(file, &Request { owner, kind, start, end, pid }, wait)?;
    Ok(0)
}

fn flock(call: &mut Call<'_>) -> CallResult {
    let operation = call.uint(1);
    let kind = match operation & !flock_op::LOCK_NB {
        flock_op::LOCK_SH => Some(Kind::Read),
        flock_op::LOCK_EX => Some(Kind::Write),
        flock_op::LOCK_UN => None,
        _ => return Err(Errno::EINVAL),
    };
    let file = call.fd(0)?;
    locks::flock(&file, kind, operation & flock_op::LOCK_NB == 0)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_follow_their_lengths_sign() {
        assert_eq!(span(10, 5, 3), Ok((15, 18)));
        assert_eq!(span(10, 5, 0), Ok((15, locks::FOREVER)));
        assert_eq!(span(10, 5, -3), Ok((12, 15)));
        assert_eq!(span(0, 2, -3), Err(Errno::EINVAL));
        assert_eq!(span(0, -1, 3), Err(Errno::EINVAL));
        assert_eq!(span(1, i64::MAX, 3), Err(Errno::EOVERFLOW));
        assert_eq!(span(0, i64::MAX, 3), Err(Errno::EOVERFLOW));
    }
}
