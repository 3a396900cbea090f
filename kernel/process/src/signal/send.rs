//! Sending: which queue a signal goes to, and who is told.

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::resource::RLIMIT_SIGPENDING;
use aios_abi::linux::consts::signal::{SIGCONT, SIGINT, SIGKILL, SIGQUIT};
use aios_abi::linux::consts::{SIG_DFL, SIGRTMIN, USER_HZ, cld_code, si_code};
use aios_abi::linux::structs::Siginfo;
use kernel_mm::{KernelCharge, charge_kernel_bytes};

use super::handlers::is_ignored;
use super::pending::{ENTRY_BYTES, Pending};
use super::set::{STOPPING, SignalSet, bit, is_valid};
use super::stop;
use crate::exit::{self, ExitReason, ExitStatus};
use crate::{Pid, Pids, Process, Thread};

/// Sends a signal to a process: one of its threads that does not block it takes it.
pub fn send_to_process(process: &Arc<Process>, info: Siginfo) {
    // Only a queued value can fail to fit, and the kernel's own signals carry none.
    let _dropped = send(process, None, info);
}

/// Sends a signal to one thread.
pub fn send_to_thread(thread: &Arc<Thread>, info: Siginfo) {
    let _dropped = send(thread.process(), Some(thread), info);
}

/// Sends a signal for what was typed at the terminal or happened to it. Ctrl-C and Ctrl-\ come from whoever runs the agent,
/// so they end its first process as they end others, unless it blocks or handles them.
pub fn send_from_terminal(process: &Arc<Process>, signal: u32) {
    let typed = signal == SIGINT || signal == SIGQUIT;
    let by_default = || process.handlers.lock().get(signal).handler == SIG_DFL;
    let blocked = |thread: &Arc<Thread>| thread.signals.lock().mask & bit(signal) != 0;
    if typed && is_protected(process) && by_default() && !process.leader().as_ref().is_some_and(blocked) {
        exit::end_process(process, ExitReason::signaled(signal));
    } else {
        send_to_process(process, Siginfo::kernel(signal));
    }
}

/// Sends the calling thread a signal for what its call did, as from itself: `SIGPIPE`, `SIGXFSZ`.
pub fn send_to_self(thread: &Arc<Thread>, signal: u32) {
    let (pid, uid) = (thread.process().pid(), thread.credentials().uid);
    send_to_thread(thread, Siginfo::kill(signal, si_code::SI_USER, pid, uid));
}

/// The same as [`send_to_process`] for a signal whose value must not be lost: `EAGAIN` when there is no room for it.
pub fn try_send_to_process(process: &Arc<Process>, info: Siginfo) -> Result<(), Errno> {
    send(process, None, info)
}

/// The same for one thread.
pub fn try_send_to_thread(thread: &Arc<Thread>, info: Siginfo) -> Result<(), Errno> {
    send(thread.process(), Some(thread), info)
}

/// Sends a signal to the members of a process group, and returns how many there are.
pub fn send_to_group(pids: &Pids, group: Pid, info: Siginfo) -> usize {
    let members = pids.group(group);
    for member in &members {
        send_to_process(member, info);
    }
    members.len()
}

fn send(process: &Arc<Process>, thread: Option<&Arc<Thread>>, info: Siginfo) -> Result<(), Errno> {
    let signal = u32::try_from(info.signo).unwrap_or(0);
    if !is_valid(signal) || !process.is_alive() {
        return Ok(());
    }
    if bit(signal) & STOPPING != 0 {
        discard_everywhere(process, bit(SIGCONT));
    } else if signal == SIGCONT {
        discard_everywhere(process, STOPPING);
        stop::resume(process);
    }
    if has_no_effect(process, thread, signal) {
        return Ok(());
    }
    if signal == SIGKILL {
        exit::end_process(process, ExitReason::signaled(SIGKILL));
        return Ok(());
    }
    match thread {
        Some(thread) => {
            let charge = entry_charge(process, &info, || thread.signals.lock().pending.queued())?;
            let wanted = {
                let mut signals = thread.signals.lock();
                signals.pending.add(info, charge);
                signals.wants(signal)
            };
            if wanted {
                thread.call_to_boundary();
            }
        }
        None => {
            let charge = entry_charge(process, &info, || process.pending.lock().queued())?;
            process.pending.lock().add(info, charge);
            call_one(process, signal);
        }
    }
    Ok(())
}

