//! Sockets.

use super::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

wire! {
    /// `struct sockaddr_un`. The length passed with it says how much of the path counts.
    SockaddrUn[110] {
        family: u16,
        path: [u8; 108],
    }
    /// `struct sockaddr_in`; port and address in network order.
    SockaddrIn[16] {
        family: u16,
        port: [u8; 2],
        addr: [u8; 4],
        reserved: [u8; 8],
    }
    /// `struct sockaddr_in6`; port, flow information and address in network order.
    SockaddrIn6[28] {
        family: u16,
        port: [u8; 2],
        flowinfo: [u8; 4],
        addr: [u8; 16],
        scope_id: u32,
    }
    /// `struct msghdr`.
    MsgHdr[56] {
        name: u64,
        namelen: u32,
        pad0: u32,
        iov: u64,
        iovlen: u64,
        control: u64,
        controllen: u64,
        flags: u32,
        pad1: u32,
    }
    /// `struct mmsghdr` of `sendmmsg(2)`.
    MmsgHdr[64] {
        hdr: MsgHdr,
        /// Bytes sent or received.
        len: u32,
        pad0: u32,
    }
    /// `struct cmsghdr`: precedes the data of a control message; the next one starts at a multiple of 8.
    Cmsghdr[16] {
        /// Bytes of header and data.
        len: u64,
        level: i32,
        kind: i32,
    }
    /// `struct ucred`.
    Ucred[12] {
        pid: i32,
        uid: u32,
        gid: u32,
    }
    /// `struct linger`.
    Linger[8] {
        onoff: i32,
        /// Seconds.
        linger: i32,
    }
}
