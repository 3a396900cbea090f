//! The agent calls.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::native::agent::{MAX_BINDS, MAX_NAME, MAX_STRING_BYTES, MAX_STRINGS, bind_flag, cpu_flag, spawn_flag};
use aios_abi::native::calls::wait_flag;
use aios_abi::native::wire::Slice;
use aios_abi::native::{AgentBind, AgentExitRecord, AgentId, AgentInfo, AgentSpawnArgs};
use kernel_agent::{Agent, Bind, Failure, SpawnRequest};
use kernel_cap::{Limits, Rights};
use kernel_fs::vfs::WalkFlags;
use kernel_hal::addr::{PAGE_SIZE, Virt};
use kernel_hal::cpu;
use kernel_hal::cpuset::CpuSet;
use kernel_hal::usermem;
use kernel_sched::policy::weight::LARGEST_SHARE;
use kernel_sched::{Bandwidth, CpuLimits};

use crate::{Call, memory};

/// What a spawned agent may do besides what every agent may: nothing yet that a manifest could ask for.
const CHILD_RIGHTS: Rights = Rights::INSPECT;

const MAX_PATH: usize = 4096;

fn caller(call: &Call<'_>) -> Result<Arc<Agent>, Errno> {
    kernel_agent::of_process(call.thread.process()).ok_or(Errno::ESRCH)
}

/// AgentSpawn(args) → id.
pub(crate) fn spawn(call: &Call<'_>) -> Result<u64, Errno> {
    let parent = caller(call)?;
    parent.domain().check(Rights::SPAWN, "AgentSpawn")?;
    let args: AgentSpawnArgs = memory::versioned(call.args[0], AgentSpawnArgs::LEAST)?;
    make(call, &parent, args).map_err(|failure| {
        memory::tell(args.failure, &failure.text);
        failure.error
    })
}

fn make(call: &Call<'_>, parent: &Arc<Agent>, args: AgentSpawnArgs) -> Result<u64, Failure> {
    if args.flags & !spawn_flag::FREEZE_ON_FAULT != 0 || args.cpu_flags & !cpu_flag::REALTIME != 0 {
        return Err(Errno::EINVAL.into());
    }
    let name = String::from_utf8(memory::slice(args.name, MAX_NAME)?).map_err(|_| Errno::EINVAL)?;
    if name.is_empty() || name.chars().any(char::is_control) {
        return Err(Errno::EINVAL.into());
    }
    let directory = |what: &str, path: Vec<u8>| {
        call.thread.in_files(|files| {
            files
                .walk(None, &path, WalkFlags { directory: true, ..WalkFlags::FOLLOW })
                .map_err(|error| Failure::directory(files, what, &path, error))
        })
    };
    let image = directory("the image", memory::slice(args.image, MAX_PATH)?)?;
    let mut binds = Vec::new();
    for bind in memory::array::<AgentBind>(args.binds, MAX_BINDS)? {
        if bind.reserved != 0 || bind.flags & !bind_flag::READ_ONLY != 0 {
            return Err(Errno::EINVAL.into());
        }
        binds.push(Bind {
            source: directory("the directory", memory::slice(bind.source, MAX_PATH)?)?,
            target: memory::slice(bind.target, MAX_PATH)?,
            read_only: bind.flags & bind_flag::READ_ONLY != 0,
        });
    }
    let mut stdio = [None, None, None];
    for (file, fd) in stdio.iter_mut().zip(args.stdio) {
        if fd >= 0 {
            *file = Some(call.thread.file(fd)?);
        } else if fd != -1 {
            return Err(Errno::EBADF.into());
        }
    }
    let terminal = match args.terminal.checked_sub(1) {
        Some(fd) => Some(call.thread.file(i32::try_from(fd).map_err(|_| Errno::EBADF)?)?),
        None => None,
    };
    let limit = |wanted: u64| if wanted == 0 { u64::MAX } else { wanted };
    let id = kernel_agent::spawn(
        parent,
        SpawnRequest {
            name,
            image,
            binds,
            argv: strings(args.argv)?,
            env: strings(args.env)?,
            cwd: memory::slice(args.cwd, MAX_PATH)?,
            stdio,
            terminal,
            limits: Limits {
                frames: limit(args.memory_limit.div_ceil(PAGE_SIZE as u64)),
                threads: limit(u64::from(args.max_threads)),
                files: limit(u64::from(args.max_open_files)),
                cpu: cpu_limits(&args)?,
            },
            freeze_on_fault: args.flags & spawn_flag::FREEZE_ON_FAULT != 0,
            rights: if args.cpu_flags & cpu_flag::REALTIME != 0 {
                CHILD_RIGHTS | Rights::RESOURCE
            } else {
                CHILD_RIGHTS
            },
        },
    )?;
    Ok(id.raw())
}

