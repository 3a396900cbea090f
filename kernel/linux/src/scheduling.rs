//! Priorities, scheduling classes and affinity: `sched(7)`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use aios_abi::Errno;
use aios_abi::linux::consts::{SCHED_ATTR_SIZE_VER0, priority as prio, sched_flags as flag, sched_policy as policy};
use aios_abi::linux::structs::{FromBytes, IntoBytes, SchedAttr, SchedParam, Timespec};
use aios_abi::linux::table::nr;
use kernel_cap::Rights;
use kernel_hal::addr::Virt;
use kernel_hal::cpuset::CpuSet;
use kernel_hal::{cpu, usermem};
use kernel_process::Thread;
use kernel_sched::{Class, Reservation};

use crate::call::{Call, CallResult, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::GETPRIORITY, getpriority),
    (nr::SETPRIORITY, setpriority),
    (nr::SCHED_YIELD, sched_yield),
    (nr::SCHED_GETSCHEDULER, sched_getscheduler),
    (nr::SCHED_SETSCHEDULER, sched_setscheduler),
    (nr::SCHED_GETPARAM, sched_getparam),
    (nr::SCHED_SETPARAM, sched_setparam),
    (nr::SCHED_SETATTR, sched_setattr),
    (nr::SCHED_GETATTR, sched_getattr),
    (nr::SCHED_GET_PRIORITY_MAX, sched_get_priority_max),
    (nr::SCHED_GET_PRIORITY_MIN, sched_get_priority_min),
    (nr::SCHED_RR_GET_INTERVAL, sched_rr_get_interval),
    (nr::SCHED_GETAFFINITY, sched_getaffinity),
    (nr::SCHED_SETAFFINITY, sched_setaffinity),
    (nr::GETCPU, getcpu),
];

/// `CAP_SYS_NICE`.
fn may_be_nice(call: &Call<'_>) -> bool {
    const CAP_SYS_NICE: u32 = 23;
    call.thread.credentials().capable(CAP_SYS_NICE)
}

/// Whether the caller may take time from everybody: its agent needs the right for that.
fn may_be_urgent(call: &Call<'_>) -> bool {
    may_be_nice(call) && call.process().domain().rights().contains(Rights::RESOURCE)
}

/// Whether the caller may change `target`: its own user's threads, or all with `CAP_SYS_NICE`.
fn may_change(call: &Call<'_>, target: &Thread) -> bool {
    let (me, other) = (call.thread.credentials(), target.credentials());
    me.euid == other.uid || me.euid == other.euid || may_be_nice(call)
}

/// The thread with that number; 0 is the caller.
fn thread(call: &Call<'_>, tid: i32) -> Result<Arc<Thread>, Errno> {
    match tid {
        0 => Ok(call.thread.clone()),
        tid => {
            let tid = u32::try_from(tid).map_err(|_| Errno::EINVAL)?;
            call.process().pids().thread(tid).ok_or(Errno::ESRCH)
        }
    }
}

/// The threads that `getpriority` and `setpriority` mean.
fn chosen(call: &Call<'_>) -> Result<Vec<Arc<Thread>>, Errno> {
    let (which, number) = (call.uint(0), call.uint(1));
    let me = call.process();
    let found = match which {
        prio::PRIO_PROCESS => alloc::vec![thread(call, number as i32).map_err(|_| Errno::ESRCH)?],
        prio::PRIO_PGRP => {
            let group = me.pids().group(if number == 0 { me.group() } else { number });
            group.iter().flat_map(|process| process.threads()).collect()
        }
        prio::PRIO_USER => {
            let user = if number == 0 { call.thread.credentials().uid } else { number };
            let threads = me.pids().processes().into_iter().flat_map(|process| process.threads());
            threads.filter(|thread| thread.credentials().uid == user).collect()
        }
        _ => return Err(Errno::EINVAL),
    };
    if found.is_empty() { Err(Errno::ESRCH) } else { Ok(found) }
}

/// The call returns 20 - nice, so that no result looks like an error.
fn getpriority(call: &mut Call<'_>) -> CallResult {
    let best = chosen(call)?.iter().map(|thread| 20 - thread.nice.load(Ordering::Relaxed)).max();
    Ok(best.unwrap_or(20) as usize)
}

