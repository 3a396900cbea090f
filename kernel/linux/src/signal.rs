//! Sending, taking, blocking and handling signals (`signal(7)`).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use aios_abi::Errno;
use aios_abi::linux::consts::signal::SIGCONT;
use aios_abi::linux::consts::{si_code, sig_how};
use aios_abi::linux::structs::{Sigaction, Sigaltstack, Siginfo, Timespec};
use aios_abi::linux::table::nr;
use kernel_fs::Credentials;
use kernel_hal::time::now;
use kernel_process::signal::{self, SignalSet, is_valid};
use kernel_process::{Pid, Process, Thread};

use crate::call::{Call, CallResult, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::RT_SIGACTION, rt_sigaction),
    (nr::RT_SIGPROCMASK, rt_sigprocmask),
    (nr::RT_SIGRETURN, rt_sigreturn),
    (nr::RT_SIGPENDING, rt_sigpending),
    (nr::RT_SIGTIMEDWAIT, rt_sigtimedwait),
    (nr::RT_SIGQUEUEINFO, rt_sigqueueinfo),
    (nr::RT_TGSIGQUEUEINFO, rt_tgsigqueueinfo),
    (nr::RT_SIGSUSPEND, rt_sigsuspend),
    (nr::SIGALTSTACK, sigaltstack),
    (nr::PAUSE, pause),
    (nr::KILL, kill),
    (nr::TKILL, tkill),
    (nr::TGKILL, tgkill),
    (nr::RESTART_SYSCALL, restart_syscall),
];

/// Bytes of a signal set, as the calls must give it.
const SET_SIZE: u64 = size_of::<SignalSet>() as u64;
/// `CAP_KILL`.
const CAP_KILL: u32 = 5;

fn check_set_size(call: &Call<'_>, index: usize) -> Result<(), Errno> {
    if call.arg(index) == SET_SIZE { Ok(()) } else { Err(Errno::EINVAL) }
}

