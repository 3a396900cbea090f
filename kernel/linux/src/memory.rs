//! Memory mappings.

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::{MAP_TYPE, map as map_flag, mremap as remap_flag, prot as prot_flag, resource};
use aios_abi::linux::structs::Iovec;
use aios_abi::linux::table::nr;
use kernel_fs::vfs::mount_flags;
use kernel_fs::{DeviceNumber, File, FileType};
use kernel_hal::addr::{PAGE_SIZE, Virt, is_user_range};
use kernel_hal::paging::Prot;
use kernel_hal::usermem;
use kernel_mm::{AddressSpace, Limits, MapBacking, MapFlags, MapRequest, RemapFlags};

use crate::call::{Call, CallResult, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::MMAP, mmap),
    (nr::MUNMAP, munmap),
    (nr::MPROTECT, mprotect),
    (nr::BRK, brk),
    (nr::MREMAP, mremap),
    (nr::MADVISE, madvise),
    (nr::MSYNC, msync),
    (nr::MINCORE, mincore),
    (nr::MLOCK, mlock),
    (nr::MLOCK2, mlock2),
    (nr::MUNLOCK, munlock),
    (nr::MLOCKALL, mlockall),
    (nr::MUNLOCKALL, munlockall),
    (nr::PROCESS_VM_READV, process_vm_readv),
    (nr::PROCESS_VM_WRITEV, process_vm_writev),
];

fn space(call: &Call<'_>) -> Result<Arc<AddressSpace>, Errno> {
    call.process().space().ok_or(Errno::ENOMEM)
}

/// What a program may do with a page. On x86-64 what may be written or executed may be read.
fn protection(bits: u32) -> Prot {
    let (write, exec) = (bits & prot_flag::PROT_WRITE != 0, bits & prot_flag::PROT_EXEC != 0);
    Prot { read: bits & prot_flag::PROT_READ != 0 || write || exec, write, exec }
}

/// Tells the address space what the resource limits are now.
pub(crate) fn apply_limits(call: &Call<'_>) {
    if let Some(space) = call.process().space() {
        let limits = &call.process().limits;
        space.set_limits(Limits {
            address_space: limits.current(resource::RLIMIT_AS),
            data: limits.current(resource::RLIMIT_DATA),
            stack: limits.current(resource::RLIMIT_STACK),
        });
    }
}

fn mmap(call: &mut Call<'_>) -> CallResult {
    let (bits, flags, offset) = (call.uint(2), call.uint(3), call.arg(5));
    if !offset.is_multiple_of(PAGE_SIZE as u64) {
        return Err(Errno::EINVAL);
    }
    let anonymous = flags & map_flag::MAP_ANONYMOUS != 0;
    // The descriptor is looked at first, and only without MAP_ANONYMOUS.
    let file = if anonymous { None } else { Some(call.fd(4)?) };
    if flags & map_flag::MAP_HUGETLB != 0 {
        // There is no pool of huge pages; Linux without one says the same.
        return Err(if anonymous { Errno::ENOMEM } else { Errno::EINVAL });
    }
    let shared = match flags & MAP_TYPE {
        map_flag::MAP_PRIVATE => false,
        map_flag::MAP_SHARED => true,
        map_flag::MAP_SHARED_VALIDATE if flags & map_flag::MAP_SYNC == 0 => true,
        map_flag::MAP_SHARED_VALIDATE => return Err(Errno::EOPNOTSUPP),
        _ => return Err(Errno::EINVAL),
    };
    let backing = match file {
        None => MapBacking::Anonymous,
        Some(_) if call.arg(1) == 0 => return Err(Errno::EINVAL),
        // A mapping of `/dev/zero` is one of zeros (`mem(4)`).
        Some(file) if is_zero_device(&file) => MapBacking::Anonymous,
        Some(file) => {
            let max = Prot {
                read: file.is_readable(),
                write: file.is_writable(),
                exec: file.path().mount.flags() & mount_flags::NO_EXEC == 0,
            };
            MapBacking::Object { object: file.map()?, offset, max, file: Some(file) }
        }
    };
    let request = MapRequest {
        hint: call.ptr(0),
        len: call.arg(1),
        prot: protection(bits),
        flags: MapFlags {
            shared,
            fixed: flags & map_flag::MAP_FIXED != 0,
            no_replace: flags & map_flag::MAP_FIXED_NOREPLACE != 0,
            grows_down: flags & map_flag::MAP_GROWSDOWN != 0,
            populate: flags & map_flag::MAP_POPULATE != 0 && flags & map_flag::MAP_NONBLOCK == 0,
            locked: flags & map_flag::MAP_LOCKED != 0,
            no_reserve: flags & map_flag::MAP_NORESERVE != 0,
        },
        backing,
        label: "",
    };
    Ok(space(call)?.map(request)?.0 as usize)
}

