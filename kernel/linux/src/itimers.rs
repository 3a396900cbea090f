//! Timers that send signals: interval timers, `alarm`, and timers that programs make.

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::clock as id;
use aios_abi::linux::consts::itimer::ITIMER_REAL;
use aios_abi::linux::consts::sigev_notify;
use aios_abi::linux::consts::timer_flags::TIMER_ABSTIME;
use aios_abi::linux::structs::{Itimerspec, Itimerval, Sigevent, Timespec, Timeval};
use aios_abi::linux::table::nr;
use kernel_process::Pid;
use kernel_process::signal::{Interval, Notify, TimerClock, is_valid};

use crate::call::{Call, CallResult, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::GETITIMER, getitimer),
    (nr::SETITIMER, setitimer),
    (nr::ALARM, alarm),
    (nr::TIMER_CREATE, timer_create),
    (nr::TIMER_SETTIME, timer_settime),
    (nr::TIMER_GETTIME, timer_gettime),
    (nr::TIMER_GETOVERRUN, timer_getoverrun),
    (nr::TIMER_DELETE, timer_delete),
];

const SECOND: u64 = 1_000_000_000;

/// As `timeval`, rounded up: a timer that is set never shows zero.
fn to_itimerval(left: Interval) -> Itimerval {
    let up = |nanos: u64| Timeval::from_nanos(nanos.div_ceil(1000).saturating_mul(1000));
    Itimerval { interval: up(left.interval), value: up(left.value) }
}

fn getitimer(call: &mut Call<'_>) -> CallResult {
    let left = call.process().timers.get(call.uint(0))?;
    call.write(call.ptr(1), &to_itimerval(left))?;
    Ok(0)
}

fn setitimer(call: &mut Call<'_>) -> CallResult {
    // A null pointer stops the timer (Linux, with a warning).
    let setting = match call.arg(1) {
        0 => Interval::default(),
        _ => {
            let new: Itimerval = call.read(call.ptr(1))?;
            let value = new.value.to_nanos().ok_or(Errno::EINVAL)?;
            Interval { value, interval: new.interval.to_nanos().ok_or(Errno::EINVAL)? }
        }
    };
    let old = call.process().timers.set(call.uint(0), setting)?;
    if call.arg(2) != 0 {
        call.write(call.ptr(2), &to_itimerval(old))?;
    }
    Ok(0)
}

fn alarm(call: &mut Call<'_>) -> CallResult {
    let setting = Interval { value: u64::from(call.uint(0)) * SECOND, interval: 0 };
    let old = call.process().timers.set(ITIMER_REAL, setting)?;
    // To the nearest second, but not to none.
    let seconds = (old.value + SECOND / 2) / SECOND;
    Ok(if old.value == 0 { 0 } else { seconds.max(1) as usize })
}

fn timer_clock(call: &Call<'_>, clock: i32) -> Result<TimerClock, Errno> {
    Ok(match clock {
        id::CLOCK_REALTIME | id::CLOCK_TAI => TimerClock::Real,
        id::CLOCK_MONOTONIC | id::CLOCK_BOOTTIME => TimerClock::Monotonic,
        id::CLOCK_PROCESS_CPUTIME_ID => TimerClock::ProcessCpu,
        id::CLOCK_THREAD_CPUTIME_ID => TimerClock::ThreadCpu(Arc::downgrade(call.thread)),
        id::CLOCK_REALTIME_ALARM
        | id::CLOCK_BOOTTIME_ALARM
        | id::CLOCK_MONOTONIC_RAW
        | id::CLOCK_REALTIME_COARSE
        | id::CLOCK_MONOTONIC_COARSE => return Err(Errno::EOPNOTSUPP),
        clock if clock < 0 => return processor_clock(call, clock),
        _ => return Err(Errno::EINVAL),
    })
}

