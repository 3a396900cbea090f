//! Files and file systems.

use super::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Timespec};

wire! {
    /// `struct stat`.
    Stat[144] {
        dev: u64,
        ino: u64,
        nlink: u64,
        mode: u32,
        uid: u32,
        gid: u32,
        pad0: u32,
        rdev: u64,
        size: i64,
        /// Preferred size of transfers, bytes.
        blksize: i64,
        /// Allocated, in units of 512 bytes.
        blocks: i64,
        atime: Timespec,
        mtime: Timespec,
        ctime: Timespec,
        reserved: [u64; 3],
    }
    /// `struct statx_timestamp`.
    StatxTimestamp[16] {
        sec: i64,
        nsec: u32,
        pad0: u32,
    }
    /// `struct statx`.
    Statx[256] {
        /// Which fields below are filled in.
        mask: u32,
        blksize: u32,
        attributes: u64,
        nlink: u32,
        uid: u32,
        gid: u32,
        mode: u16,
        pad0: u16,
        ino: u64,
        size: u64,
        blocks: u64,
        /// Which bits of `attributes` the file system knows.
        attributes_mask: u64,
        atime: StatxTimestamp,
        btime: StatxTimestamp,
        ctime: StatxTimestamp,
        mtime: StatxTimestamp,
        rdev_major: u32,
        rdev_minor: u32,
        dev_major: u32,
        dev_minor: u32,
        mnt_id: u64,
        dio_mem_align: u32,
        dio_offset_align: u32,
        subvol: u64,
        atomic_write_unit_min: u32,
        atomic_write_unit_max: u32,
        atomic_write_segments_max: u32,
        reserved0: u32,
        reserved: [u64; 9],
    }
    /// `struct statfs`.
    Statfs[120] {
        kind: i64,
        bsize: i64,
        blocks: u64,
        bfree: u64,
        bavail: u64,
        files: u64,
        ffree: u64,
        fsid: [i32; 2],
        namelen: i64,
        frsize: i64,
        flags: i64,
        reserved: [i64; 4],
    }
    /// `struct flock`.
    Flock[32] {
        kind: i16,
        whence: i16,
        pad0: u32,
        start: i64,
        /// Bytes; 0 means to the end of the file.
        len: i64,
        pid: i32,
        pad1: u32,
    }
    /// `struct iovec`.
    Iovec[16] {
        base: u64,
        len: u64,
    }
    /// `struct open_how` of `openat2(2)`.
    OpenHow[24] {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
}

/// What precedes the name in `struct linux_dirent64`. Not a field but a rule: the record is padded to 8 bytes.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct Dirent64 {
    pub ino: u64,
    /// Where the next entry starts: what `lseek` on the directory takes.
    pub off: i64,
    /// Bytes of this record with name, terminator and padding.
    pub reclen: u16,
    /// One of `DT_*`.
    pub kind: u8,
}

const _: () = assert!(size_of::<Dirent64>() == 19);

impl Dirent64 {
    /// Bytes of the record for a name of that length.
    pub const fn record_len(name_len: usize) -> usize {
        (size_of::<Dirent64>() + name_len + 1).next_multiple_of(8)
    }

    /// Writes one record at the start of `out` and returns its length; `None` (nothing written) when it does not fit.
    pub fn write(out: &mut [u8], ino: u64, off: i64, kind: u8, name: &[u8]) -> Option<usize> {
        let len = Dirent64::record_len(name.len());
        let reclen = u16::try_from(len).ok()?;
        let record = out.get_mut(..len)?;
        let (head, tail) = record.split_at_mut_checked(size_of::<Dirent64>())?;
        let (text, padding) = tail.split_at_mut_checked(name.len())?;
        head.copy_from_slice(Dirent64 { ino, off, reclen, kind }.as_bytes());
        text.copy_from_slice(name);
        padding.fill(0);
        Some(len)
    }
}

/// A device number in the encoding of `st_dev` and `mknod` (`makedev(3)`).
pub const fn makedev(major: u32, minor: u32) -> u64 {
    let (major, minor) = (major as u64, minor as u64);
    (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & !0xff) << 12) | ((major & !0xfff) << 32)
}

/// The major number of a device.
pub const fn major(dev: u64) -> u32 {
    (((dev >> 8) & 0xfff) | ((dev >> 32) & !0xfff)) as u32
}

/// The minor number of a device.
pub const fn minor(dev: u64) -> u32 {
    ((dev & 0xff) | ((dev >> 12) & !0xff)) as u32
}
