//! Changing what a file is: `chmod(2)`, `chown(2)`, `utimensat(2)` and their older forms.

use aios_abi::Errno;
use aios_abi::linux::consts::{AT_FDCWD, UTIME_NOW, UTIME_OMIT, at};
use aios_abi::linux::structs::{Timespec, Timeval, Utimbuf};
use aios_abi::linux::table::nr;
use kernel_fs::types::PERMISSIONS;
use kernel_fs::vfs::{TimeChange, WalkFlags};
use kernel_fs::{Path, Timestamp};
use kernel_hal::addr::Virt;

use crate::call::CallResult;
use crate::path::{PathBuffer, start};
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::CHMOD, chmod),
    (nr::FCHMOD, fchmod),
    (nr::FCHMODAT, fchmodat),
    (nr::FCHMODAT2, fchmodat2),
    (nr::CHOWN, chown),
    (nr::LCHOWN, lchown),
    (nr::FCHOWN, fchown),
    (nr::FCHOWNAT, fchownat),
    (nr::UTIME, utime),
    (nr::UTIMES, utimes),
    (nr::FUTIMESAT, futimesat),
    (nr::UTIMENSAT, utimensat),
];

/// The place that a path argument names, from the descriptor in argument `directory` where the call has one.
/// `EINVAL` for flags other than those about the last component.
fn place(call: &Call<'_>, directory: Option<usize>, path: usize, flags: u32) -> Result<Path, Errno> {
    if flags & !(at::AT_SYMLINK_NOFOLLOW | at::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let empty = flags & at::AT_EMPTY_PATH != 0;
    let mut text = PathBuffer::new();
    let name = text.read(call.ptr(path))?;
    let start = directory.map_or(Ok(None), |index| start(call, index, name, empty))?;
    let follow = flags & at::AT_SYMLINK_NOFOLLOW == 0;
    let walk = WalkFlags { follow, empty, ..WalkFlags::NO_FOLLOW };
    call.in_files(|context| context.walk(start.as_ref(), name, walk))
}

fn change_mode(call: &Call<'_>, place: &Path, mode: usize) -> CallResult {
    let permissions = call.uint(mode) as u16 & PERMISSIONS;
    call.in_files(|context| context.set_permissions(place, permissions))?;
    Ok(0)
}

fn chmod(call: &mut Call<'_>) -> CallResult {
    let place = place(call, None, 0, 0)?;
    change_mode(call, &place, 1)
}

fn fchmod(call: &mut Call<'_>) -> CallResult {
    let file = call.fd(0)?;
    change_mode(call, file.path(), 1)
}

fn fchmodat(call: &mut Call<'_>) -> CallResult {
    let place = place(call, Some(0), 1, 0)?;
    change_mode(call, &place, 2)
}

fn fchmodat2(call: &mut Call<'_>) -> CallResult {
    let place = place(call, Some(0), 1, call.uint(3))?;
    change_mode(call, &place, 2)
}

/// An owner or group; -1 leaves it as it is.
fn identity(call: &Call<'_>, index: usize) -> Option<u32> {
    Some(call.uint(index)).filter(|id| *id != u32::MAX)
}

/// Owner and group are in argument `owner` and the next.
fn change_owner(call: &Call<'_>, place: &Path, owner: usize) -> CallResult {
    let (user, group) = (identity(call, owner), identity(call, owner + 1));
    call.in_files(|context| context.set_owner(place, user, group))?;
    Ok(0)
}

fn chown(call: &mut Call<'_>) -> CallResult {
    let place = place(call, None, 0, 0)?;
    change_owner(call, &place, 1)
}

fn lchown(call: &mut Call<'_>) -> CallResult {
    let place = place(call, None, 0, at::AT_SYMLINK_NOFOLLOW)?;
    change_owner(call, &place, 1)
}

fn fchown(call: &mut Call<'_>) -> CallResult {
    let file = call.fd(0)?;
    change_owner(call, file.path(), 1)
}

fn fchownat(call: &mut Call<'_>) -> CallResult {
    let place = place(call, Some(0), 1, call.uint(4))?;
    change_owner(call, &place, 2)
}

/// Time of access and of modification.
type Times = [TimeChange; 2];

const NOW: Times = [TimeChange::Now, TimeChange::Now];

/// A time of `utimensat`: `EINVAL` when its nanoseconds are neither a fraction nor one of the two special values.
fn from_timespec(time: Timespec) -> Result<TimeChange, Errno> {
    match time.nsec {
        UTIME_NOW => Ok(TimeChange::Now),
        UTIME_OMIT => Ok(TimeChange::Keep),
        0..1_000_000_000 => Ok(TimeChange::At(Timestamp { seconds: time.sec, nanoseconds: time.nsec as u32 })),
        _ => Err(Errno::EINVAL),
    }
}

fn from_timeval(time: Timeval) -> Result<TimeChange, Errno> {
    match time.usec {
        0..1_000_000 => Ok(TimeChange::At(Timestamp { seconds: time.sec, nanoseconds: time.usec as u32 * 1000 })),
        _ => Err(Errno::EINVAL),
    }
}

/// Two values behind a pointer, or now for both without one.
fn pair<T>(
    at: Virt,
    read: impl Fn(Virt) -> Result<T, Errno>,
    decode: fn(T) -> Result<TimeChange, Errno>,
) -> Result<Times, Errno> {
    if at.0 == 0 {
        return Ok(NOW);
    }
    let second = at.checked_add(size_of::<T>() as u64).ok_or(Errno::EFAULT)?;
    let (accessed, modified) = (read(at)?, read(second)?);
    Ok([decode(accessed)?, decode(modified)?])
}

fn change_times(call: &Call<'_>, place: &Path, [accessed, modified]: Times) -> CallResult {
    call.in_files(|context| context.set_times(place, accessed, modified))?;
    Ok(0)
}

fn utime(call: &mut Call<'_>) -> CallResult {
    let times = match call.ptr(1) {
        Virt(0) => NOW,
        at => {
            let given: Utimbuf = call.read(at)?;
            [given.access, given.modification].map(|seconds| TimeChange::At(Timestamp { seconds, nanoseconds: 0 }))
        }
    };
    let place = place(call, None, 0, 0)?;
    change_times(call, &place, times)
}

fn utimes(call: &mut Call<'_>) -> CallResult {
    let times = pair(call.ptr(1), |at| call.read::<Timeval>(at), from_timeval)?;
    let place = place(call, None, 0, 0)?;
    change_times(call, &place, times)
}

/// The place that a descriptor names where the path is a null pointer.
fn descriptor_place(call: &Call<'_>, flags: u32) -> Result<Path, Errno> {
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    Ok(call.fd(0)?.path().clone())
}

fn is_descriptor(call: &Call<'_>) -> bool {
    call.ptr(1).0 == 0 && call.int(0) != AT_FDCWD
}

fn futimesat(call: &mut Call<'_>) -> CallResult {
    let times = pair(call.ptr(2), |at| call.read::<Timeval>(at), from_timeval)?;
    let place = if is_descriptor(call) { descriptor_place(call, 0)? } else { place(call, Some(0), 1, 0)? };
    change_times(call, &place, times)
}

fn utimensat(call: &mut Call<'_>) -> CallResult {
    let flags = call.uint(3);
    let times = pair(call.ptr(2), |at| call.read::<Timespec>(at), from_timespec)?;
    if times == [TimeChange::Keep; 2] {
        // Nothing to do, so that not even the path counts.
        return Ok(0);
    }
    let place = if is_descriptor(call) { descriptor_place(call, flags)? } else { place(call, Some(0), 1, flags)? };
    change_times(call, &place, times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fractions_and_the_two_special_values_are_nanoseconds() {
        let at = |sec, nsec| from_timespec(Timespec { sec, nsec });
        assert_eq!(at(7, UTIME_NOW), Ok(TimeChange::Now));
        assert_eq!(at(7, UTIME_OMIT), Ok(TimeChange::Keep));
        let before_epoch = Timestamp { seconds: -7, nanoseconds: 999_999_999 };
        assert_eq!(at(-7, 999_999_999), Ok(TimeChange::At(before_epoch)));
        assert_eq!(at(7, 1_000_000_000), Err(Errno::EINVAL));
        assert_eq!(at(7, -1), Err(Errno::EINVAL));
        assert_eq!(from_timeval(Timeval { sec: 0, usec: 1_000_000 }), Err(Errno::EINVAL));
    }
}