fn setpriority(call: &mut Call<'_>) -> CallResult {
    let nice = call.int(2).clamp(-20, 19);
    for thread in chosen(call)? {
        if !may_change(call, &thread) {
            return Err(Errno::EPERM);
        }
        if nice < thread.nice.load(Ordering::Relaxed) && !may_be_nice(call) {
            return Err(Errno::EACCES);
        }
        thread.nice.store(nice, Ordering::Relaxed);
        let class = match class_of(&thread) {
            Class::Normal { slice, .. } => Class::Normal { nice: nice as i8, slice },
            Class::Batch { slice, .. } => Class::Batch { nice: nice as i8, slice },
            Class::Idle { .. } => Class::Idle { nice: nice as i8 },
            urgent => urgent,
        };
        set_class(&thread, class)?;
    }
    Ok(0)
}

fn class_of(thread: &Thread) -> Class {
    thread.kernel().map_or_else(Class::default, |kernel| kernel.class())
}

fn set_class(thread: &Thread, class: Class) -> Result<(), Errno> {
    thread.kernel().ok_or(Errno::ESRCH)?.set_class(class)
}

fn policy_of(class: &Class) -> u32 {
    match class {
        Class::Deadline(_) => policy::SCHED_DEADLINE,
        Class::Fifo(_) => policy::SCHED_FIFO,
        Class::RoundRobin(_) => policy::SCHED_RR,
        Class::Normal { .. } => policy::SCHED_NORMAL,
        Class::Batch { .. } => policy::SCHED_BATCH,
        Class::Idle { .. } => policy::SCHED_IDLE,
    }
}

/// What a program asks for, checked as `__sched_setscheduler` does.
struct Wanted {
    policy: u32,
    priority: u32,
    nice: i32,
    slice: u64,
    reservation: (u64, u64, u64),
    reset_on_fork: bool,
}

fn change(call: &Call<'_>, target: &Thread, wanted: &Wanted) -> CallResult {
    let nice = wanted.nice as i8;
    let class = match wanted.policy {
        policy::SCHED_NORMAL if wanted.priority == 0 => Class::Normal { nice, slice: wanted.slice },
        policy::SCHED_BATCH if wanted.priority == 0 => Class::Batch { nice, slice: wanted.slice },
        policy::SCHED_IDLE if wanted.priority == 0 => Class::Idle { nice },
        policy::SCHED_FIFO if (1..=99).contains(&wanted.priority) => Class::Fifo(wanted.priority as u8),
        policy::SCHED_RR if (1..=99).contains(&wanted.priority) => Class::RoundRobin(wanted.priority as u8),
        policy::SCHED_DEADLINE if wanted.priority == 0 => {
            let (runtime, deadline, period) = wanted.reservation;
            Class::Deadline(Reservation::new(runtime, deadline, period).ok_or(Errno::EINVAL)?)
        }
        _ => return Err(Errno::EINVAL),
    };
    let before = class_of(target);
    let more_urgent =
        !class.is_fair() && (class.priority() > before.priority() || policy_of(&class) != policy_of(&before));
    let less_nice = class.is_fair() && wanted.nice < target.nice.load(Ordering::Relaxed);
    let leaves_idle = matches!(before, Class::Idle { .. })
        && !matches!(class, Class::Idle { .. })
        && target.nice.load(Ordering::Relaxed) < 0;
    let stops_reset = target.reset_on_fork.load(Ordering::Relaxed) && !wanted.reset_on_fork;
    let denied = !may_change(call, target)
        || more_urgent && !may_be_urgent(call)
        || (less_nice || leaves_idle || stops_reset) && !may_be_nice(call);
    if denied {
        return Err(Errno::EPERM);
    }
    set_class(target, class)?;
    if class.is_fair() {
        target.nice.store(wanted.nice, Ordering::Relaxed);
    }
    target.reset_on_fork.store(wanted.reset_on_fork, Ordering::Relaxed);
    Ok(0)
}

fn sched_yield(_call: &mut Call<'_>) -> CallResult {
    kernel_sched::yield_now();
    Ok(0)
}

fn sched_getscheduler(call: &mut Call<'_>) -> CallResult {
    if call.int(0) < 0 {
        return Err(Errno::EINVAL);
    }
    let target = thread(call, call.int(0))?;
    let reset = if target.reset_on_fork.load(Ordering::Relaxed) { policy::SCHED_RESET_ON_FORK } else { 0 };
    Ok((policy_of(&class_of(&target)) | reset) as usize)
}

