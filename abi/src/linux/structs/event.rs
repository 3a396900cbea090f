//! Waiting for several things.

use super::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

wire! {
    /// `struct pollfd`.
    PollFd[8] {
        /// Negative: skipped.
        fd: i32,
        events: u16,
        revents: u16,
    }
    /// The sixth argument of `pselect6(2)`.
    SigsetArgpack[16] {
        sigset: u64,
        size: u64,
    }
    /// `struct futex_waitv`.
    FutexWaitv[24] {
        val: u64,
        uaddr: u64,
        flags: u32,
        reserved: u32,
    }
    /// `struct inotify_event`, without the name that follows.
    InotifyEvent[16] {
        wd: i32,
        mask: u32,
        cookie: u32,
        len: u32,
    }
}

/// `struct epoll_event`: packed on x86-64.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct EpollEvent {
    pub events: u32,
    pub data: u64,
}

const _: () = assert!(size_of::<EpollEvent>() == 12);
