//! `futex`, and what threads tell the kernel about words in their memory.

use core::sync::atomic::Ordering;
use core::time::Duration;

use aios_abi::Errno;
use aios_abi::linux::consts::futex as op;
use aios_abi::linux::consts::{FUTEX_BITSET_MATCH_ANY, FUTEX_CLOCK_REALTIME, FUTEX_PRIVATE_FLAG, rseq_flags};
use aios_abi::linux::structs::{RobustListHead, Timespec};
use aios_abi::linux::table::nr;
use kernel_hal::time::{self, Instant, now};
use kernel_process::futex::{self, Pair, WakeOp};
use kernel_process::thread::Restart;
use kernel_process::{rseq, signal};

use crate::call::{Call, CallResult, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::FUTEX, futex_call),
    (nr::SET_ROBUST_LIST, set_robust_list),
    (nr::GET_ROBUST_LIST, get_robust_list),
    (nr::SET_TID_ADDRESS, set_tid_address),
    (nr::RSEQ, rseq_call),
];

fn futex_call(call: &mut Call<'_>) -> CallResult {
    let command = call.uint(1) & !(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
    let private = call.uint(1) & FUTEX_PRIVATE_FLAG != 0;
    let realtime = call.uint(1) & FUTEX_CLOCK_REALTIME != 0;
    if realtime && command != op::FUTEX_WAIT_BITSET {
        return Err(Errno::ENOSYS);
    }
    let (address, value) = (call.ptr(0), call.uint(2));
    // The fourth argument is a timeout or a second number.
    let second = call.int(3);
    let pair = Pair { first: address, second: call.ptr(4), private };
    let process = call.process();
    match command {
        op::FUTEX_WAIT => wait(call, private, FUTEX_BITSET_MATCH_ANY, Clock::Relative),
        op::FUTEX_WAIT_BITSET => {
            wait(call, private, call.uint(5), if realtime { Clock::Wall } else { Clock::Monotonic })
        }
        op::FUTEX_WAKE => futex::wake(process, address, private, at_least_one(value as i32), FUTEX_BITSET_MATCH_ANY),
        op::FUTEX_WAKE_BITSET => futex::wake(process, address, private, at_least_one(value as i32), call.uint(5)),
        op::FUTEX_REQUEUE => futex::requeue(process, pair, count(value as i32)?, count(second)?, None),
        op::FUTEX_CMP_REQUEUE => {
            futex::requeue(process, pair, count(value as i32)?, count(second)?, Some(call.uint(5)))
        }
        op::FUTEX_WAKE_OP => {
            let operation = WakeOp::decode(call.uint(5));
            futex::wake_op(process, pair, at_least_one(value as i32), at_least_one(second), operation?)
        }
        _ => Err(Errno::ENOSYS),
    }
}

fn count(value: i32) -> Result<usize, Errno> {
    usize::try_from(value).map_err(|_| Errno::EINVAL)
}

/// Who wakes none or fewer wakes one, as on Linux.
fn at_least_one(value: i32) -> usize {
    usize::try_from(value).unwrap_or(1).max(1)
}

/// What a timeout counts from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Clock {
    /// Now.
    Relative,
    Monotonic,
    Wall,
}

fn wait(call: &Call<'_>, private: bool, bits: u32, clock: Clock) -> CallResult {
    let deadline = match signal::restarted(call.thread) {
        Some(restart) => Some(Instant(restart.deadline)),
        None if call.arg(3) == 0 => None,
        None => {
            let timeout: Timespec = call.read(call.ptr(3))?;
            let timeout = Duration::from_nanos(timeout.to_nanos().ok_or(Errno::EINVAL)?);
            Some(match clock {
                Clock::Relative => now() + timeout,
                Clock::Monotonic => Instant::default() + timeout,
                Clock::Wall => now() + timeout.saturating_sub(time::wall_clock()),
            })
        }
    };
    match futex::wait(call.thread, call.ptr(0), private, call.uint(2), bits, deadline) {
        Ok(()) => Ok(0),
        // With a timeout the wait goes on for what is left of it.
        Err(Errno::ERESTARTSYS) if let Some(Instant(deadline)) = deadline => {
            let restart = Restart { number: u64::from(nr::FUTEX), arguments: call.args, deadline };
            Err(signal::restart_later(call.thread, restart))
        }
        Err(error) => Err(error),
    }
}

fn set_robust_list(call: &mut Call<'_>) -> CallResult {
    if call.arg(1) != size_of::<RobustListHead>() as u64 {
        return Err(Errno::EINVAL);
    }
    call.thread.robust_list.store(call.arg(0), Ordering::Relaxed);
    Ok(0)
}

fn get_robust_list(call: &mut Call<'_>) -> CallResult {
    let thread = match call.int(0) {
        0 => call.thread.clone(),
        tid => u32::try_from(tid).ok().and_then(|tid| call.process().pids().thread(tid)).ok_or(Errno::ESRCH)?,
    };
    call.write(call.ptr(2), &(size_of::<RobustListHead>() as u64))?;
    call.write(call.ptr(1), &thread.robust_list.load(Ordering::Relaxed))?;
    Ok(0)
}

fn set_tid_address(call: &mut Call<'_>) -> CallResult {
    call.thread.clear_tid.store(call.arg(0), Ordering::Relaxed);
    Ok(call.thread.tid() as usize)
}

fn rseq_call(call: &mut Call<'_>) -> CallResult {
    let area = rseq::Area { address: call.arg(0), length: call.uint(1), signature: call.uint(3) };
    match call.uint(2) {
        0 => rseq::register(call.thread, area)?,
        rseq_flags::RSEQ_FLAG_UNREGISTER => rseq::unregister(call.thread, area)?,
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}
