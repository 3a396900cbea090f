//! Sets of signals: signal `n` is bit `n - 1`, as programs see them.

use aios_abi::linux::consts::NSIG;
use aios_abi::linux::consts::signal::*;

/// A set of signals.
pub type SignalSet = u64;

/// The set with just that signal; empty for a number there is no signal of.
pub const fn bit(signal: u32) -> SignalSet {
    if is_valid(signal) { 1 << (signal - 1) } else { 0 }
}

pub const fn is_valid(signal: u32) -> bool {
    signal >= 1 && signal <= NSIG
}

/// Neither blocked, caught nor ignored.
pub const UNBLOCKABLE: SignalSet = bit(SIGKILL) | bit(SIGSTOP);
/// Raised by what a program does: taken before others.
pub const SYNCHRONOUS: SignalSet = bit(SIGSEGV) | bit(SIGBUS) | bit(SIGILL) | bit(SIGTRAP) | bit(SIGFPE) | bit(SIGSYS);
/// Those that stop a process.
pub const STOPPING: SignalSet = bit(SIGSTOP) | bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU);

/// The signal of a set that is taken first.
pub const fn first(set: SignalSet) -> Option<u32> {
    let urgent = set & SYNCHRONOUS;
    let set = if urgent != 0 { urgent } else { set };
    if set == 0 { None } else { Some(set.trailing_zeros() + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_first_then_the_lowest() {
        assert_eq!(first(0), None);
        assert_eq!(first(bit(SIGHUP) | bit(SIGSEGV) | bit(64)), Some(SIGSEGV));
        assert_eq!(first(bit(SIGUSR1) | bit(64)), Some(SIGUSR1));
        assert_eq!(first(bit(64)), Some(64));
        assert_eq!((bit(0), bit(65)), (0, 0));
    }
}
