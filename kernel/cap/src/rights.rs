//! Rights, as a set. They are only ever taken away when passed on.

use core::fmt;
use core::ops::BitOr;

/// A set of rights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(u64);

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident = $bit:literal $text:literal,)*) => {
        impl Rights {
            $($(#[$doc])* pub const $name: Rights = Rights(1 << $bit);)*

            const NAMES: &[(Rights, &str)] = &[$((Rights::$name, $text),)*];
        }
    };
}

rights! {
    /// Make agents.
    SPAWN = 0 "spawn",
    /// End agents one has spawned.
    KILL = 1 "kill",
    /// Look at agents: list, information, waiting.
    INSPECT = 2 "inspect",
    /// Change the mount table.
    MOUNT = 3 "mount",
    /// Switch the machine off.
    POWER = 4 "power",
    /// Set the wall clock.
    CLOCK = 5 "clock",
    /// Open the control channel and other devices that are not the agent's own console.
    DEVICE = 6 "device",
    /// Name the machine.
    HOST_NAME = 7 "host-name",
    /// Read the kernel's log.
    LOG = 8 "log",
    /// Raise limits above their maximum, lock memory, take real-time priority.
    RESOURCE = 9 "resource",
    /// Stop agents one has spawned, and let them go on.
    FREEZE = 10 "freeze",
}

impl Rights {
    pub const NONE: Rights = Rights(0);

    /// What the first agent has: everything.
    pub const fn all() -> Rights {
        Rights((1 << Rights::NAMES.len()) - 1)
    }

    /// True when all of `wanted` are in the set.
    pub const fn contains(self, wanted: Rights) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// What both sets have.
    pub const fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }
}

impl BitOr for Rights {
    type Output = Rights;
    fn bitor(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (_, name) in Rights::NAMES.iter().filter(|(right, _)| self.contains(*right)) {
            if !first {
                f.write_str("+")?;
            }
            f.write_str(name)?;
            first = false;
        }
        if first { f.write_str("none") } else { Ok(()) }
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::Rights;

    #[test]
    fn passing_on_only_takes_away() {
        let parent = Rights::SPAWN | Rights::KILL;
        assert_eq!(parent.and(Rights::all()), parent);
        assert!(!parent.and(Rights::MOUNT | Rights::KILL).contains(Rights::MOUNT));
        assert!(Rights::all().contains(Rights::RESOURCE));
    }

    #[test]
    fn a_set_names_its_rights() {
        assert_eq!((Rights::SPAWN | Rights::POWER).to_string(), "spawn+power");
        assert_eq!(Rights::NONE.to_string(), "none");
    }
}
