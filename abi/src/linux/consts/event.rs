//! Waiting: poll, epoll, event and signal descriptors, futexes.

/// Futex operation without its option bits.
pub const FUTEX_CMD_MASK: u32 = 0x7f;
/// Options of a futex operation.
pub const FUTEX_PRIVATE_FLAG: u32 = 0x80;
pub const FUTEX_CLOCK_REALTIME: u32 = 0x100;
/// Bits of the futex word of a robust or priority-inheritance lock.
pub const FUTEX_WAITERS: u32 = 0x8000_0000;
pub const FUTEX_OWNER_DIED: u32 = 0x4000_0000;
pub const FUTEX_TID_MASK: u32 = 0x3fff_ffff;
/// The bit set of a plain wait or wake.
pub const FUTEX_BITSET_MATCH_ANY: u32 = 0xffff_ffff;
/// Entries of a robust list that the kernel walks at most.
pub const ROBUST_LIST_LIMIT: usize = 2048;
/// Descriptors in an `fd_set`.
pub const FD_SETSIZE: usize = 1024;

families! {
    /// `futex(2)`: operations.
    futex: u32 {
        FUTEX_WAIT = 0,
        FUTEX_WAKE = 1,
        FUTEX_FD = 2,
        FUTEX_REQUEUE = 3,
        FUTEX_CMP_REQUEUE = 4,
        FUTEX_WAKE_OP = 5,
        FUTEX_LOCK_PI = 6,
        FUTEX_UNLOCK_PI = 7,
        FUTEX_TRYLOCK_PI = 8,
        FUTEX_WAIT_BITSET = 9,
        FUTEX_WAKE_BITSET = 10,
        FUTEX_WAIT_REQUEUE_PI = 11,
        FUTEX_CMP_REQUEUE_PI = 12,
        FUTEX_LOCK_PI2 = 13,
    }
    /// `FUTEX_WAKE_OP`: what to do with the second word (bits 28 to 31 of `val3`).
    futex_op: u32 {
        FUTEX_OP_SET = 0,
        FUTEX_OP_ADD = 1,
        FUTEX_OP_OR = 2,
        FUTEX_OP_ANDN = 3,
        FUTEX_OP_XOR = 4,
        FUTEX_OP_OPARG_SHIFT = 8,
    }
    /// `FUTEX_WAKE_OP`: how to compare its old value (bits 24 to 27 of `val3`).
    futex_cmp: u32 {
        FUTEX_OP_CMP_EQ = 0,
        FUTEX_OP_CMP_NE = 1,
        FUTEX_OP_CMP_LT = 2,
        FUTEX_OP_CMP_LE = 3,
        FUTEX_OP_CMP_GT = 4,
        FUTEX_OP_CMP_GE = 5,
    }
    /// `poll(2)`: events.
    poll: u16 {
        POLLIN = 0x1,
        POLLPRI = 0x2,
        POLLOUT = 0x4,
        POLLERR = 0x8,
        POLLHUP = 0x10,
        POLLNVAL = 0x20,
        POLLRDNORM = 0x40,
        POLLRDBAND = 0x80,
        POLLWRNORM = 0x100,
        POLLWRBAND = 0x200,
        POLLMSG = 0x400,
        POLLREMOVE = 0x1000,
        POLLRDHUP = 0x2000,
    }
    /// `epoll(7)`: events and options.
    epoll: u32 {
        EPOLLIN = 0x1,
        EPOLLPRI = 0x2,
        EPOLLOUT = 0x4,
        EPOLLERR = 0x8,
        EPOLLHUP = 0x10,
        EPOLLRDNORM = 0x40,
        EPOLLRDBAND = 0x80,
        EPOLLWRNORM = 0x100,
        EPOLLWRBAND = 0x200,
        EPOLLMSG = 0x400,
        EPOLLRDHUP = 0x2000,
        EPOLLEXCLUSIVE = 0x1000_0000,
        EPOLLWAKEUP = 0x2000_0000,
        EPOLLONESHOT = 0x4000_0000,
        EPOLLET = 0x8000_0000,
    }
    /// `epoll_ctl(2)`.
    epoll_op: u32 {
        EPOLL_CTL_ADD = 1,
        EPOLL_CTL_DEL = 2,
        EPOLL_CTL_MOD = 3,
    }
    /// `epoll_create1(2)`.
    epoll_create: u32 {
        EPOLL_CLOEXEC = 0o2_000_000,
    }
    /// `eventfd2(2)`.
    eventfd: u32 {
        EFD_SEMAPHORE = 1,
        EFD_NONBLOCK = 0o4_000,
        EFD_CLOEXEC = 0o2_000_000,
    }
    /// `signalfd4(2)`.
    signalfd: u32 {
        SFD_NONBLOCK = 0o4_000,
        SFD_CLOEXEC = 0o2_000_000,
    }
}
