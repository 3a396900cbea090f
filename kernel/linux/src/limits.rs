//! Limits and usage.

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::rusage_who as who_is;
use aios_abi::linux::structs::Rlimit;
use aios_abi::linux::table::nr;
use kernel_cap::Rights;
use kernel_process::Process;
use kernel_process::process::Usage;

use crate::call::{Call, CallResult, Handler};

pub(crate) const CALLS: &[(u32, Handler)] =
    &[(nr::GETRLIMIT, getrlimit), (nr::SETRLIMIT, setrlimit), (nr::PRLIMIT64, prlimit64), (nr::GETRUSAGE, getrusage)];

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

fn getrusage(call: &mut Call<'_>) -> CallResult {
    let usage = match call.int(0) {
        who_is::RUSAGE_SELF => crate::process::rusage(call.process().usage()),
        who_is::RUSAGE_CHILDREN => crate::process::rusage(call.process().children_usage()),
        // Faults are counted for the process as a whole.
        who_is::RUSAGE_THREAD => {
            let (mine, all) = (call.thread.usage(), call.process().usage());
            crate::process::rusage(Usage {
                cpu_ns: mine.cpu_ns,
                voluntary: mine.voluntary,
                involuntary: mine.involuntary,
                ..all
            })
        }
        _ => return Err(Errno::EINVAL),
    };
    call.write(call.ptr(1), &usage)?;
    Ok(0)
}
