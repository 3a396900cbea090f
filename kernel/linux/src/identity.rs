//! Who the caller is, and what the machine is called.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::time::Duration;

use aios_abi::Errno;
use aios_abi::linux::consts::{CAPABILITY_VERSION_3, arch_prctl as arch, persona, prctl as option};
use aios_abi::linux::structs::{CapData, CapHeader, Utsname};
use aios_abi::linux::table::nr;
use kernel_cap::Rights;
use kernel_fs::Credentials;
use kernel_hal::addr::Virt;
use kernel_hal::{task, usermem};
use kernel_process::thread::TIMER_SLACK;
use kernel_sync::SpinLock;

use crate::call::{Call, CallResult, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::GETUID, getuid),
    (nr::GETEUID, geteuid),
    (nr::GETGID, getgid),
    (nr::GETEGID, getegid),
    (nr::GETRESUID, getresuid),
    (nr::GETRESGID, getresgid),
    (nr::SETUID, setuid),
    (nr::SETGID, setgid),
    (nr::SETREUID, setreuid),
    (nr::SETREGID, setregid),
    (nr::SETRESUID, setresuid),
    (nr::SETRESGID, setresgid),
    (nr::SETFSUID, setfsuid),
    (nr::SETFSGID, setfsgid),
    (nr::GETGROUPS, getgroups),
    (nr::SETGROUPS, setgroups),
    (nr::CAPGET, capget),
    (nr::CAPSET, capset),
    (nr::UNAME, uname),
    (nr::SETHOSTNAME, sethostname),
    (nr::SETDOMAINNAME, setdomainname),
    (nr::PRCTL, prctl),
    (nr::ARCH_PRCTL, arch_prctl),
    (nr::PERSONALITY, personality),
];

/// Capabilities that let one change identities (`capability.h`).
const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;

fn getuid(call: &mut Call<'_>) -> CallResult {
    Ok(call.thread.credentials().uid as usize)
}

fn geteuid(call: &mut Call<'_>) -> CallResult {
    Ok(call.thread.credentials().euid as usize)
}

fn getgid(call: &mut Call<'_>) -> CallResult {
    Ok(call.thread.credentials().gid as usize)
}

fn getegid(call: &mut Call<'_>) -> CallResult {
    Ok(call.thread.credentials().egid as usize)
}

fn put_three(call: &Call<'_>, values: [u32; 3]) -> CallResult {
    for (index, value) in values.iter().enumerate() {
        call.write(call.ptr(index), value)?;
    }
    Ok(0)
}

fn getresuid(call: &mut Call<'_>) -> CallResult {
    let who = call.thread.credentials();
    put_three(call, [who.uid, who.euid, who.suid])
}

fn getresgid(call: &mut Call<'_>) -> CallResult {
    let who = call.thread.credentials();
    put_three(call, [who.gid, who.egid, who.sgid])
}

/// Sets user numbers (`None` keeps one). Effective capabilities go and come with the effective user 0.
fn set_users(call: &Call<'_>, real: Option<u32>, effective: Option<u32>, saved: Option<u32>) -> CallResult {
    let mut who = Credentials::clone(&call.thread.credentials());
    who.uid = real.unwrap_or(who.uid);
    who.euid = effective.unwrap_or(who.euid);
    who.suid = saved.unwrap_or(who.suid);
    who.fsuid = who.euid;
    who.effective = if who.euid == 0 { kernel_fs::credentials::ALL_CAPABILITIES } else { 0 };
    call.thread.set_credentials(who);
    Ok(0)
}

fn set_groups_of(call: &Call<'_>, real: Option<u32>, effective: Option<u32>, saved: Option<u32>) -> CallResult {
    let mut who = Credentials::clone(&call.thread.credentials());
    who.gid = real.unwrap_or(who.gid);
    who.egid = effective.unwrap_or(who.egid);
    who.sgid = saved.unwrap_or(who.sgid);
    who.fsgid = who.egid;
    call.thread.set_credentials(who);
    Ok(0)
}

