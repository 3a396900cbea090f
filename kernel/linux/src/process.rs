//! Making, waiting for and ending processes; groups and sessions.

use aios_abi::Errno;
use aios_abi::linux::consts::signal::SIGCHLD;
use aios_abi::linux::consts::{CLONE_ARGS_SIZE_VER0, CSIGNAL};
use aios_abi::linux::consts::{clone as clone_flag, wait as wait_flag};
use aios_abi::linux::structs::{CloneArgs, FromZeros, IntoBytes, Rusage, Siginfo};
use aios_abi::linux::table::nr;
use kernel_hal::addr::Virt;
use kernel_hal::usermem;
use kernel_process::exit::{self, ExitStatus};
use kernel_process::process::{StopEvent, Usage};
use kernel_process::wait::{self, Event, WaitFor, Waited, Which};
use kernel_process::{CloneRequest, ExitReason, run};

use crate::call::{Call, CallResult, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::FORK, fork),
    (nr::VFORK, vfork),
    (nr::CLONE, clone),
    (nr::CLONE3, clone3_call),
    (nr::EXIT, exit),
    (nr::EXIT_GROUP, exit_group),
    (nr::WAIT4, wait4),
    (nr::WAITID, waitid),
    (nr::GETPID, getpid),
    (nr::GETPPID, getppid),
    (nr::GETTID, gettid),
    (nr::SETPGID, setpgid),
    (nr::GETPGID, getpgid),
    (nr::GETPGRP, getpgrp),
    (nr::SETSID, setsid),
    (nr::GETSID, getsid),
];

/// Namespaces and descriptors of processes are not offered.
const REFUSED: u64 = clone_flag::CLONE_NEWNS
    | clone_flag::CLONE_NEWCGROUP
    | clone_flag::CLONE_NEWUTS
    | clone_flag::CLONE_NEWIPC
    | clone_flag::CLONE_NEWUSER
    | clone_flag::CLONE_NEWPID
    | clone_flag::CLONE_NEWNET
    | clone_flag::CLONE_PIDFD
    | clone_flag::CLONE_INTO_CGROUP;

fn start(call: &mut Call<'_>, request: CloneRequest) -> CallResult {
    if request.flags & REFUSED != 0 {
        return Err(Errno::EINVAL);
    }
    kernel_process::clone(call.thread, call.context, &request).map(|pid| pid as usize)
}

fn fork(call: &mut Call<'_>) -> CallResult {
    start(call, CloneRequest { exit_signal: SIGCHLD, ..CloneRequest::default() })
}

fn vfork(call: &mut Call<'_>) -> CallResult {
    let flags = clone_flag::CLONE_VFORK | clone_flag::CLONE_VM;
    start(call, CloneRequest { flags, exit_signal: SIGCHLD, ..CloneRequest::default() })
}

fn clone(call: &mut Call<'_>) -> CallResult {
    // Only the lower half counts, as on Linux.
    let flags = call.arg(0) & 0xffff_ffff;
    start(
        call,
        CloneRequest {
            flags: flags & !CSIGNAL,
            exit_signal: (flags & CSIGNAL) as u32,
            stack: call.arg(1),
            parent_tid: call.arg(2),
            child_tid: call.arg(3),
            tls: call.arg(4),
            set_tid: 0,
        },
    )
}

fn clone3_call(call: &mut Call<'_>) -> CallResult {
    let size = usize::try_from(call.arg(1)).map_err(|_| Errno::E2BIG)?;
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    if size < CLONE_ARGS_SIZE_VER0 {
        return Err(Errno::EINVAL);
    }
    let mut args = CloneArgs::new_zeroed();
    let known = size.min(size_of::<CloneArgs>());
    let bytes = args.as_mut_bytes().get_mut(..known).ok_or(Errno::EINVAL)?;
    usermem::copy_in(bytes, call.ptr(0)).map_err(|_| Errno::EFAULT)?;
    // What this kernel does not know must be zero.
    for offset in known..size {
        let mut byte = [0];
        usermem::copy_in(&mut byte, Virt(call.arg(0).wrapping_add(offset as u64))).map_err(|_| Errno::EFAULT)?;
        if byte != [0] {
            return Err(Errno::E2BIG);
        }
    }
    let known_flags = 0xffff_ff00
        | clone_flag::CLONE_CLEAR_SIGHAND
        | clone_flag::CLONE_INTO_CGROUP
        | aios_abi::linux::consts::CLONE_NEWTIME;
    let bad_stack = (args.stack == 0) != (args.stack_size == 0);
    if args.flags & !known_flags != 0
        || args.flags & clone_flag::CLONE_DETACHED != 0
        || args.exit_signal & !CSIGNAL != 0
        || args.flags & (clone_flag::CLONE_THREAD | clone_flag::CLONE_PARENT) != 0 && args.exit_signal != 0
        || bad_stack
    {
        return Err(Errno::EINVAL);
    }
    if args.set_tid_size != 0 {
        return Err(if args.set_tid_size > 32 { Errno::EINVAL } else { Errno::EPERM });
    }
    start(
        call,
        CloneRequest {
            flags: args.flags,
            exit_signal: args.exit_signal as u32,
            stack: args.stack.wrapping_add(args.stack_size),
            parent_tid: args.parent_tid,
            child_tid: args.child_tid,
            tls: args.tls,
            set_tid: 0,
        },
    )
}

