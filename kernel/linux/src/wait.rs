//! How long `poll`, `select` and `epoll_wait` wait, and the loop in which the first two do.

use core::time::Duration;

use aios_abi::Errno;
use aios_abi::linux::consts::NSIG;
use aios_abi::linux::structs::{Timespec, Timeval};
use kernel_hal::addr::Virt;
use kernel_hal::time::{Instant, now};
use kernel_process::signal::SignalSet;
use kernel_sync::{Poller, WaitError};

use crate::Call;

/// When a wait ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timeout {
    /// Look once.
    None,
    At(Instant),
    Never,
}

impl Timeout {
    pub fn after_nanos(nanos: u64) -> Timeout {
        if nanos == 0 { Timeout::None } else { Timeout::At(now() + Duration::from_nanos(nanos)) }
    }

    /// Milliseconds; a negative number is for ever.
    pub fn after_millis(millis: i32) -> Timeout {
        u64::try_from(millis).map_or(Timeout::Never, |millis| Timeout::after_nanos(millis * 1_000_000))
    }

    /// A `struct timespec` behind a pointer; without one, for ever. `EINVAL` when it is not a length of time.
    pub fn from_timespec(call: &Call<'_>, at: Virt) -> Result<Timeout, Errno> {
        if at.0 == 0 {
            return Ok(Timeout::Never);
        }
        let time: Timespec = call.read(at)?;
        time.to_nanos().map(Timeout::after_nanos).ok_or(Errno::EINVAL)
    }

    /// A `struct timeval`, whose microseconds may be a second or more.
    pub fn from_timeval(call: &Call<'_>, at: Virt) -> Result<Timeout, Errno> {
        if at.0 == 0 {
            return Ok(Timeout::Never);
        }
        let time: Timeval = call.read(at)?;
        timeval_nanos(time).map(Timeout::after_nanos).ok_or(Errno::EINVAL)
    }

    pub fn deadline(self) -> Option<Instant> {
        match self {
            Timeout::None => Some(now()),
            Timeout::At(deadline) => Some(deadline),
            Timeout::Never => None,
        }
    }

    /// What is left of it, in nanoseconds.
    pub fn left(self) -> u64 {
        match self {
            Timeout::At(deadline) => u64::try_from(deadline.since(now()).as_nanos()).unwrap_or(u64::MAX),
            Timeout::None | Timeout::Never => 0,
        }
    }
}

fn timeval_nanos(time: Timeval) -> Option<u64> {
    let (sec, usec) = (u64::try_from(time.sec).ok()?, u64::try_from(time.usec).ok()?);
    let seconds = sec.saturating_add(usec / 1_000_000);
    Some(seconds.saturating_mul(1_000_000_000).saturating_add(usec % 1_000_000 * 1000))
}

/// Looks until something is ready or time is up. `look` returns how many files are, and registers with the poller it is
/// given before looking at each. `Interrupted` when a signal comes first.
pub fn until_ready(timeout: Timeout, mut look: impl FnMut(Option<&mut Poller>) -> usize) -> Result<usize, WaitError> {
    if timeout == Timeout::None {
        return Ok(look(None));
    }
    let mut poller = Poller::new();
    let mut ready = look(Some(&mut poller));
    while ready == 0 {
        let outcome = poller.wait(timeout.deadline());
        ready = look(None);
        match outcome {
            Ok(()) => {}
            Err(WaitError::TimedOut) => break,
            Err(WaitError::Interrupted) if ready == 0 => return Err(WaitError::Interrupted),
            Err(WaitError::Interrupted) => break,
        }
    }
    Ok(ready)
}

/// The signal mask that a call puts in force while it waits; a null pointer is none.
pub fn signal_mask(call: &Call<'_>, at: Virt, size: u64) -> Result<Option<SignalSet>, Errno> {
    if at.0 == 0 {
        return Ok(None);
    }
    if size != u64::from(NSIG / 8) {
        return Err(Errno::EINVAL);
    }
    call.read::<u64>(at).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_may_be_seconds() {
        let nanos = |sec, usec| timeval_nanos(Timeval { sec, usec });
        assert_eq!(nanos(1, 2_500_000), Some(3_500_000_000));
        assert_eq!(nanos(-1, 0), None);
        assert_eq!(nanos(0, -1), None);
        assert_eq!(nanos(i64::MAX, 0), Some(u64::MAX));
    }

    #[test]
    fn negative_milliseconds_are_for_ever() {
        assert_eq!(Timeout::after_millis(-7), Timeout::Never);
        assert_eq!(Timeout::after_millis(0), Timeout::None);
    }
}
