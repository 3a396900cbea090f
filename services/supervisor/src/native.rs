//! Native system calls. The only `unsafe` of the supervisor: the `syscall` instruction itself.

use std::arch::asm;
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};

use aios_abi::Errno;
use aios_abi::native::agent::{
    AgentBind, AgentExitRecord, AgentId, AgentInfo, AgentSpawnArgs, cpu_flag, field_text, spawn_flag,
};
use aios_abi::native::calls::{number, wait_flag};
use aios_abi::native::{NATIVE_BASE, Slice};
use aios_manifest::Cpu;

/// Room for what the kernel says of a failure: two paths, and words.
const MAX_TEXT: usize = 4096;

/// What to spawn: [`AgentSpawnArgs`] with Rust's types.
pub struct Request<'a> {
    pub name: &'a str,
    /// Path of the image's root directory, as we see it.
    pub image: &'a str,
    pub binds: &'a [Bind<'a>],
    pub argv: &'a [Vec<u8>],
    pub env: &'a [Vec<u8>],
    pub cwd: &'a str,
    pub stdio: [BorrowedFd<'a>; 3],
    /// What controls the agent's session.
    pub terminal: BorrowedFd<'a>,
    /// Bytes; 0 for ours.
    pub memory_limit: u64,
    pub cpu: &'a Cpu,
    /// A fault that no process handles stops it, to be looked at.
    pub freeze_on_fault: bool,
}

/// A directory that the agent sees too.
pub struct Bind<'a> {
    pub source: &'a str,
    pub target: &'a str,
    /// Of [`aios_abi::native::agent::bind_flag`].
    pub flags: u32,
}

/// Why an agent was not spawned.
#[derive(Debug)]
pub struct Failure {
    pub errno: Errno,
    /// What the kernel says of it; empty on one that says nothing.
    pub text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() { self.errno.fmt(f) } else { f.write_str(&self.text) }
    }
}

/// AgentSpawn.
pub fn spawn(request: &Request<'_>) -> Result<AgentId, Failure> {
    let mut told = [0; MAX_TEXT];
    let binds: Vec<AgentBind> = request
        .binds
        .iter()
        .map(|bind| AgentBind {
            source: slice(bind.source.as_bytes()),
            target: slice(bind.target.as_bytes()),
            flags: bind.flags,
            reserved: 0,
        })
        .collect();
    let argv: Vec<Slice> = request.argv.iter().map(|word| slice(word)).collect();
    let env: Vec<Slice> = request.env.iter().map(|entry| slice(entry)).collect();
    let cpus = mask(request.cpu.affinity.as_deref().unwrap_or_default());
    let args = AgentSpawnArgs {
        size: size_of::<AgentSpawnArgs>() as u32,
        flags: if request.freeze_on_fault { spawn_flag::FREEZE_ON_FAULT } else { 0 },
        name: slice(request.name.as_bytes()),
        image: slice(request.image.as_bytes()),
        binds: slice(&binds),
        argv: slice(&argv),
        env: slice(&env),
        cwd: slice(request.cwd.as_bytes()),
        stdio: request.stdio.map(|stream| stream.as_raw_fd()),
        terminal: u32::try_from(request.terminal.as_raw_fd()).map_or(0, |fd| fd + 1),
        memory_limit: request.memory_limit,
        cpu_share: request.cpu.weight.unwrap_or(0),
        cpu_flags: if request.cpu.realtime { cpu_flag::REALTIME } else { 0 },
        cpu_quota: request.cpu.quota.map_or(0, |(quota, _)| quota),
        cpu_period: request.cpu.quota.map_or(0, |(_, period)| period),
        cpus: slice(&cpus),
        failure: Slice { ptr: (&raw mut told).expose_provenance() as u64, len: told.len() as u64 },
        ..Default::default()
    };
    // SAFETY: AgentSpawn reads `args` and all that it points to, alive until the end of this function (1), and writes at
    // most `failure.len` bytes at `failure.ptr`: `told`, which is ours alone and takes any bytes (2).
    let made = unsafe { call(number::AGENT_SPAWN, [(&raw const args).expose_provenance() as u64, 0, 0]) };
    made.and_then(|id| AgentId::from_raw(id).ok_or(Errno::EPROTO))
        .map_err(|errno| Failure { errno, text: field_text(&told).to_owned() })
}

