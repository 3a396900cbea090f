//! 9P2000.L messages, in two levels: bytes ([`Packet`], [`Reader`], [`Writer`]) and meaning ([`Request`], [`Reply`]).
//!
//! Every message is `size[4] type[1] tag[2]` and a body; all numbers are little-endian, strings have a 16-bit length in
//! front. Whatever bytes arrive, reading them ends in a value or a [`WireError`], never in a panic, and takes no more
//! memory than the bytes themselves.
//!
//! Specification: `9p(5)` of Plan 9 and the `.L` extensions as in diod's `protocol.md`.

mod packet;
mod reply;
mod request;

pub use packet::{HEADER, Packet, Reader, WireError, Writer};
pub use reply::{Attributes, Entries, Entry, Qids, Reply, Statistics};
pub use request::{Request, SetAttributes, attribute};

/// The tag of the message that opens a session.
pub const NO_TAG: u16 = 0xffff;
/// Stands for no fid.
pub const NO_FID: u32 = u32::MAX;
/// Most names in one walk.
pub const MAX_WALK: usize = 16;

/// Message types: the request's; the reply's is one more.
pub mod kind {
    pub const LERROR: u8 = 6;
    pub const STATFS: u8 = 8;
    pub const LOPEN: u8 = 12;
    pub const LCREATE: u8 = 14;
    pub const SYMLINK: u8 = 16;
    pub const MKNOD: u8 = 18;
    pub const READLINK: u8 = 22;
    pub const GETATTR: u8 = 24;
    pub const SETATTR: u8 = 26;
    pub const READDIR: u8 = 40;
    pub const FSYNC: u8 = 50;
    pub const LINK: u8 = 70;
    pub const MKDIR: u8 = 72;
    pub const RENAMEAT: u8 = 74;
    pub const UNLINKAT: u8 = 76;
    pub const VERSION: u8 = 100;
    pub const ATTACH: u8 = 104;
    pub const WALK: u8 = 110;
    pub const READ: u8 = 116;
    pub const WRITE: u8 = 118;
    pub const CLUNK: u8 = 120;
}

/// The server's identity of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct Qid {
    /// 0x80 for a directory, 0x02 for a symbolic link.
    pub kind: u8,
    /// Changes when the file does, where the server knows.
    pub version: u32,
    /// Of this file only.
    pub path: u64,
}
