//! Time.

use super::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

wire! {
    /// `struct timespec`.
    Timespec[16] {
        sec: i64,
        /// Nanoseconds; a valid value is `0..1_000_000_000`.
        nsec: i64,
    }
    /// `struct timeval`.
    Timeval[16] {
        sec: i64,
        /// Microseconds; a valid value is `0..1_000_000`.
        usec: i64,
    }
    /// `struct itimerspec`.
    Itimerspec[32] {
        interval: Timespec,
        value: Timespec,
    }
    /// `struct itimerval`.
    Itimerval[32] {
        interval: Timeval,
        value: Timeval,
    }
    /// `struct timezone`.
    Timezone[8] {
        minutes_west: i32,
        dst_time: i32,
    }
    /// `struct utimbuf` of `utime(2)`: seconds.
    Utimbuf[16] {
        access: i64,
        modification: i64,
    }
    /// `struct tms` of `times(2)`: ticks of `USER_HZ`.
    Tms[32] {
        utime: i64,
        stime: i64,
        cutime: i64,
        cstime: i64,
    }
    /// `struct timex` of `adjtimex(2)`.
    Timex[208] {
        modes: u32,
        pad0: u32,
        offset: i64,
        freq: i64,
        maxerror: i64,
        esterror: i64,
        status: i32,
        pad1: u32,
        constant: i64,
        precision: i64,
        tolerance: i64,
        time: Timeval,
        tick: i64,
        ppsfreq: i64,
        jitter: i64,
        shift: i32,
        pad2: u32,
        stabil: i64,
        jitcnt: i64,
        calcnt: i64,
        errcnt: i64,
        stbcnt: i64,
        tai: i32,
        pad3: [u32; 11],
    }
}

const NANOS_PER_SEC: i64 = 1_000_000_000;
const MICROS_PER_SEC: i64 = 1_000_000;

impl Timespec {
    /// From nanoseconds since the clock's origin.
    pub const fn from_nanos(nanos: u64) -> Timespec {
        let per_sec = NANOS_PER_SEC as u64;
        Timespec { sec: (nanos / per_sec) as i64, nsec: (nanos % per_sec) as i64 }
    }

    /// Nanoseconds, saturating at `u64::MAX` (584 years); `None` when negative or not normalised, for which calls
    /// report `EINVAL`.
    pub const fn to_nanos(self) -> Option<u64> {
        if self.sec < 0 || self.nsec < 0 || self.nsec >= NANOS_PER_SEC {
            return None;
        }
        Some((self.sec as u64).saturating_mul(NANOS_PER_SEC as u64).saturating_add(self.nsec as u64))
    }
}

impl Timeval {
    /// From nanoseconds, rounded down to microseconds.
    pub const fn from_nanos(nanos: u64) -> Timeval {
        let micros = nanos / 1000;
        let per_sec = MICROS_PER_SEC as u64;
        Timeval { sec: (micros / per_sec) as i64, usec: (micros % per_sec) as i64 }
    }

    /// Nanoseconds, saturating; `None` when negative or not normalised.
    pub const fn to_nanos(self) -> Option<u64> {
        if self.sec < 0 || self.usec < 0 || self.usec >= MICROS_PER_SEC {
            return None;
        }
        Some((self.sec as u64).saturating_mul(NANOS_PER_SEC as u64).saturating_add(self.usec as u64 * 1000))
    }
}
