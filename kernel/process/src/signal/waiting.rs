//! Masks, and waiting for signals.

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::structs::Siginfo;
use kernel_hal::time::Instant;
use kernel_sync::{WaitError, pause};

use super::send::offer_to_others;
use super::set::{SignalSet, UNBLOCKABLE};
use super::state::TemporaryMask;
use crate::Thread;

/// The signals that a thread blocks.
pub fn mask(thread: &Thread) -> SignalSet {
    thread.signals.lock().mask
}

/// Sets the calling thread's mask. Signals that are unblocked by it are delivered before the call returns to the program.
pub fn set_mask(thread: &Arc<Thread>, mask: SignalSet) {
    let mask = mask & !UNBLOCKABLE;
    let (newly_blocked, own) = {
        let mut signals = thread.signals.lock();
        let old = core::mem::replace(&mut signals.mask, mask);
        (mask & !old, signals.pending.set())
    };
    let shared = thread.process().pending.lock().set();
    if (own | shared) & !mask != 0 {
        thread.call_to_boundary();
    }
    if shared & newly_blocked != 0 {
        offer_to_others(thread, shared & newly_blocked);
    }
}

/// Signals that were sent and are blocked (`sigpending(2)`).
pub fn pending(thread: &Thread) -> SignalSet {
    let (own, mask) = {
        let signals = thread.signals.lock();
        (signals.pending.set(), signals.mask)
    };
    (own | thread.process().pending.lock().set()) & mask
}

/// Blocks `mask` instead of the thread's own mask for the rest of the call that it makes.
///
/// The call ends with [`TemporaryMask::end`]; where a signal cut it short, the old mask comes back after that signal's
/// handler has been entered.
pub fn set_temporary_mask(thread: &Arc<Thread>, mask: SignalSet) -> TemporaryMask {
    {
        let mut signals = thread.signals.lock();
        let old = signals.mask;
        signals.saved.get_or_insert(old);
    }
    set_mask(thread, mask);
    TemporaryMask(())
}

impl TemporaryMask {
    /// Ends the call's mask. `interrupted` says that a signal ended the call.
    pub fn end(self, thread: &Arc<Thread>, interrupted: bool) {
        if interrupted {
            // The boundary restores it.
            return thread.call_to_boundary();
        }
        let saved = thread.signals.lock().saved.take();
        if let Some(saved) = saved {
            set_mask(thread, saved);
        }
    }
}

/// Runs `call` with `mask` instead of the thread's own mask, if one is given.
pub fn with_temporary_mask<T>(
    thread: &Arc<Thread>,
    mask: Option<SignalSet>,
    call: impl FnOnce() -> Result<T, Errno>,
) -> Result<T, Errno> {
    let Some(mask) = mask else { return call() };
    let temporary = set_temporary_mask(thread, mask);
    let result = call();
    let interrupted = matches!(&result, Err(error) if *error == Errno::EINTR || error.is_restart());
    temporary.end(thread, interrupted);
    result
}

/// Sleeps until a signal is delivered (`sigsuspend(2)`, `pause(2)`); with a mask, that one is in force meanwhile.
/// Returns what the call fails with.
pub fn suspend(thread: &Arc<Thread>, mask: Option<SignalSet>) -> Errno {
    if let Some(mask) = mask {
        // In force until the boundary, which restores the old one.
        let _until_boundary = set_temporary_mask(thread, mask);
    }
    while pause(None) != WaitError::Interrupted {}
    Errno::ERESTARTNOHAND
}

/// Takes a signal of `wanted`, which the thread blocks, waiting for it until `deadline` (`sigtimedwait(2)`).
/// `EAGAIN` when none came, `EINTR` when another was delivered.
pub fn take(thread: &Arc<Thread>, wanted: SignalSet, deadline: Option<Instant>) -> Result<Siginfo, Errno> {
    let wanted = wanted & !UNBLOCKABLE;
    thread.signals.lock().waiting = wanted;
    let result = dequeue(thread, wanted).map_or_else(
        || {
            let without = match pause(deadline) {
                WaitError::Interrupted => Errno::EINTR,
                WaitError::TimedOut => Errno::EAGAIN,
            };
            // What came while it slept, or with the end of the wait.
            dequeue(thread, wanted).ok_or(without)
        },
        Ok,
    );
    thread.signals.lock().waiting = 0;
    result
}

/// Takes a pending signal: the thread's own before the process's.
fn dequeue(thread: &Thread, wanted: SignalSet) -> Option<Siginfo> {
    let own = thread.signals.lock().pending.take(wanted);
    or_shared(thread, own, wanted)
}

/// `own`, a signal just taken from the thread's, or else one of the process's.
pub(super) fn or_shared(thread: &Thread, own: Option<Siginfo>, wanted: SignalSet) -> Option<Siginfo> {
    let process = thread.process();
    let mut info = own.or_else(|| process.pending.lock().take(wanted))?;
    process.timers.taken(&mut info);
    Some(info)
}
