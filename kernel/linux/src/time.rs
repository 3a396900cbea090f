//! Clocks and sleeping.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use aios_abi::Errno;
use aios_abi::linux::consts::clock as id;
use aios_abi::linux::consts::timer_flags::TIMER_ABSTIME;
use aios_abi::linux::structs::{Timespec, Timeval, Timex, Timezone, Tms};
use aios_abi::linux::table::nr;
use kernel_cap::Rights;
use kernel_hal::addr::Virt;
use kernel_hal::time::{self, Instant, now};
use kernel_process::signal;
use kernel_process::thread::Restart;
use kernel_sync::{WaitError, WaitQueue, pause};

use crate::call::{Call, CallResult, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::CLOCK_GETTIME, clock_gettime),
    (nr::CLOCK_GETRES, clock_getres),
    (nr::CLOCK_SETTIME, clock_settime),
    (nr::CLOCK_NANOSLEEP, clock_nanosleep),
    (nr::CLOCK_ADJTIME, clock_adjtime),
    (nr::NANOSLEEP, nanosleep),
    (nr::GETTIMEOFDAY, gettimeofday),
    (nr::SETTIMEOFDAY, settimeofday),
    (nr::TIME, time_call),
    (nr::TIMES, times),
    (nr::ADJTIMEX, adjtimex),
];

/// What a clock shows, in nanoseconds.
fn read_clock(call: &Call<'_>, clock: i32) -> Result<u64, Errno> {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    match clock {
        id::CLOCK_REALTIME | id::CLOCK_REALTIME_COARSE | id::CLOCK_TAI | id::CLOCK_REALTIME_ALARM => {
            Ok(nanos(time::wall_clock()))
        }
        id::CLOCK_MONOTONIC
        | id::CLOCK_MONOTONIC_RAW
        | id::CLOCK_MONOTONIC_COARSE
        | id::CLOCK_BOOTTIME
        | id::CLOCK_BOOTTIME_ALARM => Ok(now().0),
        id::CLOCK_PROCESS_CPUTIME_ID => Ok(call.process().cpu_time()),
        id::CLOCK_THREAD_CPUTIME_ID => Ok(nanos(call.thread.cpu_time())),
        clock if clock < 0 => read_cpu_clock(call, clock),
        _ => Err(Errno::EINVAL),
    }
}

/// The CPU clock of a process or thread: the number's complement in the upper bits, then 4 for threads, 2 for the
/// scheduler's clock (`clock_getcpuclockid(3)`).
fn read_cpu_clock(call: &Call<'_>, clock: i32) -> Result<u64, Errno> {
    let number = !(clock >> 3) as u32;
    let pids = call.process().pids();
    if clock & 4 != 0 {
        let thread = if number == 0 { Some(call.thread.clone()) } else { pids.thread(number) };
        let thread =
            thread.filter(|thread| alloc::sync::Arc::ptr_eq(thread.process(), call.process())).ok_or(Errno::EINVAL)?;
        return Ok(thread.cpu_time().as_nanos() as u64);
    }
    let process = if number == 0 { Some(call.process().clone()) } else { pids.process(number) };
    Ok(process.ok_or(Errno::EINVAL)?.cpu_time())
}

fn clock_gettime(call: &mut Call<'_>) -> CallResult {
    let nanos = read_clock(call, call.int(0))?;
    call.write(call.ptr(1), &Timespec::from_nanos(nanos))?;
    Ok(0)
}

fn clock_getres(call: &mut Call<'_>) -> CallResult {
    let clock = call.int(0);
    read_clock(call, clock)?;
    // Coarse clocks are as fine as the others, but programs take their resolution for what Linux says.
    let nanos = if clock == id::CLOCK_REALTIME_COARSE || clock == id::CLOCK_MONOTONIC_COARSE { 4_000_000 } else { 1 };
    if call.arg(1) != 0 {
        call.write(call.ptr(1), &Timespec::from_nanos(nanos))?;
    }
    Ok(0)
}

/// How often the wall clock was set, and who sleeps until a time on it.
static SETTINGS: AtomicU64 = AtomicU64::new(0);
static SLEEPERS: WaitQueue = WaitQueue::new();

/// Sets the wall clock and what programs read it from.
fn set_wall_clock(call: &Call<'_>, since_1970: u64) -> CallResult {
    if call.thread.credentials().euid != 0 {
        return Err(Errno::EPERM);
    }
    call.process().domain().check(Rights::CLOCK, "setting the clock")?;
    time::set_wall_clock(Duration::from_nanos(since_1970));
    kernel_process::exec::update_vdso();
    SETTINGS.fetch_add(1, Ordering::SeqCst);
    SLEEPERS.wake_all();
    kernel_fs::event::wall_clock_was_set();
    Ok(0)
}

fn clock_settime(call: &mut Call<'_>) -> CallResult {
    let time: Timespec = match call.int(0) {
        id::CLOCK_REALTIME => call.read(call.ptr(1))?,
        _ => return Err(Errno::EINVAL),
    };
    let nanos = time.to_nanos().ok_or(Errno::EINVAL)?;
    set_wall_clock(call, nanos)
}

fn gettimeofday(call: &mut Call<'_>) -> CallResult {
    if call.arg(0) != 0 {
        call.write(call.ptr(0), &Timeval::from_nanos(time::wall_clock().as_nanos() as u64))?;
    }
    if call.arg(1) != 0 {
        call.write(call.ptr(1), &Timezone::default())?;
    }
    Ok(0)
}

