//! Setting what signals do (`sigaction(2)`) and where handlers run (`sigaltstack(2)`).

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::{MINSIGSTKSZ, SIG_IGN, sa_flags, ss_flags};
use aios_abi::linux::structs::{Sigaction, Sigaltstack};

use super::handlers::is_ignored;
use super::set::{UNBLOCKABLE, bit, is_valid};
use crate::Thread;

/// Flags that are kept: a program learns from the rest being gone that they mean nothing (`SA_UNSUPPORTED`).
const KNOWN_FLAGS: u64 = sa_flags::SA_NOCLDSTOP
    | sa_flags::SA_NOCLDWAIT
    | sa_flags::SA_SIGINFO
    | sa_flags::SA_EXPOSE_TAGBITS
    | sa_flags::SA_RESTORER
    | sa_flags::SA_ONSTACK
    | sa_flags::SA_RESTART
    | sa_flags::SA_NODEFER
    | sa_flags::SA_RESETHAND;

/// What the process does with a signal. `EINVAL` for a number there is none of.
pub fn action(thread: &Thread, signal: u32) -> Result<Sigaction, Errno> {
    if !is_valid(signal) {
        return Err(Errno::EINVAL);
    }
    let handlers = thread.process().handlers.lock().clone();
    Ok(handlers.get(signal))
}

/// Sets it and returns what it was. `EINVAL` also for the signals that cannot be caught.
///
/// Pending signals that are now ignored are dropped, blocked or not.
pub fn set_action(thread: &Arc<Thread>, signal: u32, new: Sigaction) -> Result<Sigaction, Errno> {
    if !is_valid(signal) || bit(signal) & UNBLOCKABLE != 0 {
        return Err(Errno::EINVAL);
    }
    let new = Sigaction { mask: new.mask & !UNBLOCKABLE, flags: new.flags & KNOWN_FLAGS, ..new };
    let process = thread.process();
    let handlers = process.handlers.lock().clone();
    let old = handlers.set(signal, new);
    if is_ignored(signal, &new) {
        process.pending.lock().discard(bit(signal));
        for thread in process.threads() {
            thread.signals.lock().pending.discard(bit(signal));
        }
    }
    Ok(old)
}

/// The alternate stack of a thread whose stack pointer is `sp`, as `sigaltstack(2)` shows it.
pub fn altstack(thread: &Thread, sp: u64) -> Sigaltstack {
    let signals = thread.signals.lock();
    let disarm = signals.altstack.flags & ss_flags::SS_AUTODISARM;
    let status = if signals.altstack.size == 0 {
        ss_flags::SS_DISABLE
    } else if signals.on_altstack(sp) {
        ss_flags::SS_ONSTACK
    } else {
        0
    };
    Sigaltstack { flags: status | disarm, ..signals.altstack }
}

/// Sets it. `EPERM` while running on it, `EINVAL` for unknown flags, `ENOMEM` when it is too small.
pub fn set_altstack(thread: &Thread, sp: u64, new: Sigaltstack) -> Result<(), Errno> {
    let mut signals = thread.signals.lock();
    if signals.on_altstack(sp) {
        return Err(Errno::EPERM);
    }
    let mode = new.flags & !ss_flags::SS_AUTODISARM;
    if !matches!(mode, 0 | ss_flags::SS_ONSTACK | ss_flags::SS_DISABLE) {
        return Err(Errno::EINVAL);
    }
    let mut set = Sigaltstack { pad0: 0, ..new };
    if mode == ss_flags::SS_DISABLE {
        (set.sp, set.size) = (0, 0);
    } else if set.size < MINSIGSTKSZ as u64 {
        return Err(Errno::ENOMEM);
    }
    signals.altstack = set;
    Ok(())
}

/// True when a signal would not reach the thread: terminals ask before they stop a background reader.
pub fn is_ignored_or_blocked(thread: &Thread, signal: u32) -> bool {
    let blocked = thread.signals.lock().mask & bit(signal) != 0;
    let handlers = thread.process().handlers.lock().clone();
    blocked || handlers.get(signal).handler == SIG_IGN
}