fn is_zero_device(file: &File) -> bool {
    file.kind() == FileType::CharDevice
        && file.metadata().is_ok_and(|metadata| metadata.special == DeviceNumber::new(1, 5))
}

fn munmap(call: &mut Call<'_>) -> CallResult {
    space(call)?.unmap(call.ptr(0), call.arg(1))?;
    Ok(0)
}

fn mprotect(call: &mut Call<'_>) -> CallResult {
    let bits = call.uint(2);
    let grows = bits & (prot_flag::PROT_GROWSDOWN | prot_flag::PROT_GROWSUP);
    if grows == prot_flag::PROT_GROWSDOWN | prot_flag::PROT_GROWSUP {
        return Err(Errno::EINVAL);
    }
    let known = prot_flag::PROT_READ | prot_flag::PROT_WRITE | prot_flag::PROT_EXEC | prot_flag::PROT_SEM;
    if !call.ptr(0).is_page_aligned() {
        return Err(Errno::EINVAL);
    }
    if call.arg(1) == 0 {
        return Ok(0);
    }
    if Virt(call.arg(1)).page_up().and_then(|len| call.ptr(0).checked_add(len.0)).is_none() {
        return Err(Errno::ENOMEM);
    }
    if bits & !(known | grows) != 0 || grows & prot_flag::PROT_GROWSUP != 0 {
        return Err(Errno::EINVAL);
    }
    space(call)?.protect(call.ptr(0), call.arg(1), protection(bits), grows != 0)?;
    Ok(0)
}

fn brk(call: &mut Call<'_>) -> CallResult {
    Ok(space(call)?.brk(call.ptr(0)).0 as usize)
}

fn mremap(call: &mut Call<'_>) -> CallResult {
    let flags = call.uint(3);
    if flags & !(remap_flag::MREMAP_MAYMOVE | remap_flag::MREMAP_FIXED | remap_flag::MREMAP_DONTUNMAP) != 0 {
        return Err(Errno::EINVAL);
    }
    let flags = RemapFlags {
        may_move: flags & remap_flag::MREMAP_MAYMOVE != 0,
        fixed: flags & remap_flag::MREMAP_FIXED != 0,
        dont_unmap: flags & remap_flag::MREMAP_DONTUNMAP != 0,
    };
    Ok(space(call)?.remap(call.ptr(0), call.arg(1), call.arg(2), flags, call.ptr(4))?.0 as usize)
}

fn madvise(call: &mut Call<'_>) -> CallResult {
    space(call)?.advise(call.ptr(0), call.arg(1), call.int(2))?;
    Ok(0)
}

fn msync(call: &mut Call<'_>) -> CallResult {
    space(call)?.sync(call.ptr(0), call.arg(1), call.uint(2))?;
    Ok(0)
}

