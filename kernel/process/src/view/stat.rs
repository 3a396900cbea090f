//! `stat`, `statm`, `children`: numbers in a line.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use aios_abi::Errno;
use aios_abi::linux::consts::resource::RLIMIT_RSS;
use aios_abi::linux::consts::{NSIG, SIG_DFL, SIG_IGN, USER_HZ, sched_policy as policy};
use kernel_fs::procfs::Text;
use kernel_hal::addr::{PAGE_SHIFT, PAGE_SIZE};
use kernel_sched::{Activity, Class};

use super::areas;
use super::subject::Found;
use crate::exit::ExitStatus;
use crate::process::State;
use crate::signal::{SignalSet, bit};
use crate::{Process, Thread, jobs};

/// Of the flags word: has not called `execve` since it was forked.
const PF_FORKNOEXEC: u64 = 0x40;
/// The signals that fit the words of `stat`, which came before real-time signals.
const OLD_SIGNALS: SignalSet = 0x7fff_ffff;

/// Nanoseconds as ticks that programs are told.
pub(super) fn ticks(ns: u64) -> u64 {
    ns / (1_000_000_000 / USER_HZ)
}

/// The letter of the state and its name.
pub(super) fn state(found: &Found) -> (char, &'static str) {
    if matches!(found.process.state(), State::Zombie(_) | State::Reaped) {
        return ('Z', "zombie");
    }
    if found.process.stop.signal().is_some() {
        return ('T', "stopped");
    }
    match found.thread.as_ref().map_or(Activity::Runnable, |thread| thread.activity()) {
        Activity::Running | Activity::Runnable => ('R', "running"),
        Activity::Waiting => ('S', "sleeping"),
        Activity::Blocked => ('D', "disk sleep"),
    }
}

/// The thread's name, NUL-padded; of a zombie what was its name.
pub(super) fn name(found: &Found) -> [u8; 16] {
    match &found.thread {
        Some(thread) => thread.name(),
        None => found.process.name(),
    }
}