fn exit(call: &mut Call<'_>) -> CallResult {
    run::exit_thread(call.thread, call.int(0) as u8);
    Ok(0)
}

fn exit_group(call: &mut Call<'_>) -> CallResult {
    exit::end_process(call.process(), ExitReason::exited(call.int(0) as u8));
    Ok(0)
}

/// `wait4(2)`'s and `waitpid`'s way to name children.
fn which(call: &Call<'_>, pid: i32) -> Which {
    match pid {
        -1 => Which::Any,
        0 => Which::Group(call.process().group()),
        pid if pid > 0 => Which::Process(pid as u32),
        group => Which::Group(group.unsigned_abs()),
    }
}

fn wait4(call: &mut Call<'_>) -> CallResult {
    let (pid, options) = (call.int(0), call.uint(2));
    let known = wait_flag::WNOHANG
        | wait_flag::WUNTRACED
        | wait_flag::WCONTINUED
        | wait_flag::__WALL
        | wait_flag::__WCLONE
        | wait_flag::__WNOTHREAD;
    if options & !known != 0 {
        return Err(Errno::EINVAL);
    }
    if pid == i32::MIN {
        return Err(Errno::ESRCH);
    }
    let wanted = WaitFor {
        exited: true,
        stopped: options & wait_flag::WUNTRACED != 0,
        continued: options & wait_flag::WCONTINUED != 0,
        no_hang: options & wait_flag::WNOHANG != 0,
        no_reap: false,
        all: options & wait_flag::__WALL != 0,
        clones: options & wait_flag::__WCLONE != 0,
    };
    let Some(waited) = wait::wait(call.process(), which(call, pid), wanted)? else { return Ok(0) };
    if call.arg(1) != 0 {
        call.write(call.ptr(1), &status_word(waited.event))?;
    }
    if call.arg(3) != 0 {
        call.write(call.ptr(3), &rusage(waited.usage))?;
    }
    Ok(waited.pid as usize)
}

/// The status word of `wait(2)`.
fn status_word(event: Event) -> u32 {
    match event {
        Event::Exited(ExitStatus::Exited(code)) => u32::from(code) << 8,
        Event::Exited(ExitStatus::Signaled { signal, core }) => signal | if core { 0x80 } else { 0 },
        Event::Stop(StopEvent::Stopped(signal)) => 0x7f | signal << 8,
        Event::Stop(StopEvent::Continued) => 0xffff,
    }
}

/// What a process used, as `getrusage(2)` gives it. The kernel does not divide time into user and system.
pub(crate) fn rusage(usage: Usage) -> Rusage {
    Rusage {
        utime: aios_abi::linux::structs::Timeval {
            sec: (usage.cpu_ns / 1_000_000_000) as i64,
            usec: (usage.cpu_ns / 1000 % 1_000_000) as i64,
        },
        maxrss: (usage.peak_resident * 4) as i64,
        minflt: usage.minor_faults as i64,
        majflt: usage.major_faults as i64,
        nvcsw: usage.voluntary as i64,
        nivcsw: usage.involuntary as i64,
        ..Rusage::default()
    }
}