fn mincore(call: &mut Call<'_>) -> CallResult {
    let (start, len, out) = (call.ptr(0), call.arg(1), call.ptr(2));
    if !start.is_page_aligned() {
        return Err(Errno::EINVAL);
    }
    let pages = len.div_ceil(PAGE_SIZE as u64);
    if start.checked_add(pages.saturating_mul(PAGE_SIZE as u64)).is_none_or(|end| end.0 > kernel_hal::addr::USER_END) {
        return Err(Errno::ENOMEM);
    }
    if !is_user_range(out, pages as usize) {
        return Err(Errno::EFAULT);
    }
    let space = space(call)?;
    let mut chunk = [0; 256];
    let mut done = 0;
    while done < pages {
        let count = (pages - done).min(chunk.len() as u64);
        let part = chunk.get_mut(..count as usize).ok_or(Errno::EFAULT)?;
        space.mincore(Virt(start.0 + done * PAGE_SIZE as u64), part)?;
        let at = out.checked_add(done).ok_or(Errno::EFAULT)?;
        usermem::copy_out(at, part).map_err(|_| Errno::EFAULT)?;
        done += count;
    }
    Ok(0)
}

fn mlock(call: &mut Call<'_>) -> CallResult {
    space(call)?.lock(call.ptr(0), call.arg(1), true)?;
    Ok(0)
}

fn mlock2(call: &mut Call<'_>) -> CallResult {
    const MLOCK_ONFAULT: u32 = 1;
    if call.uint(2) & !MLOCK_ONFAULT != 0 {
        return Err(Errno::EINVAL);
    }
    mlock(call)
}

fn munlock(call: &mut Call<'_>) -> CallResult {
    space(call)?.lock(call.ptr(0), call.arg(1), false)?;
    Ok(0)
}

/// Nothing is ever swapped out, so all memory is locked.
fn mlockall(call: &mut Call<'_>) -> CallResult {
    let flags = call.uint(0);
    if flags == 0 || flags & !7 != 0 || flags == 4 {
        return Err(Errno::EINVAL);
    }
    Ok(0)
}

fn munlockall(_call: &mut Call<'_>) -> CallResult {
    Ok(0)
}

fn process_vm_readv(call: &mut Call<'_>) -> CallResult {
    transfer(call, false)
}

fn process_vm_writev(call: &mut Call<'_>) -> CallResult {
    transfer(call, true)
}

/// Copies between the caller's buffers and those of another process of the agent.
fn transfer(call: &mut Call<'_>, write: bool) -> CallResult {
    if call.arg(5) != 0 {
        return Err(Errno::EINVAL);
    }
    let local = call.iovecs(call.ptr(1), call.arg(2))?;
    if call.arg(4) > aios_abi::linux::consts::IOV_MAX as u64 {
        return Err(Errno::EINVAL);
    }
    let remote = call.read_array::<Iovec>(call.ptr(3), call.arg(4) as usize)?;
    let pid = u32::try_from(call.int(0)).map_err(|_| Errno::ESRCH)?;
    let target = call.process().pids().process(pid).ok_or(Errno::ESRCH)?;
    let (mine, theirs) = (call.thread.credentials(), target.leader().ok_or(Errno::ESRCH)?.credentials());
    if mine.euid != 0 && (mine.uid != theirs.uid || mine.gid != theirs.gid) {
        return Err(Errno::EPERM);
    }
    let space = target.space().ok_or(Errno::ESRCH)?;
    let mut locals = local.into_iter();
    let mut current = locals.next().unwrap_or((Virt(0), 0));
    let mut done = 0;
    let mut chunk = alloc::vec![0; PAGE_SIZE];
    for part in remote {
        let mut at = Virt(part.base);
        let mut left = part.len;
        while left > 0 {
            while current.1 == 0 {
                match locals.next() {
                    Some(next) => current = next,
                    None => return Ok(done),
                }
            }
            let count = (left.min(current.1 as u64) as usize).min(chunk.len());
            let bytes = chunk.get_mut(..count).ok_or(Errno::EFAULT)?;
            let moved = if write {
                usermem::copy_in(bytes, current.0).is_ok() && space.write_bytes(at, bytes).is_ok()
            } else {
                space.read_bytes(at, bytes).is_ok() && usermem::copy_out(current.0, bytes).is_ok()
            };
            if !moved {
                return if done > 0 { Ok(done) } else { Err(Errno::EFAULT) };
            }
            done += count;
            left -= count as u64;
            at = at.checked_add(count as u64).ok_or(Errno::EFAULT)?;
            current = (Virt(current.0.0 + count as u64), current.1 - count);
        }
    }
    Ok(done)
}