/// AgentKill.
pub fn kill(id: AgentId) -> Result<(), Errno> {
    // SAFETY: AgentKill neither reads nor writes our memory.
    unsafe { call(number::AGENT_KILL, [id.raw(), 0, 0]) }.map(|_| ())
}

/// AgentFreeze.
pub fn freeze(id: AgentId) -> Result<(), Errno> {
    // SAFETY: AgentFreeze neither reads nor writes our memory.
    unsafe { call(number::AGENT_FREEZE, [id.raw(), 0, 0]) }.map(|_| ())
}

/// AgentThaw.
pub fn thaw(id: AgentId) -> Result<(), Errno> {
    // SAFETY: AgentThaw neither reads nor writes our memory.
    unsafe { call(number::AGENT_THAW, [id.raw(), 0, 0]) }.map(|_| ())
}

/// AgentInfo.
pub fn info(id: AgentId) -> Result<AgentInfo, Errno> {
    let mut info = AgentInfo::default();
    let pointer = (&raw mut info).expose_provenance() as u64;
    // SAFETY: AgentInfo writes at most `info.size` bytes, the size of `info`, at `info`, which is ours alone; any bytes are
    // a valid value of it.
    unsafe { call(number::AGENT_INFO, [id.raw(), pointer, 0]) }.map(|_| info)
}

/// AgentWait, until that agent has ended or its fault policy has stopped it.
pub fn wait(id: AgentId) -> Result<AgentExitRecord, Errno> {
    let mut record = AgentExitRecord::default();
    loop {
        let pointer = (&raw mut record).expose_provenance() as u64;
        // SAFETY: AgentWait writes at most `record.size` bytes, the size of `record`, at `record`, which is ours alone;
        // any bytes are a valid value of it.
        match unsafe { call(number::AGENT_WAIT, [id.raw(), pointer, wait_flag::FAULTED.into()]) } {
            Ok(_) => return Ok(record),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// CPU numbers as a mask.
fn mask(cpus: &[usize]) -> Vec<u8> {
    let mut mask = vec![0; cpus.iter().max().map_or(0, |last| last / 8 + 1)];
    for cpu in cpus {
        if let Some(byte) = mask.get_mut(cpu / 8) {
            *byte |= 1 << (cpu % 8);
        }
    }
    mask
}

fn slice<T>(values: &[T]) -> Slice {
    Slice { ptr: values.as_ptr().expose_provenance() as u64, len: values.len() as u64 }
}

/// Makes a native call.
///
/// # Safety
/// 1. Memory that the call reads through `arguments` is initialised and stays valid for the call.
/// 2. Memory that it writes through them is exclusively the caller's, and any bytes are valid in it.
unsafe fn call(number: u32, arguments: [u64; 3]) -> Result<u64, Errno> {
    let [first, second, third] = arguments;
    let result: u64;
    // SAFETY: the kernel keeps all registers but rax, rcx and r11, and the stack; what it does to memory is what the
    // caller promises to be fine (1, 2). On a kernel without native calls the number is unknown and nothing happens.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") NATIVE_BASE | u64::from(number) => result,
            in("rdi") first,
            in("rsi") second,
            in("rdx") third,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    match result.wrapping_neg() {
        negated @ 1..=4095 => Err(u16::try_from(negated).ok().and_then(Errno::from_number).unwrap_or(Errno::EPROTO)),
        _ => Ok(result),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    /// On the build host's Linux a native call is an unknown call, and its error comes back as one.
    #[test]
    fn a_kernel_without_native_calls_says_so() {
        let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
        let request = Request {
            name: "x",
            image: "/",
            binds: &[],
            argv: &[b"true".to_vec()],
            env: &[],
            cwd: "/",
            stdio: [stdin.as_fd(), stdout.as_fd(), stdout.as_fd()],
            terminal: stdin.as_fd(),
            memory_limit: 0,
            cpu: &Cpu::default(),
            freeze_on_fault: false,
        };
        let failure = spawn(&request).unwrap_err();
        assert_eq!((failure.errno, failure.to_string()), (Errno::ENOSYS, Errno::ENOSYS.to_string()));
        let id = AgentId::new(1, 1);
        assert_eq!((wait(id).err(), info(id).err()), (Some(Errno::ENOSYS), Some(Errno::ENOSYS)));
        assert_eq!((kill(id), freeze(id), thaw(id)), (Err(Errno::ENOSYS), Err(Errno::ENOSYS), Err(Errno::ENOSYS)));
    }
}
