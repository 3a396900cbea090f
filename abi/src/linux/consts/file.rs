//! Files, directories, file systems and mounts.

/// Directory descriptor that stands for the working directory.
pub const AT_FDCWD: i32 = -100;
/// Longest path, bytes, with its terminator.
pub const PATH_MAX: usize = 4096;
/// Longest file name, bytes.
pub const NAME_MAX: usize = 255;
/// Bytes that a pipe takes in one piece.
pub const PIPE_BUF: usize = 4096;
/// Most segments of one `readv` or `writev`.
pub const IOV_MAX: usize = 1024;
/// Nanosecond fields of `utimensat`: set to now, leave alone.
pub const UTIME_NOW: i64 = 0x3fff_ffff;
pub const UTIME_OMIT: i64 = 0x3fff_fffe;
/// Symbolic links followed in one path walk.
pub const MAXSYMLINKS: usize = 40;

families! {
    /// `open(2)`, `pipe2(2)`, `dup3(2)`: flags. The access mode is `flags & O_ACCMODE`.
    open: u32 {
        O_TMPFILE = 0o20_200_000,
        O_SYNC = 0o4_010_000,
        O_ACCMODE = 0o3,
        O_RDONLY = 0o0,
        O_WRONLY = 0o1,
        O_RDWR = 0o2,
        O_CREAT = 0o100,
        O_EXCL = 0o200,
        O_NOCTTY = 0o400,
        O_TRUNC = 0o1_000,
        O_APPEND = 0o2_000,
        O_NONBLOCK = 0o4_000,
        O_DSYNC = 0o10_000,
        O_ASYNC = 0o20_000,
        O_DIRECT = 0o40_000,
        O_LARGEFILE = 0o100_000,
        O_DIRECTORY = 0o200_000,
        O_NOFOLLOW = 0o400_000,
        O_NOATIME = 0o1_000_000,
        O_CLOEXEC = 0o2_000_000,
        O_PATH = 0o10_000_000,
    }
    /// Flags of the calls with `at` in their name.
    at: u32 {
        AT_STATX_SYNC_TYPE = 0x6000,
        AT_SYMLINK_NOFOLLOW = 0x100,
        AT_SYMLINK_FOLLOW = 0x400,
        AT_NO_AUTOMOUNT = 0x800,
        AT_EMPTY_PATH = 0x1000,
        AT_STATX_FORCE_SYNC = 0x2000,
        AT_STATX_DONT_SYNC = 0x4000,
        AT_RECURSIVE = 0x8000,
    }
    /// Flags of `unlinkat(2)` (the bit means something else in `faccessat2`).
    at_remove: u32 {
        AT_REMOVEDIR = 0x200,
    }
    /// Flags of `faccessat2(2)`.
    at_access: u32 {
        AT_EACCESS = 0x200,
        AT_SYMLINK_NOFOLLOW = 0x100,
        AT_EMPTY_PATH = 0x1000,
    }
    /// `access(2)`: what to check.
    access: u32 {
        F_OK = 0,
        R_OK = 4,
        W_OK = 2,
        X_OK = 1,
    }
    /// `lseek(2)`: where the offset counts from.
    seek: u32 {
        SEEK_SET = 0,
        SEEK_CUR = 1,
        SEEK_END = 2,
        SEEK_DATA = 3,
        SEEK_HOLE = 4,
    }
    /// `fcntl(2)`: commands.
    fcntl: u32 {
        F_DUPFD = 0,
        F_GETFD = 1,
        F_SETFD = 2,
        F_GETFL = 3,
        F_SETFL = 4,
        F_GETLK = 5,
        F_SETLK = 6,
        F_SETLKW = 7,
        F_SETOWN = 8,
        F_GETOWN = 9,
        F_SETSIG = 10,
        F_GETSIG = 11,
        F_SETOWN_EX = 15,
        F_GETOWN_EX = 16,
        F_OFD_GETLK = 36,
        F_OFD_SETLK = 37,
        F_OFD_SETLKW = 38,
        F_SETLEASE = 1024,
        F_GETLEASE = 1025,
        F_NOTIFY = 1026,
        F_DUPFD_QUERY = 1027,
        F_CANCELLK = 1029,
        F_DUPFD_CLOEXEC = 1030,
        F_SETPIPE_SZ = 1031,
        F_GETPIPE_SZ = 1032,
        F_ADD_SEALS = 1033,
        F_GET_SEALS = 1034,
    }
    /// Descriptor flags of `F_GETFD` and `F_SETFD`.
    fd_flags: u32 {
        FD_CLOEXEC = 1,
    }
    /// `struct flock`: `l_type`.
    lock_type: i16 {
        F_RDLCK = 0,
        F_WRLCK = 1,
        F_UNLCK = 2,
    }
    /// Seals of a memory file.
    seal: u32 {
        F_SEAL_SEAL = 1,
        F_SEAL_SHRINK = 2,
        F_SEAL_GROW = 4,
        F_SEAL_WRITE = 8,
        F_SEAL_FUTURE_WRITE = 16,
        F_SEAL_EXEC = 32,
    }
    /// `flock(2)`.
    flock_op: u32 {
        LOCK_SH = 1,
        LOCK_EX = 2,
        LOCK_NB = 4,
        LOCK_UN = 8,
    }
    /// `st_mode`: file type and permissions.
    mode: u32 {
        S_IFMT = 0o170_000,
        S_IFSOCK = 0o140_000,
        S_IFLNK = 0o120_000,
        S_IFREG = 0o100_000,
        S_IFBLK = 0o060_000,
        S_IFDIR = 0o040_000,
        S_IFCHR = 0o020_000,
        S_IFIFO = 0o010_000,
        S_ISUID = 0o4_000,
        S_ISGID = 0o2_000,
        S_ISVTX = 0o1_000,
        S_IRWXU = 0o700,
        S_IRUSR = 0o400,
        S_IWUSR = 0o200,
        S_IXUSR = 0o100,
        S_IRWXG = 0o070,
        S_IRGRP = 0o040,
        S_IWGRP = 0o020,
        S_IXGRP = 0o010,
        S_IRWXO = 0o007,
        S_IROTH = 0o004,
        S_IWOTH = 0o002,
        S_IXOTH = 0o001,
    }
    /// `d_type` of a directory entry: the file type bits of `st_mode` shifted right by 12.
    dirent_type: u8 {
        DT_UNKNOWN = 0,
        DT_FIFO = 1,
        DT_CHR = 2,
        DT_DIR = 4,
        DT_BLK = 6,
        DT_REG = 8,
        DT_LNK = 10,
        DT_SOCK = 12,
        DT_WHT = 14,
    }
    /// `statx(2)`: which fields are asked for or filled in.
    statx_mask: u32 {
        STATX_ALL = 0xfff,
        STATX_BASIC_STATS = 0x7ff,
        STATX_TYPE = 0x1,
        STATX_MODE = 0x2,
        STATX_NLINK = 0x4,
        STATX_UID = 0x8,
        STATX_GID = 0x10,
        STATX_ATIME = 0x20,
        STATX_MTIME = 0x40,
        STATX_CTIME = 0x80,
        STATX_INO = 0x100,
        STATX_SIZE = 0x200,
        STATX_BLOCKS = 0x400,
        STATX_BTIME = 0x800,
        STATX_MNT_ID = 0x1000,
        STATX_DIOALIGN = 0x2000,
        STATX_MNT_ID_UNIQUE = 0x4000,
        STATX_SUBVOL = 0x8000,
        STATX_WRITE_ATOMIC = 0x1_0000,
        STATX__RESERVED = 0x8000_0000,
    }
    /// `statx(2)`: `stx_attributes`.
    statx_attr: u64 {
        STATX_ATTR_COMPRESSED = 0x4,
        STATX_ATTR_IMMUTABLE = 0x10,
        STATX_ATTR_APPEND = 0x20,
        STATX_ATTR_NODUMP = 0x40,
        STATX_ATTR_ENCRYPTED = 0x800,
        STATX_ATTR_AUTOMOUNT = 0x1000,
        STATX_ATTR_MOUNT_ROOT = 0x2000,
        STATX_ATTR_VERITY = 0x10_0000,
        STATX_ATTR_DAX = 0x20_0000,
    }
    /// `renameat2(2)`.
    rename: u32 {
        RENAME_NOREPLACE = 1,
        RENAME_EXCHANGE = 2,
        RENAME_WHITEOUT = 4,
    }
    /// `openat2(2)`: how the path may be resolved.
    resolve: u64 {
        RESOLVE_NO_XDEV = 0x1,
        RESOLVE_NO_MAGICLINKS = 0x2,
        RESOLVE_NO_SYMLINKS = 0x4,
        RESOLVE_BENEATH = 0x8,
        RESOLVE_IN_ROOT = 0x10,
        RESOLVE_CACHED = 0x20,
    }
    /// `preadv2(2)`, `pwritev2(2)`.
    rwf: u32 {
        RWF_HIPRI = 0x1,
        RWF_DSYNC = 0x2,
        RWF_SYNC = 0x4,
        RWF_NOWAIT = 0x8,
        RWF_APPEND = 0x10,
        RWF_NOAPPEND = 0x20,
        RWF_ATOMIC = 0x40,
    }
    /// `fallocate(2)`.
    fallocate: u32 {
        FALLOC_FL_KEEP_SIZE = 0x1,
        FALLOC_FL_PUNCH_HOLE = 0x2,
        FALLOC_FL_COLLAPSE_RANGE = 0x8,
        FALLOC_FL_ZERO_RANGE = 0x10,
        FALLOC_FL_INSERT_RANGE = 0x20,
        FALLOC_FL_UNSHARE_RANGE = 0x40,
    }
    /// `fadvise64(2)`.
    fadvise: u32 {
        POSIX_FADV_NORMAL = 0,
        POSIX_FADV_RANDOM = 1,
        POSIX_FADV_SEQUENTIAL = 2,
        POSIX_FADV_WILLNEED = 3,
        POSIX_FADV_DONTNEED = 4,
        POSIX_FADV_NOREUSE = 5,
    }
    /// `close_range(2)`.
    close_range: u32 {
        CLOSE_RANGE_UNSHARE = 0x2,
        CLOSE_RANGE_CLOEXEC = 0x4,
    }
    /// `memfd_create(2)`.
    memfd: u32 {
        MFD_CLOEXEC = 0x1,
        MFD_ALLOW_SEALING = 0x2,
        MFD_HUGETLB = 0x4,
        MFD_NOEXEC_SEAL = 0x8,
        MFD_EXEC = 0x10,
    }
    /// `setxattr(2)`.
    xattr: u32 {
        XATTR_CREATE = 1,
        XATTR_REPLACE = 2,
    }
    /// `mount(2)`.
    mount: u64 {
        MS_RDONLY = 0x1,
        MS_NOSUID = 0x2,
        MS_NODEV = 0x4,
        MS_NOEXEC = 0x8,
        MS_SYNCHRONOUS = 0x10,
        MS_REMOUNT = 0x20,
        MS_MANDLOCK = 0x40,
        MS_DIRSYNC = 0x80,
        MS_NOSYMFOLLOW = 0x100,
        MS_NOATIME = 0x400,
        MS_NODIRATIME = 0x800,
        MS_BIND = 0x1000,
        MS_MOVE = 0x2000,
        MS_REC = 0x4000,
        MS_SILENT = 0x8000,
        MS_POSIXACL = 0x1_0000,
        MS_UNBINDABLE = 0x2_0000,
        MS_PRIVATE = 0x4_0000,
        MS_SLAVE = 0x8_0000,
        MS_SHARED = 0x10_0000,
        MS_RELATIME = 0x20_0000,
        MS_STRICTATIME = 0x100_0000,
        MS_LAZYTIME = 0x200_0000,
    }
    /// `umount2(2)`.
    umount: u32 {
        MNT_FORCE = 1,
        MNT_DETACH = 2,
        MNT_EXPIRE = 4,
        UMOUNT_NOFOLLOW = 8,
    }
    /// `f_flags` of `statfs(2)`.
    statfs_flags: u64 {
        ST_RDONLY = 0x1,
        ST_NOSUID = 0x2,
        ST_NODEV = 0x4,
        ST_NOEXEC = 0x8,
        ST_VALID = 0x20,
        ST_NOATIME = 0x400,
        ST_RELATIME = 0x1000,
    }
    /// `f_type` of `statfs(2)`.
    fs_magic: u64 {
        PROC_SUPER_MAGIC = 0x9fa0,
        SYSFS_MAGIC = 0x6265_6572,
        TMPFS_MAGIC = 0x0102_1994,
        RAMFS_MAGIC = 0x8584_58f6,
        OVERLAYFS_SUPER_MAGIC = 0x794c_7630,
        V9FS_MAGIC = 0x0102_1997,
        PIPEFS_MAGIC = 0x5049_5045,
        SOCKFS_MAGIC = 0x534f_434b,
        ANON_INODE_FS_MAGIC = 0x0904_1934,
        DEVPTS_SUPER_MAGIC = 0x1cd1,
        EXT4_SUPER_MAGIC = 0xef53,
    }
}