fn settimeofday(call: &mut Call<'_>) -> CallResult {
    let time = if call.arg(0) == 0 { None } else { Some(call.read::<Timeval>(call.ptr(0))?) };
    if call.arg(1) != 0 {
        // The kernel has no time zone: read for its errors, then dropped.
        call.read::<Timezone>(call.ptr(1))?;
    }
    match time {
        None => Ok(0),
        Some(time) => {
            let nanos = time.to_nanos().ok_or(Errno::EINVAL)?;
            set_wall_clock(call, nanos)
        }
    }
}

fn time_call(call: &mut Call<'_>) -> CallResult {
    let seconds = time::wall_clock().as_secs();
    if call.arg(0) != 0 {
        call.write(call.ptr(0), &seconds)?;
    }
    Ok(seconds as usize)
}

fn times(call: &mut Call<'_>) -> CallResult {
    let ticks = |nanos: u64| (nanos / 10_000_000) as i64;
    if call.arg(0) != 0 {
        let (own, children) = (call.process().usage(), call.process().children_usage());
        call.write(call.ptr(0), &Tms { utime: ticks(own.cpu_ns), cutime: ticks(children.cpu_ns), ..Tms::default() })?;
    }
    Ok(ticks(now().0) as usize)
}

/// Reading is allowed to all; there is nothing to adjust.
fn adjust(call: &Call<'_>, at: Virt) -> CallResult {
    const TIME_ERROR: usize = 5;
    const STA_UNSYNC: i32 = 0x40;
    let mut timex: Timex = call.read(at)?;
    if timex.modes != 0 {
        call.process().domain().check(Rights::CLOCK, "adjusting the clock")?;
        return Err(Errno::EOPNOTSUPP);
    }
    timex.status = STA_UNSYNC;
    timex.tick = 10_000;
    timex.precision = 1;
    timex.tolerance = 32_768_000;
    timex.maxerror = 16_000_000;
    timex.esterror = 16_000_000;
    timex.time = Timeval::from_nanos(time::wall_clock().as_nanos() as u64);
    call.write(at, &timex)?;
    Ok(TIME_ERROR)
}

fn adjtimex(call: &mut Call<'_>) -> CallResult {
    adjust(call, call.ptr(0))
}

fn clock_adjtime(call: &mut Call<'_>) -> CallResult {
    match call.int(0) {
        id::CLOCK_REALTIME => adjust(call, call.ptr(1)),
        _ => Err(Errno::EINVAL),
    }
}

/// Sleeps until `deadline`. When a signal cuts the relative sleep of call `number` short, what is left goes to
/// `remaining` and the call may go on through `restart_syscall`.
fn sleep(call: &mut Call<'_>, deadline: Instant, number: Option<u32>, remaining: Virt) -> CallResult {
    match (pause(Some(deadline)), number) {
        (WaitError::TimedOut, _) => Ok(0),
        (WaitError::Interrupted, None) => Err(Errno::ERESTARTNOHAND),
        (WaitError::Interrupted, Some(number)) => {
            if remaining.0 != 0 {
                let left = deadline.since(now()).as_nanos() as u64;
                call.write(remaining, &Timespec::from_nanos(left))?;
            }
            let restart = Restart { number: u64::from(number), arguments: call.args, deadline: deadline.0 };
            Err(signal::restart_later(call.thread, restart))
        }
    }
}

/// Sleeps until a time on the wall clock, wherever that moves to meanwhile.
fn sleep_until(at: Duration) -> CallResult {
    loop {
        let settings = SETTINGS.load(Ordering::SeqCst);
        let deadline = now() + at.saturating_sub(time::wall_clock());
        let moved = || (SETTINGS.load(Ordering::SeqCst) != settings).then_some(());
        match SLEEPERS.wait_until_deadline(Some(deadline), moved) {
            Ok(()) => {}
            Err(WaitError::TimedOut) => return Ok(0),
            Err(WaitError::Interrupted) => return Err(Errno::ERESTARTNOHAND),
        }
    }
}

fn nanosleep(call: &mut Call<'_>) -> CallResult {
    let remaining = call.ptr(1);
    if let Some(restart) = signal::restarted(call.thread) {
        return sleep(call, Instant(restart.deadline), Some(nr::NANOSLEEP), remaining);
    }
    let wanted: Timespec = call.read(call.ptr(0))?;
    let nanos = wanted.to_nanos().ok_or(Errno::EINVAL)?;
    sleep(call, now() + Duration::from_nanos(nanos), Some(nr::NANOSLEEP), remaining)
}

fn clock_nanosleep(call: &mut Call<'_>) -> CallResult {
    let (clock, flags, remaining) = (call.int(0), call.uint(1), call.ptr(3));
    if let Some(restart) = signal::restarted(call.thread) {
        return sleep(call, Instant(restart.deadline), Some(nr::CLOCK_NANOSLEEP), remaining);
    }
    let wall = match clock {
        id::CLOCK_REALTIME | id::CLOCK_TAI => true,
        id::CLOCK_MONOTONIC | id::CLOCK_BOOTTIME => false,
        id::CLOCK_PROCESS_CPUTIME_ID => return Err(Errno::EOPNOTSUPP),
        id::CLOCK_THREAD_CPUTIME_ID => return Err(Errno::EINVAL),
        id::CLOCK_MONOTONIC_RAW | id::CLOCK_REALTIME_COARSE | id::CLOCK_MONOTONIC_COARSE => {
            return Err(Errno::EOPNOTSUPP);
        }
        _ => return Err(Errno::EINVAL),
    };
    let wanted: Timespec = call.read(call.ptr(2))?;
    let nanos = wanted.to_nanos().ok_or(Errno::EINVAL)?;
    if flags & TIMER_ABSTIME == 0 {
        return sleep(call, now() + Duration::from_nanos(nanos), Some(nr::CLOCK_NANOSLEEP), remaining);
    }
    if wall {
        return sleep_until(Duration::from_nanos(nanos));
    }
    sleep(call, Instant(nanos), None, Virt(0))
}