fn setuid(call: &mut Call<'_>) -> CallResult {
    let (who, user) = (call.thread.credentials(), call.uint(0));
    if user == u32::MAX {
        return Err(Errno::EINVAL);
    }
    if who.capable(CAP_SETUID) {
        return set_users(call, Some(user), Some(user), Some(user));
    }
    if user == who.uid || user == who.suid { set_users(call, None, Some(user), None) } else { Err(Errno::EPERM) }
}

fn setgid(call: &mut Call<'_>) -> CallResult {
    let (who, group) = (call.thread.credentials(), call.uint(0));
    if group == u32::MAX {
        return Err(Errno::EINVAL);
    }
    if who.capable(CAP_SETGID) {
        return set_groups_of(call, Some(group), Some(group), Some(group));
    }
    if group == who.gid || group == who.sgid { set_groups_of(call, None, Some(group), None) } else { Err(Errno::EPERM) }
}

/// An identity argument: -1 keeps what is.
fn wanted(call: &Call<'_>, index: usize) -> Option<u32> {
    Some(call.uint(index)).filter(|number| *number != u32::MAX)
}

fn setreuid(call: &mut Call<'_>) -> CallResult {
    let (who, real, effective) = (call.thread.credentials(), wanted(call, 0), wanted(call, 1));
    let privileged = who.capable(CAP_SETUID);
    let strange = real.is_some_and(|user| user != who.uid && user != who.euid)
        || effective.is_some_and(|user| user != who.uid && user != who.euid && user != who.suid);
    if strange && !privileged {
        return Err(Errno::EPERM);
    }
    let new_effective = effective.unwrap_or(who.euid);
    let saved = (real.is_some() || effective.is_some_and(|user| user != who.uid)).then_some(new_effective);
    set_users(call, real, effective, saved)
}

fn setregid(call: &mut Call<'_>) -> CallResult {
    let (who, real, effective) = (call.thread.credentials(), wanted(call, 0), wanted(call, 1));
    let privileged = who.capable(CAP_SETGID);
    let strange = real.is_some_and(|group| group != who.gid && group != who.egid)
        || effective.is_some_and(|group| group != who.gid && group != who.egid && group != who.sgid);
    if strange && !privileged {
        return Err(Errno::EPERM);
    }
    let new_effective = effective.unwrap_or(who.egid);
    let saved = (real.is_some() || effective.is_some_and(|group| group != who.gid)).then_some(new_effective);
    set_groups_of(call, real, effective, saved)
}

fn setresuid(call: &mut Call<'_>) -> CallResult {
    let who = call.thread.credentials();
    let three = [wanted(call, 0), wanted(call, 1), wanted(call, 2)];
    let known = |user: u32| [who.uid, who.euid, who.suid].contains(&user);
    if !who.capable(CAP_SETUID) && three.iter().flatten().any(|user| !known(*user)) {
        return Err(Errno::EPERM);
    }
    set_users(call, three[0], three[1], three[2])
}

fn setresgid(call: &mut Call<'_>) -> CallResult {
    let who = call.thread.credentials();
    let three = [wanted(call, 0), wanted(call, 1), wanted(call, 2)];
    let known = |group: u32| [who.gid, who.egid, who.sgid].contains(&group);
    if !who.capable(CAP_SETGID) && three.iter().flatten().any(|group| !known(*group)) {
        return Err(Errno::EPERM);
    }
    set_groups_of(call, three[0], three[1], three[2])
}

fn setfsuid(call: &mut Call<'_>) -> CallResult {
    let mut who = Credentials::clone(&call.thread.credentials());
    let (before, user) = (who.fsuid, call.uint(0));
    if who.capable(CAP_SETUID) && user != u32::MAX || [who.uid, who.euid, who.suid, who.fsuid].contains(&user) {
        who.fsuid = user;
        call.thread.set_credentials(who);
    }
    Ok(before as usize)
}