fn waitid(call: &mut Call<'_>) -> CallResult {
    use aios_abi::linux::consts::id_type as id;
    let (kind, number, options) = (call.uint(0), call.int(1), call.uint(3));
    let known = wait_flag::WNOHANG
        | wait_flag::WNOWAIT
        | wait_flag::WEXITED
        | wait_flag::WUNTRACED
        | wait_flag::WCONTINUED
        | wait_flag::__WALL
        | wait_flag::__WCLONE
        | wait_flag::__WNOTHREAD;
    if options & !known != 0 || options & (wait_flag::WEXITED | wait_flag::WUNTRACED | wait_flag::WCONTINUED) == 0 {
        return Err(Errno::EINVAL);
    }
    let which = match kind {
        id::P_ALL => Which::Any,
        id::P_PID if number > 0 => Which::Process(number as u32),
        id::P_PGID if number > 0 => Which::Group(number as u32),
        id::P_PGID if number == 0 => Which::Group(call.process().group()),
        id::P_PIDFD if number >= 0 => return Err(Errno::EBADF),
        _ => return Err(Errno::EINVAL),
    };
    let wanted = WaitFor {
        exited: options & wait_flag::WEXITED != 0,
        stopped: options & wait_flag::WUNTRACED != 0,
        continued: options & wait_flag::WCONTINUED != 0,
        no_hang: options & wait_flag::WNOHANG != 0,
        no_reap: options & wait_flag::WNOWAIT != 0,
        all: options & wait_flag::__WALL != 0,
        clones: options & wait_flag::__WCLONE != 0,
    };
    let waited = match wait::wait(call.process(), which, wanted) {
        Ok(waited) => waited,
        // As on Linux, the structure is written even then, and a bad address is the error that is reported.
        Err(error) if call.arg(2) != 0 && !error.is_restart() => {
            call.write(call.ptr(2), &Siginfo::default())?;
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    if call.arg(4) != 0
        && let Some(waited) = &waited
    {
        call.write(call.ptr(4), &rusage(waited.usage))?;
    }
    if call.arg(2) != 0 {
        call.write(call.ptr(2), &waited.as_ref().map_or_else(Siginfo::default, child_siginfo))?;
    }
    Ok(0)
}

fn child_siginfo(waited: &Waited) -> Siginfo {
    use aios_abi::linux::consts::cld_code as code;
    let (code, status) = match waited.event {
        Event::Exited(ExitStatus::Exited(status)) => (code::CLD_EXITED, i32::from(status)),
        Event::Exited(ExitStatus::Signaled { signal, core: false }) => (code::CLD_KILLED, signal as i32),
        Event::Exited(ExitStatus::Signaled { signal, core: true }) => (code::CLD_DUMPED, signal as i32),
        Event::Stop(StopEvent::Stopped(signal)) => (code::CLD_STOPPED, signal as i32),
        Event::Stop(StopEvent::Continued) => (code::CLD_CONTINUED, aios_abi::linux::consts::signal::SIGCONT as i32),
    };
    Siginfo::child(code, waited.pid, waited.uid, status, 0, 0)
}

fn getpid(call: &mut Call<'_>) -> CallResult {
    Ok(call.process().pid() as usize)
}

fn getppid(call: &mut Call<'_>) -> CallResult {
    Ok(call.process().parent_pid() as usize)
}

fn gettid(call: &mut Call<'_>) -> CallResult {
    Ok(call.thread.tid() as usize)
}

fn setpgid(call: &mut Call<'_>) -> CallResult {
    let (pid, group) = (call.int(0), call.int(1));
    if group < 0 {
        return Err(Errno::EINVAL);
    }
    let me = call.process();
    let pid = if pid == 0 { me.pid() } else { u32::try_from(pid).map_err(|_| Errno::ESRCH)? };
    let group = if group == 0 { pid } else { group as u32 };
    let tree = me.pids().tree();
    let target = me.pids().process(pid).ok_or(Errno::ESRCH)?;
    if target.pid() != me.pid() {
        if target.parent_pid() != me.pid() {
            return Err(Errno::ESRCH);
        }
        if target.session() != me.session() {
            return Err(Errno::EPERM);
        }
        if target.executed.load(core::sync::atomic::Ordering::Relaxed) {
            return Err(Errno::EACCES);
        }
    }
    // A session's leader stays in its group.
    if target.session() == target.pid() {
        return Err(Errno::EPERM);
    }
    if group != pid && !me.pids().group(group).iter().any(|member| member.session() == me.session()) {
        return Err(Errno::EPERM);
    }
    target.set_group(group);
    drop(tree);
    Ok(0)
}

fn process_or_self(call: &Call<'_>) -> Result<alloc::sync::Arc<kernel_process::Process>, Errno> {
    match call.int(0) {
        0 => Ok(call.process().clone()),
        pid => {
            let pid = u32::try_from(pid).map_err(|_| Errno::ESRCH)?;
            let pids = call.process().pids();
            pids.process(pid).or_else(|| pids.thread(pid).map(|thread| thread.process().clone())).ok_or(Errno::ESRCH)
        }
    }
}

fn getpgid(call: &mut Call<'_>) -> CallResult {
    Ok(process_or_self(call)?.group() as usize)
}

fn getpgrp(call: &mut Call<'_>) -> CallResult {
    Ok(call.process().group() as usize)
}

fn setsid(call: &mut Call<'_>) -> CallResult {
    let me = call.process();
    let tree = me.pids().tree();
    if me.pids().processes().iter().any(|process| process.group() == me.pid()) {
        return Err(Errno::EPERM);
    }
    me.set_session(me.pid());
    me.set_group(me.pid());
    drop(tree);
    Ok(me.pid() as usize)
}

fn getsid(call: &mut Call<'_>) -> CallResult {
    Ok(process_or_self(call)?.session() as usize)
}