fn sched_setscheduler(call: &mut Call<'_>) -> CallResult {
    let (tid, asked) = (call.int(0), call.uint(1));
    if tid < 0 || call.arg(2) == 0 || call.int(1) < 0 {
        return Err(Errno::EINVAL);
    }
    let param: SchedParam = call.read(call.ptr(2))?;
    let target = thread(call, tid)?;
    let wanted = Wanted {
        policy: asked & !policy::SCHED_RESET_ON_FORK,
        priority: u32::try_from(param.priority).map_err(|_| Errno::EINVAL)?,
        nice: target.nice.load(Ordering::Relaxed),
        slice: 0,
        reservation: (0, 0, 0),
        reset_on_fork: asked & policy::SCHED_RESET_ON_FORK != 0,
    };
    change(call, &target, &wanted)
}

fn sched_getparam(call: &mut Call<'_>) -> CallResult {
    if call.int(0) < 0 || call.arg(1) == 0 {
        return Err(Errno::EINVAL);
    }
    let class = class_of(&*thread(call, call.int(0))?);
    call.write(call.ptr(1), &SchedParam { priority: i32::from(class.priority()) })?;
    Ok(0)
}

fn sched_setparam(call: &mut Call<'_>) -> CallResult {
    if call.int(0) < 0 || call.arg(1) == 0 {
        return Err(Errno::EINVAL);
    }
    let param: SchedParam = call.read(call.ptr(1))?;
    let target = thread(call, call.int(0))?;
    let wanted = Wanted {
        policy: policy_of(&class_of(&target)),
        priority: u32::try_from(param.priority).map_err(|_| Errno::EINVAL)?,
        nice: target.nice.load(Ordering::Relaxed),
        slice: 0,
        reservation: (0, 0, 0),
        reset_on_fork: target.reset_on_fork.load(Ordering::Relaxed),
    };
    change(call, &target, &wanted)
}

/// Reads a `sched_attr` of the size that its first field says. One that is too large is told the size known here.
fn read_attr(call: &Call<'_>) -> Result<SchedAttr, Errno> {
    const KNOWN: usize = size_of::<SchedAttr>();
    let at = call.ptr(1);
    let size: u32 = call.read(at)?;
    let size = if size == 0 { SCHED_ATTR_SIZE_VER0 } else { size as usize };
    let too_large = || {
        // As on Linux, whether this can be told does not matter.
        let _ = call.write(at, &(KNOWN as u32));
        Errno::E2BIG
    };
    if !(SCHED_ATTR_SIZE_VER0..=4096).contains(&size) {
        return Err(too_large());
    }
    let mut bytes = [0; 4096];
    let given = bytes.get_mut(..size).ok_or(Errno::E2BIG)?;
    usermem::copy_in(given, at).map_err(|_| Errno::EFAULT)?;
    if bytes.iter().skip(KNOWN).any(|byte| *byte != 0) {
        return Err(too_large());
    }
    let known = bytes.first_chunk::<KNOWN>().ok_or(Errno::E2BIG)?;
    SchedAttr::read_from_bytes(known).map_err(|_| Errno::E2BIG)
}

fn sched_setattr(call: &mut Call<'_>) -> CallResult {
    if call.arg(1) == 0 || call.int(0) < 0 || call.arg(2) as u32 != 0 {
        return Err(Errno::EINVAL);
    }
    let attr = read_attr(call)?;
    if attr.policy as i32 <= -1 {
        return Err(Errno::EINVAL);
    }
    let target = thread(call, call.int(0))?;
    let known = flag::SCHED_FLAG_RESET_ON_FORK
        | flag::SCHED_FLAG_RECLAIM
        | flag::SCHED_FLAG_DL_OVERRUN
        | flag::SCHED_FLAG_KEEP_POLICY
        | flag::SCHED_FLAG_KEEP_PARAMS;
    if attr.flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let now = class_of(&target);
    let keeps = attr.flags & flag::SCHED_FLAG_KEEP_PARAMS != 0;
    let mut wanted = Wanted {
        policy: if attr.flags & flag::SCHED_FLAG_KEEP_POLICY != 0 { policy_of(&now) } else { attr.policy },
        priority: attr.priority,
        nice: attr.nice.clamp(-20, 19),
        slice: attr.runtime,
        reservation: (attr.runtime, attr.deadline, attr.period),
        reset_on_fork: attr.flags & flag::SCHED_FLAG_RESET_ON_FORK != 0,
    };
    if keeps {
        wanted.priority = u32::from(now.priority());
        wanted.nice = target.nice.load(Ordering::Relaxed);
        if let Class::Deadline(reservation) = now {
            wanted.reservation = (reservation.runtime, reservation.deadline, reservation.period);
        }
    }
    change(call, &target, &wanted)
}