/// What the new agent gets of the CPUs; `EINVAL` for what is out of bounds.
fn cpu_limits(args: &AgentSpawnArgs) -> Result<CpuLimits, Errno> {
    let mut limits = CpuLimits::NONE;
    if args.cpu_share != 0 {
        limits.share = Some(args.cpu_share).filter(|share| *share <= LARGEST_SHARE).ok_or(Errno::EINVAL)?;
    }
    if args.cpu_quota != 0 {
        let period = if args.cpu_period == 0 { 100_000_000 } else { args.cpu_period };
        limits.bandwidth = Some(Bandwidth::new(args.cpu_quota, period).ok_or(Errno::EINVAL)?);
    }
    let mask = memory::slice(args.cpus, cpu::MAX_CPUS / 8)?;
    if !mask.is_empty() {
        limits.cpus = (0..mask.len() * 8)
            .filter(|cpu| mask.get(cpu / 8).is_some_and(|byte| byte >> (cpu % 8) & 1 != 0))
            .collect();
        if limits.cpus.and(&CpuSet::first(cpu::count())).is_empty() {
            return Err(Errno::EINVAL);
        }
    }
    Ok(limits)
}

/// An array of strings.
fn strings(list: Slice) -> Result<Vec<Vec<u8>>, Errno> {
    let mut left = MAX_STRING_BYTES;
    let mut strings = Vec::new();
    for string in memory::array::<Slice>(list, MAX_STRINGS)? {
        let bytes = memory::slice(string, left.saturating_sub(1))?;
        if bytes.contains(&0) {
            return Err(Errno::EINVAL);
        }
        left = left.saturating_sub(bytes.len() + 1);
        strings.push(bytes);
    }
    Ok(strings)
}

/// The agent an argument names; 0 is the caller's own.
fn named(call: &Call<'_>, raw: u64) -> Result<Arc<Agent>, Errno> {
    match AgentId::from_raw(raw) {
        None => caller(call),
        Some(id) => kernel_agent::find(id).ok_or(Errno::ESRCH),
    }
}

/// AgentKill(agent, reason): an agent that the caller's own spawned, or the caller's own.
pub(crate) fn kill(call: &Call<'_>) -> Result<u64, Errno> {
    let me = caller(call)?;
    let target = named(call, call.args[0])?;
    if target.id() != me.id() {
        me.domain().check(Rights::KILL, "AgentKill")?;
        if target.parent() != Some(me.id()) {
            return Err(Errno::EPERM);
        }
    }
    target.kill(call.args[1] as i32)?;
    Ok(0)
}

/// The agent of a verb that only its spawner may use; 0 names none.
fn spawned(call: &Call<'_>, wanted: Rights, act: &str) -> Result<Arc<Agent>, Errno> {
    let me = caller(call)?;
    me.domain().check(wanted, act)?;
    let id = AgentId::from_raw(call.args[0]).ok_or(Errno::ESRCH)?;
    let target = kernel_agent::find(id).ok_or(Errno::ESRCH)?;
    if target.parent() == Some(me.id()) { Ok(target) } else { Err(Errno::EPERM) }
}

/// AgentFreeze(agent).
pub(crate) fn freeze(call: &Call<'_>) -> Result<u64, Errno> {
    spawned(call, Rights::FREEZE, "AgentFreeze")?.freeze().map(|()| 0)
}

/// AgentThaw(agent).
pub(crate) fn thaw(call: &Call<'_>) -> Result<u64, Errno> {
    spawned(call, Rights::FREEZE, "AgentThaw")?.thaw().map(|()| 0)
}

/// AgentInfo(agent, info).
pub(crate) fn info(call: &Call<'_>) -> Result<u64, Errno> {
    let me = caller(call)?;
    let target = named(call, call.args[0])?;
    if target.id() != me.id() {
        me.domain().check(Rights::INSPECT, "AgentInfo")?;
        if !me.may_see(&target) {
            return Err(Errno::EPERM);
        }
    }
    let info: AgentInfo = target.info();
    memory::put_versioned(call.args[1], &info, AgentInfo::LEAST)?;
    Ok(0)
}

/// AgentList(ids, capacity) → how many there are.
pub(crate) fn list(call: &Call<'_>) -> Result<u64, Errno> {
    let me = caller(call)?;
    me.domain().check(Rights::INSPECT, "AgentList")?;
    let seen: Vec<Arc<Agent>> = kernel_agent::list().into_iter().filter(|agent| me.may_see(agent)).collect();
    let room = usize::try_from(call.args[1]).unwrap_or(usize::MAX);
    for (index, agent) in seen.iter().take(room).enumerate() {
        let at = call.args[0].checked_add(index as u64 * 8).ok_or(Errno::EFAULT)?;
        usermem::store_u64(Virt(at), agent.id().raw()).map_err(|_| Errno::EFAULT)?;
    }
    Ok(seen.len() as u64)
}

/// AgentWait(agent, record, flags) → id.
pub(crate) fn wait(call: &Call<'_>) -> Result<u64, Errno> {
    let flags = call.args[2] as u32;
    if flags & !(wait_flag::NO_HANG | wait_flag::FAULTED) != 0 {
        return Err(Errno::EINVAL);
    }
    let me = caller(call)?;
    me.domain().check(Rights::INSPECT, "AgentWait")?;
    let which = AgentId::from_raw(call.args[0]);
    let (no_hang, faulted) = (flags & wait_flag::NO_HANG != 0, flags & wait_flag::FAULTED != 0);
    let Some(record) = me.wait(which, no_hang, faulted)? else { return Ok(0) };
    if call.args[1] != 0 {
        memory::put_versioned(call.args[1], &record, size_of::<AgentExitRecord>())?;
    }
    Ok(record.id)
}