fn setfsgid(call: &mut Call<'_>) -> CallResult {
    let mut who = Credentials::clone(&call.thread.credentials());
    let (before, group) = (who.fsgid, call.uint(0));
    if who.capable(CAP_SETGID) && group != u32::MAX || [who.gid, who.egid, who.sgid, who.fsgid].contains(&group) {
        who.fsgid = group;
        call.thread.set_credentials(who);
    }
    Ok(before as usize)
}

fn getgroups(call: &mut Call<'_>) -> CallResult {
    let groups = call.thread.credentials().groups.clone();
    let room = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
    if room == 0 {
        return Ok(groups.len());
    }
    if room < groups.len() {
        return Err(Errno::EINVAL);
    }
    if groups.is_empty() {
        return Ok(0);
    }
    call.write(call.ptr(1), &groups[..])?;
    Ok(groups.len())
}

/// `NGROUPS_MAX`.
const MAX_GROUPS: usize = 65_536;

fn setgroups(call: &mut Call<'_>) -> CallResult {
    let mut who = Credentials::clone(&call.thread.credentials());
    if !who.capable(CAP_SETGID) {
        return Err(Errno::EPERM);
    }
    let count = usize::try_from(call.int(0)).ok().filter(|count| *count <= MAX_GROUPS).ok_or(Errno::EINVAL)?;
    let groups: Vec<u32> = call.read_array(call.ptr(1), count)?;
    who.groups = Arc::from(groups);
    call.thread.set_credentials(who);
    Ok(0)
}

fn capget(call: &mut Call<'_>) -> CallResult {
    let header: CapHeader = call.read(call.ptr(0))?;
    if header.version != CAPABILITY_VERSION_3 {
        call.write(call.ptr(0), &CapHeader { version: CAPABILITY_VERSION_3, ..header })?;
        return if call.arg(1) == 0 { Ok(0) } else { Err(Errno::EINVAL) };
    }
    let thread = match header.pid {
        0 => call.thread.clone(),
        pid => {
            let pid = u32::try_from(pid).map_err(|_| Errno::EINVAL)?;
            call.process().pids().thread(pid).ok_or(Errno::ESRCH)?
        }
    };
    if call.arg(1) == 0 {
        return Ok(0);
    }
    let set = thread.credentials().effective;
    let half = |word: u64| CapData { effective: word as u32, permitted: word as u32, inheritable: 0 };
    call.write(call.ptr(1), &half(set))?;
    call.write(Virt(call.arg(1).wrapping_add(size_of::<CapData>() as u64)), &half(set >> 32))?;
    Ok(0)
}

/// Capabilities can be given up, not gained.
fn capset(call: &mut Call<'_>) -> CallResult {
    let header: CapHeader = call.read(call.ptr(0))?;
    if header.version != CAPABILITY_VERSION_3 {
        call.write(call.ptr(0), &CapHeader { version: CAPABILITY_VERSION_3, ..header })?;
        return Err(Errno::EINVAL);
    }
    if header.pid != 0 && header.pid != call.thread.tid() as i32 {
        return Err(Errno::EPERM);
    }
    let low: CapData = call.read(call.ptr(1))?;
    let high: CapData = call.read(Virt(call.arg(1).wrapping_add(size_of::<CapData>() as u64)))?;
    let mut who = Credentials::clone(&call.thread.credentials());
    let effective = u64::from(high.effective) << 32 | u64::from(low.effective);
    if effective & !who.effective != 0 {
        return Err(Errno::EPERM);
    }
    who.effective = effective;
    call.thread.set_credentials(who);
    Ok(0)
}

/// What the machine is called; the same for all agents.
struct Names {
    host: ([u8; 64], usize),
    domain: ([u8; 64], usize),
}

static NAMES: SpinLock<Option<Names>> = SpinLock::new(None);