fn sched_getattr(call: &mut Call<'_>) -> CallResult {
    let (tid, size) = (call.int(0), call.uint(2) as usize);
    if call.arg(1) == 0 || tid < 0 || !(SCHED_ATTR_SIZE_VER0..=4096).contains(&size) || call.uint(3) != 0 {
        return Err(Errno::EINVAL);
    }
    let target = thread(call, tid)?;
    let class = class_of(&target);
    let size = size.min(size_of::<SchedAttr>());
    let mut attr = SchedAttr { size: size as u32, policy: policy_of(&class), ..SchedAttr::default() };
    if target.reset_on_fork.load(Ordering::Relaxed) {
        attr.flags |= flag::SCHED_FLAG_RESET_ON_FORK;
    }
    match class {
        Class::Deadline(reservation) => {
            (attr.runtime, attr.deadline, attr.period) =
                (reservation.runtime, reservation.deadline, reservation.period);
        }
        Class::Fifo(priority) | Class::RoundRobin(priority) => attr.priority = u32::from(priority),
        _ => attr.nice = target.nice.load(Ordering::Relaxed),
    }
    if size < size_of::<SchedAttr>() {
        (attr.util_min, attr.util_max) = (0, 0);
    } else {
        // No clamps are kept: the whole range, as on Linux.
        attr.util_max = 1024;
    }
    let bytes = attr.as_bytes();
    usermem::copy_out(call.ptr(1), bytes.get(..size).unwrap_or(bytes)).map_err(|_| Errno::EFAULT)?;
    Ok(0)
}

fn sched_get_priority_max(call: &mut Call<'_>) -> CallResult {
    match call.uint(0) {
        policy::SCHED_FIFO | policy::SCHED_RR => Ok(99),
        policy::SCHED_NORMAL | policy::SCHED_BATCH | policy::SCHED_IDLE | policy::SCHED_DEADLINE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

fn sched_get_priority_min(call: &mut Call<'_>) -> CallResult {
    match call.uint(0) {
        policy::SCHED_FIFO | policy::SCHED_RR => Ok(1),
        policy::SCHED_NORMAL | policy::SCHED_BATCH | policy::SCHED_IDLE | policy::SCHED_DEADLINE => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// The slice of a round-robin or fair thread; others have none.
fn sched_rr_get_interval(call: &mut Call<'_>) -> CallResult {
    if call.int(0) < 0 {
        return Err(Errno::EINVAL);
    }
    let slice = match class_of(&*thread(call, call.int(0))?) {
        Class::Fifo(_) | Class::Deadline(_) => 0,
        class => class.slice(),
    };
    call.write(call.ptr(1), &Timespec::from_nanos(slice))?;
    Ok(0)
}

/// Bytes of a CPU mask as the kernel keeps it.
fn mask_bytes() -> usize {
    cpu::count().div_ceil(64) * 8
}

fn sched_getaffinity(call: &mut Call<'_>) -> CallResult {
    let len = call.uint(1) as usize;
    if len * 8 < cpu::count() || !len.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    let target = thread(call, call.int(0).max(0))?;
    let kernel = target.kernel().ok_or(Errno::ESRCH)?;
    let cpus = kernel.usable().and(&CpuSet::first(cpu::count()));
    let bytes: Vec<u8> = cpus.words().iter().flat_map(|word| word.to_le_bytes()).collect();
    let told = len.min(mask_bytes());
    usermem::copy_out(call.ptr(2), bytes.get(..told).unwrap_or(&bytes)).map_err(|_| Errno::EFAULT)?;
    Ok(told)
}

fn sched_setaffinity(call: &mut Call<'_>) -> CallResult {
    let mut mask = [0; cpu::MAX_CPUS / 8];
    let len = (call.uint(1) as usize).min(mask.len());
    usermem::copy_in(mask.get_mut(..len).ok_or(Errno::EINVAL)?, call.ptr(2)).map_err(|_| Errno::EFAULT)?;
    let target = thread(call, call.int(0).max(0))?;
    if !may_change(call, &target) {
        return Err(Errno::EPERM);
    }
    let (words, _) = mask.as_chunks::<8>();
    let wanted = CpuSet::from_words(words.iter().map(|word| u64::from_le_bytes(*word)));
    target.kernel().ok_or(Errno::ESRCH)?.set_allowed(wanted)?;
    Ok(0)
}

fn getcpu(call: &mut Call<'_>) -> CallResult {
    if call.arg(0) != 0 {
        call.write(call.ptr(0), &(cpu::id() as u32))?;
    }
    if call.arg(1) != 0 {
        call.write(Virt(call.arg(1)), &0u32)?;
    }
    Ok(0)
}
