//! Files that only tell of events: counters (`eventfd(2)`), timers (`timerfd_create(2)`) and sets of watched files
//! (`epoll(7)`).

mod counter;
mod epoll;
mod timer;

pub use counter::create as counter;
pub use epoll::{Epoll, Event, Interest};
pub use timer::{Setting, TimerFile, wall_clock_was_set};

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::fs_magic;

use crate::file::{File, FileOps};
use crate::types::{Changes, FileType, Metadata, Ownership, StatFs, Timestamp};
use crate::vfs::{self, Inode};

/// The inode of a file that is nothing but its operations. Linux gives it no type at all; a device that cannot be
/// opened by its number comes closest.
struct Unplaced {
    number: u64,
    made: Timestamp,
}

impl Inode for Unplaced {
    fn kind(&self) -> FileType {
        FileType::CharDevice
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(vfs::unplaced_metadata(self, self.made))
    }

    fn ownership(&self) -> Ownership {
        Ownership { owner: 0, group: 0, permissions: 0o600 }
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn set_attributes(&self, _changes: &Changes) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn stat_fs(&self) -> Result<StatFs, Errno> {
        Ok(vfs::unplaced_stat_fs(fs_magic::ANON_INODE_FS_MAGIC as u32))
    }
}

/// An open file with these operations, shown as `label` in `/proc/PID/fd`.
fn open(ops: Arc<dyn FileOps>, label: &[u8], flags: u32) -> Arc<File> {
    let inode = Unplaced { number: vfs::next_number(), made: Timestamp::now() };
    File::new(vfs::anonymous_path(Arc::new(inode), label), ops, flags)
}
