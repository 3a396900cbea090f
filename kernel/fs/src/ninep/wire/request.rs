//! What a client asks.

use alloc::vec::Vec;

use super::{Writer, kind};
use crate::types::Timestamp;

/// Bits of the attributes that `getattr` asks for and reports.
pub mod attribute {
    /// Everything that `stat` shows, without the time of creation.
    pub const BASIC: u64 = 0x7ff;
    pub const CREATED: u64 = 0x800;
    pub const DATA_VERSION: u64 = 0x2000;
}

/// Attributes to set; what is `None` stays. A time that is `Some(None)` becomes the server's now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SetAttributes {
    pub permissions: Option<u32>,
    pub owner: Option<u32>,
    pub group: Option<u32>,
    pub size: Option<u64>,
    pub accessed: Option<Option<Timestamp>>,
    pub modified: Option<Option<Timestamp>>,
}

/// A request. Fids are the client's numbers for files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request<'a> {
    Version {
        max_message: u32,
        version: &'a [u8],
    },
    Attach {
        fid: u32,
        auth: u32,
        user: &'a [u8],
        tree: &'a [u8],
        uid: u32,
    },
    Walk {
        fid: u32,
        new: u32,
        names: &'a [&'a [u8]],
    },
    Open {
        fid: u32,
        flags: u32,
    },
    /// Makes and opens a file; the directory's fid becomes the file's.
    Create {
        fid: u32,
        name: &'a [u8],
        flags: u32,
        permissions: u32,
        group: u32,
    },
    Symlink {
        fid: u32,
        name: &'a [u8],
        target: &'a [u8],
        group: u32,
    },
    MakeNode {
        directory: u32,
        name: &'a [u8],
        mode: u32,
        major: u32,
        minor: u32,
        group: u32,
    },
    MakeDirectory {
        directory: u32,
        name: &'a [u8],
        permissions: u32,
        group: u32,
    },
    ReadLink {
        fid: u32,
    },
    GetAttributes {
        fid: u32,
        mask: u64,
    },
    SetAttributes {
        fid: u32,
        changes: SetAttributes,
    },
    ReadDirectory {
        fid: u32,
        offset: u64,
        count: u32,
    },
    Sync {
        fid: u32,
        data_only: bool,
    },
    Link {
        directory: u32,
        fid: u32,
        name: &'a [u8],
    },
    Rename {
        from: u32,
        name: &'a [u8],
        to: u32,
        new_name: &'a [u8],
    },
    Unlink {
        directory: u32,
        name: &'a [u8],
        flags: u32,
    },
    Statistics {
        fid: u32,
    },
    Read {
        fid: u32,
        offset: u64,
        count: u32,
    },
    /// The `count` bytes follow the encoded request.
    Write {
        fid: u32,
        offset: u64,
        count: u32,
    },
    Clunk {
        fid: u32,
    },
}

/// Bits of `Tsetattr`'s mask.
mod set {
    pub const PERMISSIONS: u32 = 1;
    pub const OWNER: u32 = 2;
    pub const GROUP: u32 = 4;
    pub const SIZE: u32 = 8;
    pub const ACCESSED: u32 = 0x10;
    pub const MODIFIED: u32 = 0x20;
    pub const CHANGED: u32 = 0x40;
    pub const ACCESSED_GIVEN: u32 = 0x80;
    pub const MODIFIED_GIVEN: u32 = 0x100;
}

impl SetAttributes {
    fn mask(&self) -> u32 {
        let bit = |present: bool, bit: u32| if present { bit } else { 0 };
        set::CHANGED
            | bit(self.permissions.is_some(), set::PERMISSIONS)
            | bit(self.owner.is_some(), set::OWNER)
            | bit(self.group.is_some(), set::GROUP)
            | bit(self.size.is_some(), set::SIZE)
            | bit(self.accessed.is_some(), set::ACCESSED)
            | bit(self.modified.is_some(), set::MODIFIED)
            | bit(self.accessed.flatten().is_some(), set::ACCESSED_GIVEN)
            | bit(self.modified.flatten().is_some(), set::MODIFIED_GIVEN)
    }