fn names<T>(act: impl FnOnce(&mut Names) -> T) -> T {
    let short = |text: &str| {
        let mut bytes = [0; 64];
        bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        (bytes, text.len().min(64))
    };
    let mut names = NAMES.lock();
    act(names.get_or_insert_with(|| Names { host: short("aios"), domain: short("(none)") }))
}

/// The kernel release that programs are told: the Linux whose calls this kernel answers like.
pub const RELEASE: &str = "6.12.0-aios";

/// Which build of it.
pub const VERSION: &str = concat!("#1 SMP AIOS ", env!("CARGO_PKG_VERSION"));

/// The machine's host and domain name now.
pub(crate) fn host_and_domain() -> (Vec<u8>, Vec<u8>) {
    let text = |(bytes, len): &([u8; 64], usize)| bytes.iter().take(*len).copied().collect();
    names(|names| (text(&names.host), text(&names.domain)))
}

fn uname(call: &mut Call<'_>) -> CallResult {
    let mut answer = Utsname::default();
    Utsname::set(&mut answer.sysname, "Linux");
    Utsname::set(&mut answer.release, RELEASE);
    Utsname::set(&mut answer.version, VERSION);
    Utsname::set(&mut answer.machine, "x86_64");
    names(|names| {
        let fill = |field: &mut [u8; 65], (bytes, len): &([u8; 64], usize)| {
            field.iter_mut().zip(bytes.iter().take(*len)).for_each(|(to, from)| *to = *from);
        };
        fill(&mut answer.nodename, &names.host);
        fill(&mut answer.domainname, &names.domain);
    });
    call.write(call.ptr(0), &answer)?;
    Ok(0)
}

fn set_name(call: &Call<'_>, act: &str) -> Result<([u8; 64], usize), Errno> {
    if call.thread.credentials().euid != 0 {
        return Err(Errno::EPERM);
    }
    call.process().domain().check(Rights::HOST_NAME, act)?;
    let len = usize::try_from(call.int(1)).ok().filter(|len| *len <= 64).ok_or(Errno::EINVAL)?;
    let mut bytes = [0; 64];
    usermem::copy_in(bytes.get_mut(..len).ok_or(Errno::EINVAL)?, call.ptr(0)).map_err(|_| Errno::EFAULT)?;
    Ok((bytes, len))
}

fn sethostname(call: &mut Call<'_>) -> CallResult {
    let name = set_name(call, "setting the host name")?;
    names(|names| names.host = name);
    Ok(0)
}

fn setdomainname(call: &mut Call<'_>) -> CallResult {
    let name = set_name(call, "setting the domain name")?;
    names(|names| names.domain = name);
    Ok(0)
}

fn flag(value: u64) -> Result<bool, Errno> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::EINVAL),
    }
}

