//! Timers that are files: `timerfd_create(2)`.

use aios_abi::Errno;
use aios_abi::linux::consts::clock as id;
use aios_abi::linux::consts::timer_flags::{TFD_TIMER_CANCEL_ON_SET, TIMER_ABSTIME};
use aios_abi::linux::consts::timerfd::{TFD_CLOEXEC, TFD_NONBLOCK};
use aios_abi::linux::structs::{Itimerspec, Timespec};
use aios_abi::linux::table::nr;
use kernel_fs::event::{Setting, TimerFile};

use crate::call::{Call, CallResult, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::TIMERFD_CREATE, timerfd_create),
    (nr::TIMERFD_SETTIME, timerfd_settime),
    (nr::TIMERFD_GETTIME, timerfd_gettime),
];

fn timerfd_create(call: &mut Call<'_>) -> CallResult {
    let flags = call.uint(1);
    if flags & !(TFD_CLOEXEC | TFD_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let wall = match call.int(0) {
        id::CLOCK_REALTIME | id::CLOCK_REALTIME_ALARM => true,
        // The machine does not sleep, so there is nobody to wake it.
        id::CLOCK_MONOTONIC | id::CLOCK_BOOTTIME | id::CLOCK_BOOTTIME_ALARM => false,
        _ => return Err(Errno::EINVAL),
    };
    let file = TimerFile::create(wall, flags)?;
    call.thread.add_file(file, flags & TFD_CLOEXEC != 0).map(|fd| fd as usize)
}

fn to_itimerspec(left: Setting) -> Itimerspec {
    Itimerspec { interval: Timespec::from_nanos(left.interval), value: Timespec::from_nanos(left.value) }
}

fn timerfd_settime(call: &mut Call<'_>) -> CallResult {
    let new: Itimerspec = call.read(call.ptr(2))?;
    let flags = call.uint(1);
    let value = new.value.to_nanos().ok_or(Errno::EINVAL)?;
    let setting = Setting { value, interval: new.interval.to_nanos().ok_or(Errno::EINVAL)? };
    if flags & !(TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) != 0 {
        return Err(Errno::EINVAL);
    }
    let timer = TimerFile::of(&*call.fd(0)?)?;
    let old = timer.set(setting, flags & TIMER_ABSTIME != 0, flags & TFD_TIMER_CANCEL_ON_SET != 0);
    if call.arg(3) != 0 {
        call.write(call.ptr(3), &to_itimerspec(old))?;
    }
    Ok(0)
}

fn timerfd_gettime(call: &mut Call<'_>) -> CallResult {
    let left = TimerFile::of(&*call.fd(0)?)?.get();
    call.write(call.ptr(1), &to_itimerspec(left))?;
    Ok(0)
}
