//! Who asks, and what the owner, group and mode of an inode let him do: Linux's rules (`path_resolution(7)`,
//! `capabilities(7)`).

use alloc::sync::Arc;

use aios_abi::Errno;

use crate::types::{FileType, Ownership};

/// Bit numbers of the capabilities that file systems ask about (`capability.h`).
pub mod capability {
    pub const CHOWN: u32 = 0;
    pub const DAC_OVERRIDE: u32 = 1;
    pub const DAC_READ_SEARCH: u32 = 2;
    pub const FOWNER: u32 = 3;
    pub const FSETID: u32 = 4;
    pub const SYS_ADMIN: u32 = 21;
    pub const SYS_TTY_CONFIG: u32 = 26;
    pub const MKNOD: u32 = 27;
}

/// Rights to ask for; they may be joined with `|`.
pub const MAY_EXECUTE: u8 = 1;
pub const MAY_WRITE: u8 = 2;
pub const MAY_READ: u8 = 4;

/// The identity on whose behalf a file operation runs.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    pub egid: u32,
    pub suid: u32,
    pub sgid: u32,
    /// What file systems look at; follows `euid` unless set on its own.
    pub fsuid: u32,
    pub fsgid: u32,
    pub groups: Arc<[u32]>,
    /// Effective Linux capabilities, a bit each.
    pub effective: u64,
}

/// All capabilities that Linux 6.12 knows.
pub const ALL_CAPABILITIES: u64 = (1 << 41) - 1;

impl Credentials {
    /// The superuser.
    pub fn root() -> Credentials {
        Credentials { effective: ALL_CAPABILITIES, ..Credentials::user(0, 0) }
    }

    /// A user without capabilities or supplementary groups.
    pub fn user(uid: u32, gid: u32) -> Credentials {
        Credentials {
            uid,
            gid,
            euid: uid,
            egid: gid,
            suid: uid,
            sgid: gid,
            fsuid: uid,
            fsgid: gid,
            groups: Arc::from([]),
            effective: 0,
        }
    }

    #[inline]
    pub fn capable(&self, capability: u32) -> bool {
        self.effective & (1 << capability) != 0
    }

    pub fn in_group(&self, group: u32) -> bool {
        self.fsgid == group || self.groups.contains(&group)
    }

    /// True for the inode's owner and for who may act as such.
    pub fn owns(&self, inode: Ownership) -> bool {
        self.fsuid == inode.owner || self.capable(capability::FOWNER)
    }

    /// True when all of `wanted` (`MAY_*`) is granted: `EACCES` otherwise.
    pub fn check(&self, kind: FileType, inode: Ownership, wanted: u8) -> Result<(), Errno> {
        let permissions = inode.permissions;
        let granted = if self.fsuid == inode.owner {
            permissions >> 6
        } else if self.in_group(inode.group) {
            permissions >> 3
        } else {
            permissions
        } as u8;
        if wanted & !(granted & 7) == 0 || self.overrides(kind, permissions, wanted) {
            return Ok(());
        }
        Err(Errno::EACCES)
    }

    fn overrides(&self, kind: FileType, permissions: u16, wanted: u8) -> bool {
        if kind == FileType::Directory {
            return self.capable(capability::DAC_OVERRIDE)
                || wanted & MAY_WRITE == 0 && self.capable(capability::DAC_READ_SEARCH);
        }
        if wanted == MAY_READ && self.capable(capability::DAC_READ_SEARCH) {
            return true;
        }
        // Not even root executes what nobody may.
        (wanted & MAY_EXECUTE == 0 || permissions & 0o111 != 0) && self.capable(capability::DAC_OVERRIDE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inode(owner: u32, group: u32, permissions: u16) -> Ownership {
        Ownership { owner, group, permissions }
    }

    #[test]
    fn the_most_specific_class_decides() {
        let me = Credentials::user(7, 8);
        let file = FileType::Regular;
        // The owner is refused although others are not.
        assert_eq!(me.check(file, inode(7, 1, 0o077), MAY_READ), Err(Errno::EACCES));
        assert_eq!(me.check(file, inode(1, 8, 0o707), MAY_READ), Err(Errno::EACCES));
        assert_eq!(me.check(file, inode(1, 1, 0o704), MAY_READ), Ok(()));
        assert_eq!(me.check(file, inode(1, 1, 0o704), MAY_READ | MAY_WRITE), Err(Errno::EACCES));
        let grouped = Credentials { groups: Arc::from([5u32, 9]), ..me };
        assert_eq!(grouped.check(file, inode(1, 9, 0o060), MAY_READ | MAY_WRITE), Ok(()));
    }

    #[test]
    fn root_passes_but_executes_only_what_someone_may() {
        let root = Credentials::root();
        assert_eq!(root.check(FileType::Regular, inode(5, 5, 0), MAY_READ | MAY_WRITE), Ok(()));
        assert_eq!(root.check(FileType::Regular, inode(5, 5, 0o644), MAY_EXECUTE), Err(Errno::EACCES));
        assert_eq!(root.check(FileType::Regular, inode(5, 5, 0o001), MAY_EXECUTE), Ok(()));
        assert_eq!(root.check(FileType::Directory, inode(5, 5, 0), MAY_EXECUTE | MAY_WRITE), Ok(()));
    }
}
