//! Limits, usage, priorities and scheduling.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use aios_abi::Errno;
use aios_abi::linux::consts::{priority as prio, rusage_who as who_is, sched_policy as policy};
use aios_abi::linux::structs::{Rlimit, Rusage, SchedParam, Timespec, Timeval};
use aios_abi::linux::table::nr;
use kernel_cap::Rights;
use kernel_hal::addr::Virt;
use kernel_hal::{cpu, usermem};
use kernel_process::{Process, Thread};

use crate::call::{Call, CallResult, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::GETRLIMIT, getrlimit),
    (nr::SETRLIMIT, setrlimit),
    (nr::PRLIMIT64, prlimit64),
    (nr::GETRUSAGE, getrusage),
    (nr::GETPRIORITY, getpriority),
    (nr::SETPRIORITY, setpriority),
    (nr::SCHED_YIELD, sched_yield),
    (nr::SCHED_GETSCHEDULER, sched_getscheduler),
    (nr::SCHED_SETSCHEDULER, sched_setscheduler),
    (nr::SCHED_GETPARAM, sched_getparam),
    (nr::SCHED_SETPARAM, sched_setparam),
    (nr::SCHED_GET_PRIORITY_MAX, sched_get_priority_max),
    (nr::SCHED_GET_PRIORITY_MIN, sched_get_priority_min),
    (nr::SCHED_RR_GET_INTERVAL, sched_rr_get_interval),
    (nr::SCHED_GETAFFINITY, sched_getaffinity),
    (nr::SCHED_SETAFFINITY, sched_setaffinity),
    (nr::GETCPU, getcpu),
];

/// `CAP_SYS_RESOURCE` and the agent's right to go with it.
fn privileged(call: &Call<'_>) -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    call.thread.credentials().capable(CAP_SYS_RESOURCE) && call.process().domain().rights().contains(Rights::RESOURCE)
}

fn getrlimit(call: &mut Call<'_>) -> CallResult {
    let limit = call.process().limits.get(call.uint(0))?;
    call.write(call.ptr(1), &limit)?;
    Ok(0)
}

fn setrlimit(call: &mut Call<'_>) -> CallResult {
    let limit: Rlimit = call.read(call.ptr(1))?;
    call.process().limits.set(call.uint(0), limit, privileged(call))?;
    crate::memory::apply_limits(call);
    call.process().timers.watch_limit()?;
    Ok(0)
}

fn prlimit64(call: &mut Call<'_>) -> CallResult {
    let (pid, number) = (call.int(0), call.uint(1));
    let new = if call.arg(2) == 0 { None } else { Some(call.read::<Rlimit>(call.ptr(2))?) };
    let target = process(call, pid)?;
    let old = target.limits.get(number)?;
    if !Arc::ptr_eq(&target, call.process()) {
        let (mine, theirs) = (call.thread.credentials(), target.leader().ok_or(Errno::ESRCH)?.credentials());
        if mine.euid != 0 && (mine.uid != theirs.uid || mine.uid != theirs.euid) {
            return Err(Errno::EPERM);
        }
    }
    if let Some(new) = new {
        target.limits.set(number, new, privileged(call))?;
        if Arc::ptr_eq(&target, call.process()) {
            crate::memory::apply_limits(call);
        }
        target.timers.watch_limit()?;
    }
    if call.arg(3) != 0 {
        call.write(call.ptr(3), &old)?;
    }
    Ok(0)
}