/// A structure behind an argument that may be null.
fn optional<T>(call: &Call<'_>, index: usize) -> Result<Option<T>, Errno>
where
    T: aios_abi::linux::structs::FromBytes + aios_abi::linux::structs::FromZeros + aios_abi::linux::structs::IntoBytes,
{
    if call.arg(index) == 0 { Ok(None) } else { call.read(call.ptr(index)).map(Some) }
}

fn rt_sigaction(call: &mut Call<'_>) -> CallResult {
    check_set_size(call, 3)?;
    let signal = call.uint(0);
    let old = match optional::<Sigaction>(call, 1)? {
        Some(new) => signal::set_action(call.thread, signal, new)?,
        None => signal::action(call.thread, signal)?,
    };
    if call.arg(2) != 0 {
        call.write(call.ptr(2), &old)?;
    }
    Ok(0)
}

fn rt_sigprocmask(call: &mut Call<'_>) -> CallResult {
    check_set_size(call, 3)?;
    let old = signal::mask(call.thread);
    if let Some(set) = optional::<SignalSet>(call, 1)? {
        let mask = match call.uint(0) {
            sig_how::SIG_BLOCK => old | set,
            sig_how::SIG_UNBLOCK => old & !set,
            sig_how::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        signal::set_mask(call.thread, mask);
    }
    if call.arg(2) != 0 {
        call.write(call.ptr(2), &old)?;
    }
    Ok(0)
}

fn rt_sigreturn(call: &mut Call<'_>) -> CallResult {
    signal::sigreturn(call.thread, call.context);
    // The register of the result is the program's own again.
    Ok(call.context.regs.rax as usize)
}

fn rt_sigpending(call: &mut Call<'_>) -> CallResult {
    // A shorter set is allowed here.
    let size = usize::try_from(call.arg(1)).ok().filter(|size| *size <= size_of::<SignalSet>()).ok_or(Errno::EINVAL)?;
    let set = signal::pending(call.thread).to_le_bytes();
    call.write(call.ptr(0), set.get(..size).unwrap_or(&set))?;
    Ok(0)
}

fn rt_sigtimedwait(call: &mut Call<'_>) -> CallResult {
    check_set_size(call, 3)?;
    let wanted: SignalSet = call.read(call.ptr(0))?;
    let deadline = match optional::<Timespec>(call, 2)? {
        Some(time) => Some(now() + Duration::from_nanos(time.to_nanos().ok_or(Errno::EINVAL)?)),
        None => None,
    };
    let info = signal::take(call.thread, wanted, deadline)?;
    if call.arg(1) != 0 {
        call.write(call.ptr(1), &info)?;
    }
    Ok(info.signo as usize)
}

fn rt_sigsuspend(call: &mut Call<'_>) -> CallResult {
    check_set_size(call, 1)?;
    let mask: SignalSet = call.read(call.ptr(0))?;
    Err(signal::suspend(call.thread, Some(mask)))
}

fn pause(call: &mut Call<'_>) -> CallResult {
    Err(signal::suspend(call.thread, None))
}

fn sigaltstack(call: &mut Call<'_>) -> CallResult {
    let sp = call.context.regs.rsp;
    let new = optional::<Sigaltstack>(call, 0)?;
    let old = signal::altstack(call.thread, sp);
    if let Some(new) = new {
        signal::set_altstack(call.thread, sp, new)?;
    }
    if call.arg(1) != 0 {
        call.write(call.ptr(1), &old)?;
    }
    Ok(0)
}

/// Goes on with a call that a signal without a handler cut short. Never called by programs on purpose.
fn restart_syscall(call: &mut Call<'_>) -> CallResult {
    let restart = *call.thread.restart.lock();
    let restart = restart.ok_or(Errno::EINTR)?;
    let handler = crate::dispatch::handler(restart.number).ok_or(Errno::EINTR)?;
    // The handler sees by the number of the call under way that it is to use the deadline left for it.
    handler(&mut Call { thread: call.thread, context: call.context, args: restart.arguments })
}

/// What `kill(2)` says of its sender.
fn sender(call: &Call<'_>, signal: u32, code: i32) -> Siginfo {
    Siginfo::kill(signal, code, call.process().pid(), call.thread.credentials().uid)
}

/// A signal number or 0, with which only the errors are looked for.
fn signal_number(call: &Call<'_>, index: usize) -> Result<u32, Errno> {
    let signal = call.uint(index);
    if signal == 0 || is_valid(signal) { Ok(signal) } else { Err(Errno::EINVAL) }
}

/// Whose credentials a process is judged by.
fn credentials(process: &Process) -> Option<Arc<Credentials>> {
    process.leader().map(|leader| leader.credentials())
}

/// True when the caller may send the signal to the process (`kill(2)`, "the real or effective user ID of the sending
/// process must equal the real or saved set-user-ID of the target").
fn may_send(call: &Call<'_>, target: &Arc<Process>, signal: u32) -> bool {
    let mine = call.thread.credentials();
    if mine.capable(CAP_KILL) || Arc::ptr_eq(target, call.process()) {
        return true;
    }
    // A zombie has nobody left whose rights could be looked at, and nothing is done to it.
    let Some(theirs) = credentials(target) else { return true };
    let same_user = [mine.euid, mine.uid].iter().any(|id| [theirs.suid, theirs.uid].contains(id));
    same_user || signal == SIGCONT && target.session() == call.process().session()
}

fn send(call: &Call<'_>, target: &Arc<Process>, signal: u32, info: &Siginfo) -> Result<(), Errno> {
    if !may_send(call, target, signal) {
        return Err(Errno::EPERM);
    }
    if signal == 0 { Ok(()) } else { signal::try_send_to_process(target, *info) }
}

fn kill(call: &mut Call<'_>) -> CallResult {
    let pid = call.int(0);
    let pids = call.process().pids().clone();
    if pid == i32::MIN {
        return Err(Errno::ESRCH);
    }
    if pid > 0 {
        let target =
            pids.process(pid as Pid).or_else(|| pids.thread(pid as Pid).map(|thread| thread.process().clone()));
        let target = target.ok_or(Errno::ESRCH)?;
        let signal = signal_number(call, 1)?;
        return send(call, &target, signal, &sender(call, signal, si_code::SI_USER)).map(|()| 0);
    }
    let targets: Vec<Arc<Process>> = match pid {
        0 => pids.group(call.process().group()),
        // Everybody but the first process and the caller.
        -1 => pids
            .processes()
            .into_iter()
            .filter(|process| process.pid() > 1 && !Arc::ptr_eq(process, call.process()))
            .collect(),
        group => pids.group(group.unsigned_abs()),
    };
    send_to_all(call, &targets, pid == -1)
}

/// Sends to each; it is enough that one may be sent to. With `everybody` a refusal is not worth telling.
fn send_to_all(call: &Call<'_>, targets: &[Arc<Process>], everybody: bool) -> CallResult {
    if targets.is_empty() {
        return Err(Errno::ESRCH);
    }
    let signal = signal_number(call, 1)?;
    let info = sender(call, signal, si_code::SI_USER);
    let mut sent = false;
    let mut outcome = Errno::ESRCH;
    for target in targets {
        match send(call, target, signal, &info) {
            Ok(()) => sent = true,
            Err(error) => outcome = error,
        }
    }
    if sent || everybody && outcome == Errno::EPERM { Ok(0) } else { Err(outcome) }
}

/// The thread with that number, in the process `tgid` if one is given.
fn thread(call: &Call<'_>, tgid: Option<i32>, tid: i32) -> Result<Arc<Thread>, Errno> {
    let thread = call.process().pids().thread(tid as Pid).ok_or(Errno::ESRCH)?;
    if tgid.is_some_and(|tgid| thread.process().pid() != tgid as Pid) {
        return Err(Errno::ESRCH);
    }
    Ok(thread)
}

fn send_to_one(
    call: &Call<'_>,
    tgid: Option<i32>,
    tid: i32,
    signal_index: usize,
    info: impl FnOnce(u32) -> Siginfo,
) -> CallResult {
    let target = thread(call, tgid, tid)?;
    let signal = signal_number(call, signal_index)?;
    if !may_send(call, target.process(), signal) {
        return Err(Errno::EPERM);
    }
    if signal != 0 {
        match signal::try_send_to_thread(&target, info(signal)) {
            // The thread may have ended meanwhile.
            Err(Errno::ESRCH) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(0)
}

fn tkill(call: &mut Call<'_>) -> CallResult {
    let tid = call.int(0);
    if tid <= 0 {
        return Err(Errno::EINVAL);
    }
    send_to_one(call, None, tid, 1, |signal| sender(call, signal, si_code::SI_TKILL))
}

fn tgkill(call: &mut Call<'_>) -> CallResult {
    let (tgid, tid) = (call.int(0), call.int(1));
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL);
    }
    send_to_one(call, Some(tgid), tid, 2, |signal| sender(call, signal, si_code::SI_TKILL))
}

/// `EPERM` when what a program says of a signal would pass for the kernel's or `kill`'s word in another thread.
fn check_forged(call: &Call<'_>, info: &Siginfo, target: i32) -> Result<(), Errno> {
    let claims = info.code >= 0 || info.code == si_code::SI_TKILL;
    if claims && target != call.thread.tid() as i32 { Err(Errno::EPERM) } else { Ok(()) }
}

fn rt_sigqueueinfo(call: &mut Call<'_>) -> CallResult {
    let pid = call.int(0);
    let info: Siginfo = call.read(call.ptr(2))?;
    check_forged(call, &info, pid)?;
    let target = u32::try_from(pid).ok().and_then(|pid| call.process().pids().process(pid)).ok_or(Errno::ESRCH)?;
    let signal = signal_number(call, 1)?;
    send(call, &target, signal, &Siginfo { signo: signal as i32, ..info }).map(|()| 0)
}

fn rt_tgsigqueueinfo(call: &mut Call<'_>) -> CallResult {
    let (tgid, tid) = (call.int(0), call.int(1));
    let info: Siginfo = call.read(call.ptr(3))?;
    if tgid <= 0 || tid <= 0 {
        return Err(Errno::EINVAL);
    }
    check_forged(call, &info, tid)?;
    send_to_one(call, Some(tgid), tid, 2, |signal| Siginfo { signo: signal as i32, ..info })
}
