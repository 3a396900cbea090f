//! What every file system says about its objects: kinds, numbers, times, attributes.

use core::time::Duration;

use kernel_hal::time;

pub use aios_abi::linux::consts::{NAME_MAX, PATH_MAX};

/// What an inode is; it never changes. The numbers are those of `d_type` and, shifted, of `S_IFMT`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum FileType {
    Fifo = 1,
    CharDevice = 2,
    Directory = 4,
    BlockDevice = 6,
    Regular = 8,
    Symlink = 10,
    Socket = 12,
}

impl FileType {
    /// The type in the upper bits of a Linux mode.
    pub const fn from_mode(mode: u32) -> Option<FileType> {
        Some(match (mode >> 12) & 0o17 {
            1 => FileType::Fifo,
            2 => FileType::CharDevice,
            4 => FileType::Directory,
            6 => FileType::BlockDevice,
            8 => FileType::Regular,
            10 => FileType::Symlink,
            12 => FileType::Socket,
            _ => return None,
        })
    }

    /// The type's bits in a Linux mode.
    pub const fn mode(self) -> u32 {
        (self as u32) << 12
    }

    /// The value of `d_type` in a directory entry.
    pub const fn dirent(self) -> u8 {
        self as u8
    }
}

/// Set-user-id, set-group-id and sticky bits of permissions.
pub const SET_UID: u16 = 0o4000;
pub const SET_GID: u16 = 0o2000;
pub const STICKY: u16 = 0o1000;
/// All bits of permissions that `chmod` can set.
pub const PERMISSIONS: u16 = 0o7777;

/// A device number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash, Default)]
pub struct DeviceNumber {
    pub major: u32,
    pub minor: u32,
}

impl DeviceNumber {
    pub const fn new(major: u32, minor: u32) -> DeviceNumber {
        DeviceNumber { major, minor }
    }

    /// As `stat` reports it (glibc's `makedev`).
    pub const fn encode(self) -> u64 {
        let (major, minor) = (self.major as u64, self.minor as u64);
        (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12 | (major & !0xfff) << 32
    }

    /// The inverse of [`encode`](DeviceNumber::encode).
    pub const fn decode_wide(device: u64) -> DeviceNumber {
        DeviceNumber {
            major: ((device >> 8) & 0xfff) as u32 | (device >> 32) as u32 & !0xfff,
            minor: (device & 0xff) as u32 | (device >> 12) as u32 & !0xff,
        }
    }

    /// From the 32 bits that `mknod` takes.
    pub const fn decode(device: u32) -> DeviceNumber {
        DeviceNumber { major: (device >> 8) & 0xfff, minor: (device & 0xff) | (device >> 12) & 0xfff00 }
    }
}

/// A point in time since 1970-01-01 UTC; seconds may be negative, nanoseconds count up from them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Timestamp {
    pub seconds: i64,
    pub nanoseconds: u32,
}

impl Timestamp {
    pub fn now() -> Timestamp {
        time::wall_clock().into()
    }
}

impl From<Duration> for Timestamp {
    fn from(since_epoch: Duration) -> Timestamp {
        Timestamp {
            seconds: i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since_epoch.subsec_nanos(),
        }
    }
}

/// Everything `stat` reports.
#[derive(Clone, Copy, Debug)]
pub struct Metadata {
    /// The file system the inode lives in.
    pub device: DeviceNumber,
    pub inode: u64,
    pub kind: FileType,
    pub permissions: u16,
    pub links: u32,
    pub owner: u32,
    pub group: u32,
    /// The device that a device node stands for.
    pub special: DeviceNumber,
    /// In bytes.
    pub size: u64,
    /// Preferred size of transfers, in bytes.
    pub block_size: u32,
    /// Storage taken, in units of 512 bytes.
    pub blocks: u64,
    pub accessed: Timestamp,
    pub modified: Timestamp,
    pub changed: Timestamp,
    pub created: Option<Timestamp>,
}

impl Metadata {
    /// Type and permissions as `st_mode` has them.
    pub const fn mode(&self) -> u32 {
        self.kind.mode() | self.permissions as u32
    }

    pub const fn ownership(&self) -> Ownership {
        Ownership { owner: self.owner, group: self.group, permissions: self.permissions }
    }
}

/// What decides who may use an inode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ownership {
    pub owner: u32,
    pub group: u32,
    pub permissions: u16,
}

/// Attributes to set; what is `None` stays. The time of change is always set to now.
#[derive(Clone, Copy, Default, Debug)]
pub struct Changes {
    pub permissions: Option<u16>,
    pub owner: Option<u32>,
    pub group: Option<u32>,
    pub accessed: Option<Timestamp>,
    pub modified: Option<Timestamp>,
}

/// An inode about to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewInode {
    pub kind: FileType,
    pub permissions: u16,
    pub owner: u32,
    pub group: u32,
    /// For device nodes.
    pub special: DeviceNumber,
}

/// What `statfs` reports. Sizes are in blocks of `block_size` bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct StatFs {
    /// The file system's magic number (`statfs(2)`).
    pub magic: u32,
    pub block_size: u32,
    pub blocks: u64,
    pub blocks_free: u64,
    pub blocks_available: u64,
    pub files: u64,
    pub files_free: u64,
    pub id: u64,
    pub name_max: u32,
}

/// What to do when the new name of a rename exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RenameMode {
    /// Replace it.
    Replace,
    /// `RENAME_NOREPLACE`: fail with `EEXIST`.
    NoReplace,
    /// `RENAME_EXCHANGE`: both must exist and change places.
    Exchange,
}

/// One entry of a directory.
#[derive(Clone, Copy, Debug)]
pub struct DirEntry<'a> {
    pub name: &'a [u8],
    pub inode: u64,
    pub kind: FileType,
    /// Where to go on after this entry.
    pub next: u64,
}

/// Takes directory entries one by one.
pub trait DirSink {
    /// False when there is no room: the entry was not taken and the listing ends.
    fn entry(&mut self, entry: DirEntry<'_>) -> bool;
}

impl<F: FnMut(DirEntry<'_>) -> bool> DirSink for F {
    fn entry(&mut self, entry: DirEntry<'_>) -> bool {
        self(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_those_of_glibc() {
        assert_eq!(DeviceNumber::new(1, 3).encode(), 0x103);
        assert_eq!(DeviceNumber::new(0x12345, 0x6789a).encode(), 0x0001_2000_6783_459a);
        let wide = DeviceNumber::new(0x12345, 0x6789a);
        assert_eq!(DeviceNumber::decode_wide(wide.encode()), wide);
        assert_eq!(DeviceNumber::decode(0x103), DeviceNumber::new(1, 3));
        assert_eq!(DeviceNumber::decode(0x1234_5678), DeviceNumber::new(0x456, 0x12378));
    }

    #[test]
    fn kinds_and_modes_agree() {
        for mode in (0..16).map(|bits| bits << 12) {
            if let Some(kind) = FileType::from_mode(mode | 0o644) {
                assert_eq!(kind.mode(), mode);
            }
        }
        assert_eq!(FileType::Regular.mode(), 0o100_000);
    }
}