/// Pays for a real-time signal's entry. Where that fails, a signal without a value is sent without its sender.
fn entry_charge(
    process: &Process,
    info: &Siginfo,
    queued: impl FnOnce() -> usize,
) -> Result<Option<KernelCharge>, Errno> {
    if (info.signo as u32) < SIGRTMIN {
        return Ok(None);
    }
    let fits = (queued() as u64) < process.limits.current(RLIMIT_SIGPENDING);
    let charge = if fits { charge_kernel_bytes(process.domain().memory(), ENTRY_BYTES).ok() } else { None };
    if charge.is_none() && info.code != si_code::SI_USER {
        return Err(Errno::EAGAIN);
    }
    Ok(charge)
}

/// Calls the thread that takes a signal of the process: the first one if it can.
fn call_one(process: &Process, signal: u32) {
    let leader = process.leader();
    let wants = |thread: &Arc<Thread>| thread.signals.lock().wants(signal);
    if let Some(leader) = leader.filter(wants) {
        return leader.call_to_boundary();
    }
    if let Some(thread) = process.threads().iter().find(|thread| wants(thread)) {
        thread.call_to_boundary();
    }
}

/// Calls other threads of the process for pending signals that `thread` was to take and does not.
pub(super) fn offer_to_others(thread: &Thread, set: SignalSet) {
    let mut left = set;
    for other in thread.process().threads() {
        if left == 0 {
            return;
        }
        if other.tid() == thread.tid() {
            continue;
        }
        let mask = other.signals.lock().mask;
        if left & !mask != 0 {
            left &= mask;
            other.call_to_boundary();
        }
    }
}

fn discard_everywhere(process: &Process, set: SignalSet) {
    process.pending.lock().discard(set);
    for thread in process.threads() {
        thread.signals.lock().pending.discard(set);
    }
}

/// Signals that are ignored vanish when they are sent, unless they are blocked: the action may change until they are
/// taken. The agent's first process gets none that it does not handle.
fn has_no_effect(process: &Process, thread: Option<&Arc<Thread>>, signal: u32) -> bool {
    if !ignores(process, signal) {
        return false;
    }
    let target = thread.cloned().or_else(|| process.leader());
    target.is_none_or(|target| target.signals.lock().mask & bit(signal) == 0)
}

/// True when a process would not act on a signal, were it delivered now.
pub(super) fn ignores(process: &Process, signal: u32) -> bool {
    let handlers = process.handlers.lock().clone();
    let action = handlers.get(signal);
    is_ignored(signal, &action) || action.handler == SIG_DFL && is_protected(process)
}

/// The agent's first process is not ended by default actions (signal_namespaces(7): `init`).
pub(super) fn is_protected(process: &Process) -> bool {
    process.pid() == 1
}

/// The calling thread ends: what it was to take is offered to others.
pub fn thread_exit(thread: &Thread) {
    let mask = {
        let mut signals = thread.signals.lock();
        signals.pending.discard(!0);
        core::mem::replace(&mut signals.mask, !0)
    };
    let process = thread.process();
    let shared = process.pending.lock().set();
    if shared & !mask != 0 {
        offer_to_others(thread, shared & !mask);
    }
    stop::leaving(process);
}

/// The process has ended: nothing waits for it any more.
pub fn process_end(process: &Arc<Process>) {
    // What was queued is dropped with no lock held.
    let pending = core::mem::take::<Pending>(&mut process.pending.lock());
    drop(pending);
    stop::forget(process);
}

/// The process runs another program now: no handlers, no alternate stack, no timers of its making (`execve(2)`).
pub fn exec(thread: &Thread) {
    let process = thread.process();
    let handlers = process.handlers.lock().reset_for_exec();
    let old = core::mem::replace(&mut *process.handlers.lock(), handlers);
    drop(old);
    thread.signals.lock().clear_altstack();
    *thread.restart.lock() = None;
    process.timers.delete_all();
}

/// What a parent is told of a child that ended, by `signal`. Called by the child's last thread.
pub fn child_info(process: &Process, status: ExitStatus, signal: u32) -> Siginfo {
    let (code, status) = match status {
        ExitStatus::Exited(code) => (cld_code::CLD_EXITED, i32::from(code)),
        ExitStatus::Signaled { signal, core: false } => (cld_code::CLD_KILLED, signal as i32),
        ExitStatus::Signaled { signal, core: true } => (cld_code::CLD_DUMPED, signal as i32),
    };
    let info = child_event(process, code, status);
    Siginfo { signo: signal as i32, ..info }
}

/// `SIGCHLD` for a change of `process`.
pub(super) fn child_event(process: &Process, code: i32, status: i32) -> Siginfo {
    let leader = process.leader().or_else(Thread::current);
    let uid = leader.map_or(0, |thread| thread.credentials().uid);
    let ticks = (process.usage().cpu_ns / (1_000_000_000 / USER_HZ)) as i64;
    Siginfo::child(code, process.pid(), uid, status, ticks, 0)
}