fn prctl(call: &mut Call<'_>) -> CallResult {
    let (process, thread, value) = (call.process().clone(), call.thread.clone(), call.arg(1));
    let rest_is_zero = call.arg(2) == 0 && call.arg(3) == 0 && call.arg(4) == 0;
    match call.uint(0) {
        option::PR_SET_NAME => {
            let mut name = [0; 16];
            let len = match usermem::copy_string(&mut name, Virt(value)) {
                Ok(len) => len,
                Err(usermem::StringError::TooLong) => 15,
                Err(usermem::StringError::Fault) => return Err(Errno::EFAULT),
            };
            thread.set_name(name.get(..len).unwrap_or(&name));
            Ok(0)
        }
        option::PR_GET_NAME => {
            call.write(Virt(value), &thread.name())?;
            Ok(0)
        }
        option::PR_SET_PDEATHSIG => {
            if value > 64 {
                return Err(Errno::EINVAL);
            }
            thread.parent_death_signal.store(value as u32, Ordering::Relaxed);
            Ok(0)
        }
        option::PR_GET_PDEATHSIG => {
            call.write(Virt(value), &thread.parent_death_signal.load(Ordering::Relaxed))?;
            Ok(0)
        }
        option::PR_GET_DUMPABLE => Ok(process.dumpable.load(Ordering::Relaxed) as usize),
        option::PR_SET_DUMPABLE => {
            process.dumpable.store(u32::from(flag(value)?), Ordering::Relaxed);
            Ok(0)
        }
        option::PR_SET_CHILD_SUBREAPER => {
            process.subreaper.store(value != 0, Ordering::Relaxed);
            Ok(0)
        }
        option::PR_GET_CHILD_SUBREAPER => {
            call.write(Virt(value), &u32::from(process.subreaper.load(Ordering::Relaxed)))?;
            Ok(0)
        }
        option::PR_SET_NO_NEW_PRIVS => {
            if value != 1 || !rest_is_zero {
                return Err(Errno::EINVAL);
            }
            process.no_new_privileges.store(true, Ordering::Relaxed);
            Ok(0)
        }
        option::PR_GET_NO_NEW_PRIVS => {
            if value != 0 || !rest_is_zero {
                return Err(Errno::EINVAL);
            }
            Ok(usize::from(process.no_new_privileges.load(Ordering::Relaxed)))
        }
        option::PR_SET_TIMERSLACK => {
            if let Some(kernel) = thread.kernel() {
                kernel.set_timer_slack(if value == 0 { TIMER_SLACK } else { Duration::from_nanos(value) });
            }
            Ok(0)
        }
        option::PR_GET_TIMERSLACK => {
            Ok(thread.kernel().map_or(TIMER_SLACK, |kernel| kernel.timer_slack()).as_nanos() as usize)
        }
        option::PR_GET_TID_ADDRESS => {
            call.write(Virt(value), &thread.clear_tid.load(Ordering::Relaxed))?;
            Ok(0)
        }
        option::PR_CAPBSET_READ => {
            if value > 40 {
                Err(Errno::EINVAL)
            } else {
                Ok(1)
            }
        }
        option::PR_GET_KEEPCAPS | option::PR_GET_SECUREBITS | option::PR_GET_TIMING | option::PR_GET_SECCOMP => Ok(0),
        option::PR_GET_THP_DISABLE => {
            if value == 0 && rest_is_zero {
                Ok(1)
            } else {
                Err(Errno::EINVAL)
            }
        }
        // A name for an anonymous mapping is only ever shown.
        option::PR_SET_VMA => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

fn arch_prctl(call: &mut Call<'_>) -> CallResult {
    let value = call.arg(1);
    match call.uint(0) {
        arch::ARCH_SET_FS => {
            if task::set_fs_base(value) {
                Ok(0)
            } else {
                Err(Errno::EPERM)
            }
        }
        arch::ARCH_SET_GS => {
            if task::set_gs_base(value) {
                Ok(0)
            } else {
                Err(Errno::EPERM)
            }
        }
        arch::ARCH_GET_FS => {
            call.write(Virt(value), &task::fs_base())?;
            Ok(0)
        }
        arch::ARCH_GET_GS => {
            call.write(Virt(value), &task::gs_base())?;
            Ok(0)
        }
        arch::ARCH_GET_CPUID => Ok(1),
        arch::ARCH_SET_CPUID => Err(Errno::ENODEV),
        _ => Err(Errno::EINVAL),
    }
}

/// There is one personality, Linux's; of its flags programs may turn off the randomising of addresses.
fn personality(call: &mut Call<'_>) -> CallResult {
    let own = &call.process().persona;
    let wanted = call.uint(0);
    if wanted == u32::MAX {
        return Ok(own.load(Ordering::Relaxed) as usize);
    }
    if wanted & !persona::ADDR_NO_RANDOMIZE != persona::PER_LINUX {
        return Err(Errno::EINVAL);
    }
    Ok(own.swap(wanted, Ordering::Relaxed) as usize)
}
