//! Futexes (`futex(2)`): waiting for a word of memory to change, and waking who waits.
//!
//! Waiters stand in one of a fixed number of buckets, chosen by the word's identity ([`Key`]). User memory cannot be
//! read under a bucket's lock, so a waiter enters its bucket first and looks at the word after: a wake that comes in
//! between finds it. Whoever finds the word changed leaves again; if a wake has been spent on it by then, it passes
//! the wake on.
//!
//! Buckets are locked in the order of their numbers. Nothing is woken or let go of under a lock.

mod bucket;
mod exit;
mod key;
mod operate;
#[cfg(test)]
mod tests;
mod word;

use alloc::sync::Arc;

use aios_abi::Errno;
use kernel_hal::addr::Virt;
use kernel_hal::time::Instant;
use kernel_hal::usermem;
use kernel_sync::{Poller, WaitError};

use crate::{Process, Thread};
use bucket::Bucket;
use key::Key;

pub(crate) use bucket::Waiter;
pub use exit::{release_memory, thread_exit};
pub use operate::{requeue, wake, wake_op};
pub use word::WakeOp;

/// Waits for a wake, or for the memory to be other than expected.
///
/// The error is `EAGAIN` when the word is not `expected`, `ETIMEDOUT`, `ERESTARTSYS` when a signal came, `EFAULT`,
/// or `EINVAL` for a word that is not aligned or no bit of interest at all.
pub fn wait(
    thread: &Arc<Thread>,
    address: Virt,
    private: bool,
    expected: u32,
    bits: u32,
    deadline: Option<Instant>,
) -> Result<(), Errno> {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    let key = Key::of(thread.process(), address, private)?;
    // Brings the page in, and spares those that come too late the bucket.
    if load(address)? != expected {
        return Err(Errno::EAGAIN);
    }
    Bucket::enter(key, bits, thread)?;
    match load(address) {
        Ok(value) if value == expected => {}
        other => {
            if !Bucket::leave(thread) {
                operate::wake_key(key, 1, bits);
            }
            return Err(other.err().unwrap_or(Errno::EAGAIN));
        }
    }
    let sleeper = Poller::new();
    loop {
        if thread.futex.is_woken() {
            return Ok(());
        }
        let Err(reason) = sleeper.wait(deadline) else { continue };
        // A wake that came first counts.
        if !Bucket::leave(thread) {
            return Ok(());
        }
        return Err(match reason {
            WaitError::TimedOut => Errno::ETIMEDOUT,
            WaitError::Interrupted => Errno::ERESTARTSYS,
        });
    }
}

fn load(address: Virt) -> Result<u32, Errno> {
    usermem::load_u32(address).map_err(|_| Errno::EFAULT)
}

/// The words that one call names.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub first: Virt,
    pub second: Virt,
    /// Both are known to be used by this process alone.
    pub private: bool,
}

impl Pair {
    fn keys(&self, process: &Process) -> Result<(Key, Key), Errno> {
        Ok((Key::of(process, self.first, self.private)?, Key::of(process, self.second, self.private)?))
    }
}
