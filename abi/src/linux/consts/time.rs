//! Clocks and timers.

families! {
    /// Clock numbers. Negative numbers name the clock of a process or thread.
    clock: i32 {
        CLOCK_REALTIME = 0,
        CLOCK_MONOTONIC = 1,
        CLOCK_PROCESS_CPUTIME_ID = 2,
        CLOCK_THREAD_CPUTIME_ID = 3,
        CLOCK_MONOTONIC_RAW = 4,
        CLOCK_REALTIME_COARSE = 5,
        CLOCK_MONOTONIC_COARSE = 6,
        CLOCK_BOOTTIME = 7,
        CLOCK_REALTIME_ALARM = 8,
        CLOCK_BOOTTIME_ALARM = 9,
        CLOCK_TAI = 11,
    }
    /// `setitimer(2)`.
    itimer: u32 {
        ITIMER_REAL = 0,
        ITIMER_VIRTUAL = 1,
        ITIMER_PROF = 2,
    }
    /// `clock_nanosleep(2)`, `timer_settime(2)`, `timerfd_settime(2)`.
    timer_flags: u32 {
        TIMER_ABSTIME = 1,
        TFD_TIMER_CANCEL_ON_SET = 2,
    }
    /// `timerfd_create(2)`.
    timerfd: u32 {
        TFD_NONBLOCK = 0o4_000,
        TFD_CLOEXEC = 0o2_000_000,
    }
}