/// A name without its padding.
pub(super) fn trimmed(name: &[u8; 16]) -> &[u8] {
    name.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Signals that are ignored, and that are caught.
pub(super) fn handled(process: &Process) -> (SignalSet, SignalSet) {
    let handlers = process.handlers.lock().clone();
    (1..=NSIG).fold((0, 0), |(ignored, caught), signal| match handlers.get(signal).handler {
        SIG_DFL => (ignored, caught),
        SIG_IGN => (ignored | bit(signal), caught),
        _ => (ignored, caught | bit(signal)),
    })
}

/// The status word of `wait(2)`.
fn exit_code(process: &Process) -> u32 {
    match process.exit_status() {
        None => 0,
        Some(ExitStatus::Exited(code)) => u32::from(code) << 8,
        Some(ExitStatus::Signaled { signal, core }) => signal | if core { 0x80 } else { 0 },
    }
}

/// `stat`, field by field as `proc_pid_stat(5)` numbers them. Addresses are for those who may look into the process.
pub(super) fn stat(found: &Found, text: &mut Text) -> Result<(), Errno> {
    let process = &found.process;
    let usage = process.usage();
    let reaped = process.children_usage();
    let cpu_ns = match &found.thread {
        Some(thread) if found.is_thread => thread.cpu_time().as_nanos() as u64,
        _ => usage.cpu_ns,
    };
    let terminal = jobs::terminal_of(process);
    let device = terminal.as_ref().and_then(|terminal| terminal.number()).map_or(0, |number| number.encode());
    let foreground = terminal.and_then(|terminal| terminal.foreground()).map_or(-1, i64::from);
    let scheduled = found.thread.as_ref().or(process.leader().as_ref()).map_or_else(Scheduled::default, scheduled);
    let Scheduled { priority, nice, .. } = scheduled;
    let space = process.space();
    let (size, resident) = space.as_ref().map_or((0, 0), |space| (space.size(), space.resident()));
    let layout = if found.may_inspect() { *process.layout.lock() } else { Default::default() };
    let (pending, blocked) = found.thread.as_ref().map_or((0, 0), |thread| {
        let signals = thread.signals.lock();
        (signals.pending(), signals.mask())
    });
    let (ignored, caught) = handled(process);
    let (letter, _) = state(found);
    let flags = if process.executed.load(Ordering::Relaxed) { 0 } else { PF_FORKNOEXEC };

    text.put(format_args!("{} (", found.number))?;
    text.bytes(trimmed(&name(found)))?;
    // 3 to 8.
    text.put(format_args!(
        ") {letter} {} {} {} {device} {foreground}",
        process.parent_pid(),
        process.group(),
        process.session(),
    ))?;
    let unsigned =
        |text: &mut Text, values: &[u64]| values.iter().try_for_each(|value| text.put(format_args!(" {value}")));
    // 9 to 17: flags, faults, time in the program; this kernel does not tell it from time in calls.
    unsigned(
        text,
        &[
            flags,
            usage.minor_faults,
            reaped.minor_faults,
            usage.major_faults,
            reaped.major_faults,
            ticks(cpu_ns),
            0,
            ticks(reaped.cpu_ns),
            0,
        ],
    )?;
    // 18 to 21.
    text.put(format_args!(" {priority} {nice} {} 0", process.thread_count().max(1)))?;
    let waits = u64::from(letter == 'S' || letter == 'D');
    // 22 to 37: start, memory, stack pointer and program counter (not told, as on Linux), signals, where it waits.
    unsigned(
        text,
        &[
            ticks(process.started().0),
            size,
            resident as u64,
            process.limits.current(RLIMIT_RSS),
            layout.code.0,
            layout.code.1,
            layout.stack,
            0,
            0,
            pending & OLD_SIGNALS,
            blocked & OLD_SIGNALS,
            ignored & OLD_SIGNALS,
            caught & OLD_SIGNALS,
            waits,
            0,
            0,
        ],
    )?;
    // 38 to 52: exit signal, processor, policy, delays, more addresses, exit code.
    let code = if found.may_inspect() { exit_code(process) } else { 0 };
    text.put(format_args!(
        " {} {} {} {} 0 0 0",
        process.exit_signal.load(Ordering::Relaxed),
        scheduled.cpu,
        scheduled.realtime,
        scheduled.policy,
    ))?;
    unsigned(
        text,
        &[
            layout.data.0,
            layout.data.1,
            layout.heap,
            layout.arguments.0,
            layout.arguments.1,
            layout.environment.0,
            layout.environment.1,
            u64::from(code),
        ],
    )?;
    text.bytes(b"\n")
}

/// `statm`, in pages: size, resident, resident of files, code, libraries (always 0), data and stack, dirty (always 0).
pub(super) fn memory(found: &Found, text: &mut Text) -> Result<(), Errno> {
    let process = &found.process;
    let Some(space) = process.space() else { return text.bytes(b"0 0 0 0 0 0 0\n") };
    let sums = areas::sums(&space);
    let (start, end) = process.layout.lock().code;
    let code = end.next_multiple_of(PAGE_SIZE as u64).saturating_sub(start) >> PAGE_SHIFT;
    text.put(format_args!(
        "{} {} {} {code} 0 {} 0\n",
        space.size() >> PAGE_SHIFT,
        sums.resident_anonymous + sums.resident_file + sums.resident_shared,
        sums.resident_file + sums.resident_shared,
        (space.data_size() + sums.stack) >> PAGE_SHIFT,
    ))
}

/// `task/TID/children`: children belong to the process here, so its leader names them all.
pub(super) fn children(found: &Found, text: &mut Text) -> Result<(), Errno> {
    if found.number != found.process.pid() {
        return Ok(());
    }
    found.process.children().iter().try_for_each(|child| text.put(format_args!("{} ", child.pid())))
}

/// How a thread is scheduled, in Linux's numbers.
pub(super) struct Scheduled {
    /// As `stat` shows it: 20 + nice, -1 - the real-time priority, or -101 for a deadline.
    pub priority: i32,
    pub nice: i32,
    pub cpu: usize,
    pub realtime: u8,
    /// `SCHED_*`.
    pub policy: u32,
}

impl Default for Scheduled {
    fn default() -> Scheduled {
        Scheduled { priority: 20, nice: 0, cpu: 0, realtime: 0, policy: 0 }
    }
}

pub(super) fn scheduled(thread: &Arc<Thread>) -> Scheduled {
    let nice = thread.nice.load(Ordering::Relaxed);
    let Some(kernel) = thread.kernel() else { return Scheduled::default() };
    let class = kernel.class();
    let (priority, policy) = match class {
        Class::Deadline(_) => (-101, policy::SCHED_DEADLINE),
        Class::Fifo(priority) => (-1 - i32::from(priority), policy::SCHED_FIFO),
        Class::RoundRobin(priority) => (-1 - i32::from(priority), policy::SCHED_RR),
        Class::Normal { .. } => (20 + nice, policy::SCHED_NORMAL),
        Class::Batch { .. } => (20 + nice, policy::SCHED_BATCH),
        Class::Idle { .. } => (20 + nice, policy::SCHED_IDLE),
    };
    Scheduled { priority, nice, cpu: kernel.cpu(), realtime: class.priority(), policy }
}