    fn encode(&self, fid: u32, to: &mut Writer<'_>) {
        let time = |time: Option<Option<Timestamp>>| time.flatten().unwrap_or_default();
        let (accessed, modified) = (time(self.accessed), time(self.modified));
        to.u32(fid).u32(self.mask());
        to.u32(self.permissions.unwrap_or(0)).u32(self.owner.unwrap_or(0)).u32(self.group.unwrap_or(0));
        to.u64(self.size.unwrap_or(0));
        to.u64(accessed.seconds.cast_unsigned()).u64(u64::from(accessed.nanoseconds));
        to.u64(modified.seconds.cast_unsigned()).u64(u64::from(modified.nanoseconds));
    }
}

impl Request<'_> {
    /// The message type.
    pub fn kind(&self) -> u8 {
        match self {
            Request::Version { .. } => kind::VERSION,
            Request::Attach { .. } => kind::ATTACH,
            Request::Walk { .. } => kind::WALK,
            Request::Open { .. } => kind::LOPEN,
            Request::Create { .. } => kind::LCREATE,
            Request::Symlink { .. } => kind::SYMLINK,
            Request::MakeNode { .. } => kind::MKNOD,
            Request::MakeDirectory { .. } => kind::MKDIR,
            Request::ReadLink { .. } => kind::READLINK,
            Request::GetAttributes { .. } => kind::GETATTR,
            Request::SetAttributes { .. } => kind::SETATTR,
            Request::ReadDirectory { .. } => kind::READDIR,
            Request::Sync { .. } => kind::FSYNC,
            Request::Link { .. } => kind::LINK,
            Request::Rename { .. } => kind::RENAMEAT,
            Request::Unlink { .. } => kind::UNLINKAT,
            Request::Statistics { .. } => kind::STATFS,
            Request::Read { .. } => kind::READ,
            Request::Write { .. } => kind::WRITE,
            Request::Clunk { .. } => kind::CLUNK,
        }
    }

    /// Writes the message to `bytes`, whose contents go.
    pub fn encode(&self, tag: u16, bytes: &mut Vec<u8>) {
        let mut writer = Writer::new(bytes, self.kind(), tag);
        let to = &mut writer;
        let mut following = 0;
        match *self {
            Request::Version { max_message, version } => {
                to.u32(max_message).string(version);
            }
            Request::Attach { fid, auth, user, tree, uid } => {
                to.u32(fid).u32(auth).string(user).string(tree).u32(uid);
            }
            Request::Walk { fid, new, names } => {
                to.u32(fid).u32(new).u16(u16::try_from(names.len()).unwrap_or(u16::MAX));
                for name in names {
                    to.string(name);
                }
            }
            Request::Open { fid, flags } => {
                to.u32(fid).u32(flags);
            }
            Request::Create { fid, name, flags, permissions, group } => {
                to.u32(fid).string(name).u32(flags).u32(permissions).u32(group);
            }
            Request::Symlink { fid, name, target, group } => {
                to.u32(fid).string(name).string(target).u32(group);
            }
            Request::MakeNode { directory, name, mode, major, minor, group } => {
                to.u32(directory).string(name).u32(mode).u32(major).u32(minor).u32(group);
            }
            Request::MakeDirectory { directory, name, permissions, group } => {
                to.u32(directory).string(name).u32(permissions).u32(group);
            }
            Request::ReadLink { fid } | Request::Statistics { fid } | Request::Clunk { fid } => {
                to.u32(fid);
            }
            Request::GetAttributes { fid, mask } => {
                to.u32(fid).u64(mask);
            }
            Request::SetAttributes { fid, changes } => changes.encode(fid, to),
            Request::ReadDirectory { fid, offset, count } | Request::Read { fid, offset, count } => {
                to.u32(fid).u64(offset).u32(count);
            }
            Request::Sync { fid, data_only } => {
                to.u32(fid).u32(u32::from(data_only));
            }
            Request::Link { directory, fid, name } => {
                to.u32(directory).u32(fid).string(name);
            }
            Request::Rename { from, name, to: target, new_name } => {
                to.u32(from).string(name).u32(target).string(new_name);
            }
            Request::Unlink { directory, name, flags } => {
                to.u32(directory).string(name).u32(flags);
            }
            Request::Write { fid, offset, count } => {
                to.u32(fid).u64(offset).u32(count);
                following = count as usize;
            }
        }
        to.finish(following);
    }
}
