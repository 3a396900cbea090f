//! Sockets.

/// Bits of the type argument of `socket(2)` that hold the type.
pub const SOCK_TYPE_MASK: u32 = 0xf;
/// Most pending connections of a listening socket.
pub const SOMAXCONN: u32 = 4096;
/// Most descriptors in one `SCM_RIGHTS` message.
pub const SCM_MAX_FD: usize = 253;

families! {
    /// Address families.
    family: u32 {
        AF_UNSPEC = 0,
        AF_UNIX = 1,
        AF_INET = 2,
        AF_INET6 = 10,
        AF_NETLINK = 16,
        AF_PACKET = 17,
        AF_ALG = 38,
        AF_VSOCK = 40,
    }
    /// Socket types, and the flags that `socket(2)` and `accept4(2)` take with them.
    socket_type: u32 {
        SOCK_SEQPACKET = 5,
        SOCK_RAW = 3,
        SOCK_STREAM = 1,
        SOCK_DGRAM = 2,
        SOCK_RDM = 4,
        SOCK_NONBLOCK = 0o4_000,
        SOCK_CLOEXEC = 0o2_000_000,
    }
    /// Flags of `send(2)` and `recv(2)`.
    msg: u32 {
        MSG_OOB = 0x1,
        MSG_PEEK = 0x2,
        MSG_DONTROUTE = 0x4,
        MSG_CTRUNC = 0x8,
        MSG_PROXY = 0x10,
        MSG_TRUNC = 0x20,
        MSG_DONTWAIT = 0x40,
        MSG_EOR = 0x80,
        MSG_WAITALL = 0x100,
        MSG_CONFIRM = 0x800,
        MSG_ERRQUEUE = 0x2000,
        MSG_NOSIGNAL = 0x4000,
        MSG_MORE = 0x8000,
        MSG_WAITFORONE = 0x1_0000,
        MSG_ZEROCOPY = 0x400_0000,
        MSG_FASTOPEN = 0x2000_0000,
        MSG_CMSG_CLOEXEC = 0x4000_0000,
    }
    /// `shutdown(2)`.
    shutdown: u32 {
        SHUT_RD = 0,
        SHUT_WR = 1,
        SHUT_RDWR = 2,
    }
    /// Levels of `setsockopt(2)`.
    sock_level: u32 {
        SOL_IP = 0,
        SOL_SOCKET = 1,
        SOL_TCP = 6,
        SOL_UDP = 17,
        SOL_IPV6 = 41,
    }
    /// Options at level `SOL_SOCKET`.
    sock_opt: u32 {
        SO_DEBUG = 1,
        SO_REUSEADDR = 2,
        SO_TYPE = 3,
        SO_ERROR = 4,
        SO_DONTROUTE = 5,
        SO_BROADCAST = 6,
        SO_SNDBUF = 7,
        SO_RCVBUF = 8,
        SO_KEEPALIVE = 9,
        SO_OOBINLINE = 10,
        SO_PRIORITY = 12,
        SO_LINGER = 13,
        SO_REUSEPORT = 15,
        SO_PASSCRED = 16,
        SO_PEERCRED = 17,
        SO_RCVLOWAT = 18,
        SO_SNDLOWAT = 19,
        SO_RCVTIMEO = 20,
        SO_SNDTIMEO = 21,
        SO_BINDTODEVICE = 25,
        SO_TIMESTAMP = 29,
        SO_ACCEPTCONN = 30,
        SO_PEERSEC = 31,
        SO_SNDBUFFORCE = 32,
        SO_RCVBUFFORCE = 33,
        SO_PROTOCOL = 38,
        SO_DOMAIN = 39,
        SO_PEERPIDFD = 77,
    }
    /// Control messages at level `SOL_SOCKET`.
    scm: i32 {
        SCM_RIGHTS = 1,
        SCM_CREDENTIALS = 2,
        SCM_SECURITY = 3,
        SCM_PIDFD = 4,
    }
}
