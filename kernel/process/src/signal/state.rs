//! What a thread has of signals for itself.

use aios_abi::linux::consts::ss_flags;
use aios_abi::linux::structs::{Sigaltstack, Siginfo};

use super::pending::Pending;
use super::set::{SignalSet, bit};

/// What the processor said of the last fault, for the next frames (`sigcontext`).
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct TrapInfo {
    pub number: u64,
    pub error: u64,
    pub address: u64,
}

/// Signals of one thread: what waits for it, what it does not want now, where its handlers run.
pub struct ThreadSignals {
    pub(super) mask: SignalSet,
    /// The mask to go back to after a call that set another for its duration (`sigsuspend(2)`, `ppoll(2)`).
    pub(super) saved: Option<SignalSet>,
    /// Blocked signals that `sigtimedwait(2)` waits for now.
    pub(super) waiting: SignalSet,
    pub(super) pending: Pending,
    /// A signal raised by the program's own instruction that a handler will take; before all others.
    pub(super) forced: Option<Siginfo>,
    pub(super) trap: TrapInfo,
    pub(super) altstack: Sigaltstack,
}

/// The mask that was in force before a call set another for its duration.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TemporaryMask(pub(super) ());

const NO_STACK: Sigaltstack = Sigaltstack { sp: 0, flags: ss_flags::SS_DISABLE, pad0: 0, size: 0 };

impl Default for ThreadSignals {
    fn default() -> ThreadSignals {
        ThreadSignals {
            mask: 0,
            saved: None,
            waiting: 0,
            pending: Pending::default(),
            forced: None,
            trap: TrapInfo::default(),
            altstack: NO_STACK,
        }
    }
}

impl ThreadSignals {
    /// What a thread made by this one starts with: the mask, and the alternate stack unless both share their memory.
    pub fn inherited(&self, reset_altstack: bool) -> ThreadSignals {
        ThreadSignals {
            mask: self.saved.unwrap_or(self.mask),
            altstack: if reset_altstack { NO_STACK } else { self.altstack },
            ..ThreadSignals::default()
        }
    }

    /// Signals the thread does not take.
    pub fn mask(&self) -> SignalSet {
        self.mask
    }

    /// Sent to the thread itself and not taken.
    pub fn pending(&self) -> SignalSet {
        self.pending.set()
    }

    /// True when the thread would act on the signal, or waits for it.
    pub(super) fn wants(&self, signal: u32) -> bool {
        bit(signal) & self.mask & !self.waiting == 0
    }

    pub(super) fn clear_altstack(&mut self) {
        self.altstack = NO_STACK;
    }

    /// True when `sp` lies in the alternate stack.
    pub(super) fn on_altstack(&self, sp: u64) -> bool {
        self.altstack.flags & ss_flags::SS_AUTODISARM == 0 && self.in_altstack(sp)
    }

    pub(super) fn in_altstack(&self, sp: u64) -> bool {
        sp > self.altstack.sp && sp - self.altstack.sp <= self.altstack.size
    }
}
