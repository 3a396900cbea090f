//! What a process does with each signal; shared by its threads.

use alloc::sync::Arc;

use aios_abi::linux::consts::signal::{SIGCHLD, SIGCONT};
use aios_abi::linux::consts::{DefaultAction, NSIG, SIG_DFL, SIG_IGN, default_action, sa_flags};
use aios_abi::linux::structs::Sigaction;
use kernel_sync::SpinLock;

const COUNT: usize = NSIG as usize;

/// The table of actions of a process (`sigaction(2)`).
pub struct Handlers(SpinLock<[Sigaction; COUNT]>);

impl Handlers {
    /// All default.
    pub fn new() -> Arc<Handlers> {
        Arc::new(Handlers(SpinLock::new([DEFAULT; COUNT])))
    }

    /// A copy of its own; with `clear` caught signals go back to the default (`CLONE_CLEAR_SIGHAND`).
    pub fn duplicate(&self, clear: bool) -> Arc<Handlers> {
        let mut table = *self.0.lock();
        if clear {
            reset(&mut table);
        }
        Arc::new(Handlers(SpinLock::new(table)))
    }

    /// The table that the next program starts with: ignored signals stay ignored, caught ones go back to the default.
    #[must_use]
    pub fn reset_for_exec(&self) -> Arc<Handlers> {
        self.duplicate(true)
    }

    pub fn get(&self, signal: u32) -> Sigaction {
        slot(signal).and_then(|slot| self.0.lock().get(slot).copied()).unwrap_or(DEFAULT)
    }

    /// Sets an action and returns the one before.
    pub fn set(&self, signal: u32, action: Sigaction) -> Sigaction {
        let mut table = self.0.lock();
        match slot(signal).and_then(|slot| table.get_mut(slot)) {
            Some(entry) => core::mem::replace(entry, action),
            None => DEFAULT,
        }
    }

    /// Children that end leave no zombies (`SIGCHLD` is ignored, or set with `SA_NOCLDWAIT`).
    pub fn ignores_children(&self) -> bool {
        let action = self.get(SIGCHLD);
        action.handler == SIG_IGN || action.flags & sa_flags::SA_NOCLDWAIT != 0
    }
}

const DEFAULT: Sigaction = Sigaction { handler: SIG_DFL, flags: 0, restorer: 0, mask: 0 };

fn slot(signal: u32) -> Option<usize> {
    signal.checked_sub(1).map(|slot| slot as usize)
}

fn reset(table: &mut [Sigaction; COUNT]) {
    for entry in table {
        let handler = if entry.handler == SIG_IGN { SIG_IGN } else { SIG_DFL };
        *entry = Sigaction { handler, ..DEFAULT };
    }
}

/// True when an action makes the signal have no effect at all.
pub(super) fn is_ignored(signal: u32, action: &Sigaction) -> bool {
    match action.handler {
        SIG_IGN => true,
        // Continuing happens when the signal is sent.
        SIG_DFL => signal == SIGCONT || default_action(signal) == DefaultAction::Ignore,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aios_abi::linux::consts::signal::*;

    #[test]
    fn a_new_program_keeps_what_was_ignored() {
        let handlers = Handlers::new();
        handlers.set(SIGINT, Sigaction { handler: 0x1000, flags: sa_flags::SA_RESTART, restorer: 1, mask: 2 });
        handlers.set(SIGHUP, Sigaction { handler: SIG_IGN, flags: sa_flags::SA_RESTART, ..DEFAULT });
        let fresh = handlers.reset_for_exec();
        assert_eq!(fresh.get(SIGINT), DEFAULT);
        assert_eq!(fresh.get(SIGHUP), Sigaction { handler: SIG_IGN, ..DEFAULT });
        assert_eq!(handlers.get(SIGINT).handler, 0x1000);
        assert_eq!(handlers.get(0), DEFAULT);
        assert_eq!(handlers.set(65, DEFAULT), DEFAULT);
    }

    #[test]
    fn what_counts_as_ignored() {
        let ignored = Sigaction { handler: SIG_IGN, ..DEFAULT };
        let caught = Sigaction { handler: 0x1000, ..DEFAULT };
        for (signal, action, expected) in [
            (SIGTERM, DEFAULT, false),
            (SIGTERM, ignored, true),
            (SIGCHLD, DEFAULT, true),
            (SIGCHLD, caught, false),
            (SIGCONT, DEFAULT, true),
            (SIGCONT, caught, false),
            (SIGTSTP, DEFAULT, false),
            (SIGWINCH, DEFAULT, true),
            (SIGURG, DEFAULT, true),
            (40, DEFAULT, false),
        ] {
            assert_eq!(is_ignored(signal, &action), expected, "{signal} {action:?}");
        }
    }
}