/// A clock that names its process or thread in the upper bits (`clock_getcpuclockid(3)`); the caller's own by 0.
fn processor_clock(call: &Call<'_>, clock: i32) -> Result<TimerClock, Errno> {
    const OF_THREAD: i32 = 4;
    /// The clock of a descriptor, and no more kinds.
    const KINDS: i32 = 3;
    let number = !(clock >> 3) as Pid;
    if clock & KINDS == KINDS {
        return Err(Errno::EINVAL);
    }
    if clock & OF_THREAD == 0 {
        let own = number == 0 || number == call.process().pid();
        return if own { Ok(TimerClock::ProcessCpu) } else { Err(Errno::EINVAL) };
    }
    let thread = if number == 0 { Some(call.thread.clone()) } else { call.process().pids().thread(number) };
    let thread = thread.filter(|thread| Arc::ptr_eq(thread.process(), call.process())).ok_or(Errno::EINVAL)?;
    Ok(TimerClock::ThreadCpu(Arc::downgrade(&thread)))
}

fn notification(call: &Call<'_>, event: &Sigevent) -> Result<Notify, Errno> {
    let signal = u32::try_from(event.signo).unwrap_or(0);
    if event.notify != sigev_notify::SIGEV_NONE && !is_valid(signal) {
        return Err(Errno::EINVAL);
    }
    match event.notify {
        sigev_notify::SIGEV_NONE => Ok(Notify::Nothing),
        sigev_notify::SIGEV_SIGNAL | sigev_notify::SIGEV_THREAD => Ok(Notify::Process { signal, value: event.value }),
        sigev_notify::SIGEV_THREAD_ID => {
            let thread = call.process().pids().thread(event.tid as Pid);
            let thread = thread.filter(|thread| Arc::ptr_eq(thread.process(), call.process())).ok_or(Errno::EINVAL)?;
            Ok(Notify::Thread { thread: Arc::downgrade(&thread), signal, value: event.value })
        }
        _ => Err(Errno::EINVAL),
    }
}

fn timer_create(call: &mut Call<'_>) -> CallResult {
    let event = match call.arg(1) {
        0 => None,
        _ => Some(call.read::<Sigevent>(call.ptr(1))?),
    };
    let clock = timer_clock(call, call.int(0))?;
    let timers = &call.process().timers;
    let timer = match event {
        Some(event) => timers.create(call.process(), clock, Some(notification(call, &event)?))?,
        // The signal then carries the timer's number.
        None => timers.create(call.process(), clock, None)?,
    };
    if let Err(error) = call.write(call.ptr(2), &timer) {
        // Just made, so it is there.
        let _gone = timers.delete(timer);
        return Err(error);
    }
    Ok(0)
}

fn to_itimerspec(left: Interval) -> Itimerspec {
    Itimerspec { interval: Timespec::from_nanos(left.interval), value: Timespec::from_nanos(left.value) }
}

fn timer_settime(call: &mut Call<'_>) -> CallResult {
    if call.arg(2) == 0 {
        return Err(Errno::EINVAL);
    }
    let new: Itimerspec = call.read(call.ptr(2))?;
    let value = new.value.to_nanos().ok_or(Errno::EINVAL)?;
    let setting = Interval { value, interval: new.interval.to_nanos().ok_or(Errno::EINVAL)? };
    let absolute = call.uint(1) & TIMER_ABSTIME != 0;
    let old = call.process().timers.settime(call.int(0), setting, absolute)?;
    if call.arg(3) != 0 {
        call.write(call.ptr(3), &to_itimerspec(old))?;
    }
    Ok(0)
}

fn timer_gettime(call: &mut Call<'_>) -> CallResult {
    let left = call.process().timers.gettime(call.int(0))?;
    call.write(call.ptr(1), &to_itimerspec(left))?;
    Ok(0)
}

fn timer_getoverrun(call: &mut Call<'_>) -> CallResult {
    call.process().timers.overrun(call.int(0)).map(|overrun| overrun as usize)
}

fn timer_delete(call: &mut Call<'_>) -> CallResult {
    call.process().timers.delete(call.int(0)).map(|()| 0)
}