/// The process with that number; 0 is the caller's.
fn process(call: &Call<'_>, pid: i32) -> Result<Arc<Process>, Errno> {
    match pid {
        0 => Ok(call.process().clone()),
        pid => {
            let pid = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
            call.process().pids().process(pid).ok_or(Errno::ESRCH)
        }
    }
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

fn getrusage(call: &mut Call<'_>) -> CallResult {
    let usage = match call.int(0) {
        who_is::RUSAGE_SELF => crate::process::rusage(call.process().usage()),
        who_is::RUSAGE_CHILDREN => crate::process::rusage(call.process().children_usage()),
        who_is::RUSAGE_THREAD => Rusage {
            utime: Timeval::from_nanos(call.thread.cpu_time().as_nanos() as u64),
            ..crate::process::rusage(call.process().usage())
        },
        _ => return Err(Errno::EINVAL),
    };
    call.write(call.ptr(1), &usage)?;
    Ok(0)
}

/// The processes that `getpriority` and `setpriority` mean.
fn chosen(call: &Call<'_>) -> Result<alloc::vec::Vec<Arc<Process>>, Errno> {
    let (which, number) = (call.uint(0), call.uint(1));
    let me = call.process();
    let found = match which {
        prio::PRIO_PROCESS => alloc::vec![process(call, number as i32)?],
        prio::PRIO_PGRP => me.pids().group(if number == 0 { me.group() } else { number }),
        prio::PRIO_USER => {
            let user = if number == 0 { call.thread.credentials().uid } else { number };
            let is_his =
                |process: &Arc<Process>| process.leader().is_some_and(|leader| leader.credentials().uid == user);
            me.pids().processes().into_iter().filter(is_his).collect()
        }
        _ => return Err(Errno::EINVAL),
    };
    if found.is_empty() { Err(Errno::ESRCH) } else { Ok(found) }
}

/// Niceness is kept as 20 - nice, as the call returns it.
fn getpriority(call: &mut Call<'_>) -> CallResult {
    let best = chosen(call)?.iter().map(|process| 20 - process.nice.load(Ordering::Relaxed) as i32).max();
    Ok(best.unwrap_or(20) as usize)
}

fn setpriority(call: &mut Call<'_>) -> CallResult {
    let nice = call.int(2).clamp(-20, 19);
    for process in chosen(call)? {
        let now = process.nice.load(Ordering::Relaxed) as i32;
        if nice < now && !privileged(call) && call.thread.credentials().euid != 0 {
            return Err(Errno::EACCES);
        }
        process.nice.store(nice as u32, Ordering::Relaxed);
    }
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
    Ok(thread(call, call.int(0))?.policy.load(Ordering::Relaxed) as usize)
}

/// The fair policies are remembered and treated alike; there is no real-time class to ask for.
fn sched_setscheduler(call: &mut Call<'_>) -> CallResult {
    let (tid, wanted) = (call.int(0), call.uint(1) & !policy::SCHED_RESET_ON_FORK);
    if tid < 0 || call.arg(2) == 0 || call.int(1) < 0 {
        return Err(Errno::EINVAL);
    }
    let param: SchedParam = call.read(call.ptr(2))?;
    let target = thread(call, tid)?;
    match wanted {
        policy::SCHED_NORMAL | policy::SCHED_BATCH | policy::SCHED_IDLE if param.priority == 0 => {
            target.policy.store(wanted, Ordering::Relaxed);
            Ok(0)
        }
        policy::SCHED_FIFO | policy::SCHED_RR if (1..=99).contains(&param.priority) => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

fn sched_getparam(call: &mut Call<'_>) -> CallResult {
    if call.int(0) < 0 || call.arg(1) == 0 {
        return Err(Errno::EINVAL);
    }
    thread(call, call.int(0))?;
    call.write(call.ptr(1), &SchedParam::default())?;
    Ok(0)
}

fn sched_setparam(call: &mut Call<'_>) -> CallResult {
    if call.int(0) < 0 || call.arg(1) == 0 {
        return Err(Errno::EINVAL);
    }
    let param: SchedParam = call.read(call.ptr(1))?;
    thread(call, call.int(0))?;
    if param.priority == 0 { Ok(0) } else { Err(Errno::EINVAL) }
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

fn sched_rr_get_interval(call: &mut Call<'_>) -> CallResult {
    if call.int(0) < 0 {
        return Err(Errno::EINVAL);
    }
    thread(call, call.int(0))?;
    call.write(call.ptr(1), &Timespec::from_nanos(4_000_000))?;
    Ok(0)
}

/// Bytes of a CPU mask as the kernel keeps it.
const MASK_BYTES: usize = 8;

fn sched_getaffinity(call: &mut Call<'_>) -> CallResult {
    let len = call.uint(1) as usize;
    if len * 8 < cpu::count() || !len.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    thread(call, call.int(0).max(0))?;
    let mask: u64 = if cpu::count() >= 64 { u64::MAX } else { (1 << cpu::count()) - 1 };
    call.write(call.ptr(2), &mask)?;
    Ok(MASK_BYTES)
}

fn sched_setaffinity(call: &mut Call<'_>) -> CallResult {
    let len = (call.uint(1) as usize).min(MASK_BYTES);
    let mut mask = [0; MASK_BYTES];
    usermem::copy_in(mask.get_mut(..len).ok_or(Errno::EINVAL)?, call.ptr(2)).map_err(|_| Errno::EFAULT)?;
    thread(call, call.int(0).max(0))?;
    let all: u64 = if cpu::count() >= 64 { u64::MAX } else { (1 << cpu::count()) - 1 };
    // With one CPU the only mask that can be asked for is the one in force.
    if u64::from_le_bytes(mask) & all == 0 { Err(Errno::EINVAL) } else { Ok(0) }
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
