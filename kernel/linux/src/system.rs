//! The machine as a whole.

use core::sync::atomic::{Ordering, fence};

use aios_abi::Errno;
use aios_abi::linux::consts::{LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, membarrier as barrier, reboot as command};
use aios_abi::linux::structs::Sysinfo;
use aios_abi::linux::table::nr;
use kernel_cap::Rights;
use kernel_hal::addr::PAGE_SIZE;
use kernel_hal::cpuset::CpuSet;
use kernel_hal::ipi;
use kernel_hal::time::now;
use kernel_process::Process;
use kernel_sync::Once;

use crate::call::{Call, CallResult, Handler};

pub(crate) const CALLS: &[(u32, Handler)] =
    &[(nr::SYSINFO, sysinfo), (nr::REBOOT, reboot), (nr::SYSLOG, syslog), (nr::MEMBARRIER, membarrier)];

/// What to do to the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PowerRequest {
    Off,
    Restart,
    Halt,
}

static POWER: Once<fn(PowerRequest) -> !> = Once::new();

/// Sets what switches the machine off. It never returns: a caller would take that for a refusal.
pub fn set_power(power: fn(PowerRequest) -> !) {
    POWER.set(power);
}

fn sysinfo(call: &mut Call<'_>) -> CallResult {
    // What the agent may have, as `/proc/meminfo` says it: its limit where that is less than the machine.
    let memory = kernel_mm::stats();
    let account = call.process().domain().memory();
    let (total, free) = (memory.total.min(account.limit()), memory.free.min(account.available()));
    let pids = call.process().pids();
    let threads = pids.activity().threads;
    let loads = pids.load().fixed();
    call.write(
        call.ptr(0),
        &Sysinfo {
            uptime: (now().0 / 1_000_000_000) as i64,
            loads,
            totalram: (total * PAGE_SIZE) as u64,
            freeram: (free * PAGE_SIZE) as u64,
            procs: threads.min(usize::from(u16::MAX)) as u16,
            mem_unit: 1,
            ..Sysinfo::default()
        },
    )?;
    Ok(0)
}

fn reboot(call: &mut Call<'_>) -> CallResult {
    if call.thread.credentials().euid != 0 {
        return Err(Errno::EPERM);
    }
    if call.uint(0) != LINUX_REBOOT_MAGIC1 || !LINUX_REBOOT_MAGIC2.contains(&call.uint(1)) {
        return Err(Errno::EINVAL);
    }
    let request = match call.uint(2) {
        command::LINUX_REBOOT_CMD_CAD_OFF | command::LINUX_REBOOT_CMD_CAD_ON => return Ok(0),
        command::LINUX_REBOOT_CMD_POWER_OFF => PowerRequest::Off,
        command::LINUX_REBOOT_CMD_RESTART | command::LINUX_REBOOT_CMD_RESTART2 => PowerRequest::Restart,
        command::LINUX_REBOOT_CMD_HALT => PowerRequest::Halt,
        _ => return Err(Errno::EINVAL),
    };
    call.process().domain().check(Rights::POWER, "switching the machine off")?;
    match POWER.get() {
        Some(power) => power(request),
        None => Err(Errno::EINVAL),
    }
}

/// The log goes to the control port and is not kept.
fn syslog(call: &mut Call<'_>) -> CallResult {
    call.process().domain().check(Rights::LOG, "reading the kernel's log")?;
    const ACTION_CLOSE: u32 = 0;
    const ACTION_OPEN: u32 = 1;
    const ACTION_SIZE_UNREAD: u32 = 9;
    const ACTION_SIZE_BUFFER: u32 = 10;
    match call.uint(0) {
        ACTION_CLOSE | ACTION_OPEN | ACTION_SIZE_UNREAD | ACTION_SIZE_BUFFER => Ok(0),
        2..=4 if call.arg(1) == 0 || call.int(2) < 0 => Err(Errno::EINVAL),
        2..=8 => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

/// A barrier on all CPUs that run threads of the process, or of its agent: threads that do not run meet one when they are
/// switched to, and those of other agents are not interrupted. Answers are Linux's: the quick one for the process must be
/// registered for, those for all are made for all of the agent.
fn membarrier(call: &mut Call<'_>) -> CallResult {
    let known = barrier::MEMBARRIER_CMD_GLOBAL
        | barrier::MEMBARRIER_CMD_GLOBAL_EXPEDITED
        | barrier::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED
        | barrier::MEMBARRIER_CMD_PRIVATE_EXPEDITED
        | barrier::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
    if call.arg(1) != 0 {
        return Err(Errno::EINVAL);
    }
    let registered = &call.process().barriers;
    let command = call.uint(0);
    match command {
        barrier::MEMBARRIER_CMD_QUERY => return Ok(known as usize),
        barrier::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED | barrier::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED => {
            registered.fetch_or(command, Ordering::Relaxed);
        }
        barrier::MEMBARRIER_CMD_PRIVATE_EXPEDITED => {
            if registered.load(Ordering::Relaxed) & barrier::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED == 0 {
                return Err(Errno::EPERM);
            }
            barrier_on(|| cpus_of(call.process()));
        }
        barrier::MEMBARRIER_CMD_GLOBAL | barrier::MEMBARRIER_CMD_GLOBAL_EXPEDITED => {
            let processes = call.process().pids().processes();
            barrier_on(|| {
                let mut all = CpuSet::default();
                processes.iter().for_each(|process| cpus_of(process).iter().for_each(|cpu| all.insert(cpu)));
                all
            });
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// The CPUs that run threads of a process now.
fn cpus_of(process: &Process) -> CpuSet {
    process.space().map(|space| space.root().cpus()).unwrap_or_default()
}

fn barrier_on(cpus: impl FnOnce() -> CpuSet) {
    // Around the look at who runs: stores before the call are seen by whoever is not interrupted.
    fence(Ordering::SeqCst);
    ipi::call(&cpus(), &|| fence(Ordering::SeqCst));
    fence(Ordering::SeqCst);
}
