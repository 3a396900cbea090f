//! `poll(2)` and `ppoll(2)`.

use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::poll as event;
use aios_abi::linux::consts::resource::RLIMIT_NOFILE;
use aios_abi::linux::structs::{FromZeros, IntoBytes, PollFd, Timespec};
use aios_abi::linux::table::nr;
use kernel_hal::addr::Virt;
use kernel_hal::time::Instant;
use kernel_hal::usermem;
use kernel_process::signal;
use kernel_process::thread::Restart;
use kernel_process::{Files, Thread};
use kernel_sync::{Poller, WaitError};

use crate::call::CallResult;
use crate::wait::{Timeout, signal_mask, until_ready};
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[(nr::POLL, poll), (nr::PPOLL, ppoll)];

/// What a program always hears of, asked or not.
const UNASKED: u16 = event::POLLERR | event::POLLHUP;

/// Entries that most programs have at most: they need no heap.
const FEW: usize = 8;

/// Looks at one entry: what its file is ready for, of what was asked.
fn look_at(files: &Files, entry: &PollFd, poller: Option<&mut Poller>) -> u16 {
    if entry.fd < 0 {
        return 0;
    }
    match files.get(entry.fd) {
        Ok(file) if !file.is_path_only() => file.poll(poller) as u16 & (entry.events | UNASKED),
        _ => event::POLLNVAL,
    }
}

/// Looks at all entries and counts those with something to report. Once one has, the rest need not register.
fn look(files: &Files, entries: &mut [PollFd], mut poller: Option<&mut Poller>) -> usize {
    let mut ready = 0;
    for entry in entries {
        entry.revents = look_at(files, entry, poller.as_deref_mut());
        if entry.revents != 0 {
            ready += 1;
            poller = None;
        }
    }
    ready
}

/// Waits on the entries at `at` and writes them back.
fn poll_entries(thread: &Thread, at: Virt, count: u32, timeout: Timeout) -> Result<usize, PollError> {
    if u64::from(count) > thread.process().limits.current(RLIMIT_NOFILE) {
        return Err(PollError::Failed(Errno::EINVAL));
    }
    let count = count as usize;
    let mut few = [PollFd::new_zeroed(); FEW];
    let mut many = Vec::new();
    let entries = match few.get_mut(..count) {
        Some(entries) => entries,
        None => {
            many.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
            many.resize(count, PollFd::new_zeroed());
            many.as_mut_slice()
        }
    };
    usermem::copy_in(entries.as_mut_bytes(), at).map_err(|_| Errno::EFAULT)?;
    let files = thread.files();
    let ready = match until_ready(timeout, |poller| look(&files, entries, poller)) {
        Ok(ready) => ready,
        Err(WaitError::Interrupted) => return Err(PollError::Interrupted),
        Err(WaitError::TimedOut) => 0,
    };
    usermem::copy_out(at, entries.as_bytes()).map_err(|_| Errno::EFAULT)?;
    Ok(ready)
}

enum PollError {
    Interrupted,
    Failed(Errno),
}

impl From<Errno> for PollError {
    fn from(error: Errno) -> PollError {
        PollError::Failed(error)
    }
}

fn poll(call: &mut Call<'_>) -> CallResult {
    let timeout = match signal::restarted(call.thread) {
        Some(restart) => Timeout::At(Instant(restart.deadline)),
        None => Timeout::after_millis(call.int(2)),
    };
    poll_entries(call.thread, call.ptr(0), call.uint(1), timeout).map_err(|error| match (error, timeout) {
        (PollError::Failed(error), _) => error,
        (PollError::Interrupted, Timeout::At(deadline)) => {
            let restart = Restart { number: u64::from(nr::POLL), arguments: call.args, deadline: deadline.0 };
            signal::restart_later(call.thread, restart)
        }
        (PollError::Interrupted, _) => Errno::ERESTARTNOHAND,
    })
}

fn ppoll(call: &mut Call<'_>) -> CallResult {
    let limit = call.ptr(2);
    let timeout = Timeout::from_timespec(call, limit)?;
    let mask = signal_mask(call, call.ptr(3), call.arg(4))?;
    let result = signal::with_temporary_mask(call.thread, mask, || {
        poll_entries(call.thread, call.ptr(0), call.uint(1), timeout).map_err(|error| match error {
            PollError::Failed(error) => error,
            PollError::Interrupted => Errno::ERESTARTNOHAND,
        })
    });
    finish(call, limit, timeout, &Timespec::from_nanos(timeout.left()), result)
}

/// Tells the program what is left of its timeout. Where that cannot be written the call cannot be made again with it
/// either.
pub(crate) fn finish<T>(call: &Call<'_>, at: Virt, timeout: Timeout, left: &T, result: CallResult) -> CallResult
where
    T: IntoBytes + aios_abi::linux::structs::Immutable,
{
    if at.0 == 0 || timeout == Timeout::Never || call.write(at, left).is_ok() {
        return result;
    }
    match result {
        Err(Errno::ERESTARTNOHAND) => Err(Errno::EINTR),
        other => other,
    }
}
