//! The time-stamp counter as the clock, measured once against the interval timer; the real-time clock for the date.

use core::sync::atomic::{AtomicU64, Ordering};

use super::{apic, msr, ports};

/// The interval timer's rate in Hz.
const PIT_HZ: u64 = 1_193_182;
/// How long the measurement takes, in its ticks: about 5 ms.
const PIT_TICKS: u16 = 5966;
/// Bits behind the point in [`MULT`].
const SHIFT: u32 = 32;

static BASE: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds a counter tick, with [`SHIFT`] fraction bits.
static MULT: AtomicU64 = AtomicU64::new(1 << SHIFT);
static WALL: AtomicU64 = AtomicU64::new(0);

/// Measurements at the most. Under a monitor whose host is busy the processor may stand still in the middle of one.
const TRIES: usize = 10;
/// A measurement is good when what is uncertain of it is at most one part in so many.
const GOOD: u64 = 200;

/// What passed while the interval timer counted down.
struct Measurement {
    counter: u64,
    /// Ticks of the local APIC's timer.
    timer: u32,
    /// Counter ticks that may be missing at either end.
    uncertain: u64,
}

/// Measures the counter and the local APIC's timer. The clock then starts at `start`, a counter value.
pub fn init(start: u64) {
    let mut best = measure();
    for _ in 1..TRIES {
        if best.uncertain.saturating_mul(GOOD) <= best.counter {
            break;
        }
        let next = measure();
        if next.uncertain < best.uncertain {
            best = next;
        }
    }
    let ns = u64::from(PIT_TICKS) * 1_000_000_000 / PIT_HZ;
    let mult = (u128::from(ns) << SHIFT).checked_div(u128::from(best.counter)).unwrap_or(1 << SHIFT);
    MULT.store(mult.max(1) as u64, Ordering::Relaxed);
    BASE.store(start, Ordering::Relaxed);
    apic::set_timer_rate(best.timer, ns);
    WALL.store(read_rtc().saturating_mul(1_000_000_000).saturating_sub(monotonic_ns()), Ordering::Relaxed);
}

fn measure() -> Measurement {
    // Channel 2 counts down once, its output readable and the speaker off.
    let gate = ports::in8(0x61) & !0b11;
    ports::out8(0x61, gate);
    ports::out8(0x43, 0b1011_0000);
    ports::out8(0x42, PIT_TICKS as u8);
    let early = msr::read_tsc();
    ports::out8(0x42, (PIT_TICKS >> 8) as u8);
    ports::out8(0x61, gate | 1);
    apic::start_measuring();
    let before = msr::read_tsc();
    // An interval timer that never ends would hang the boot: give up after two seconds of any counter.
    let mut running = before;
    loop {
        let ended = ports::in8(0x61) & 1 << 5 != 0;
        let at = msr::read_tsc();
        if ended || at.saturating_sub(before) >= 10_000_000_000 {
            let timer = apic::measured();
            let after = msr::read_tsc();
            ports::out8(0x61, gate);
            return Measurement {
                counter: at.saturating_sub(before),
                timer,
                uncertain: before.saturating_sub(early) + after.saturating_sub(running),
            };
        }
        running = at;
    }
}

#[inline]
pub fn monotonic_ns() -> u64 {
    let ticks = msr::read_tsc().saturating_sub(BASE.load(Ordering::Relaxed));
    ((u128::from(ticks) * u128::from(MULT.load(Ordering::Relaxed))) >> SHIFT) as u64
}

pub fn wall_offset_ns() -> u64 {
    WALL.load(Ordering::Relaxed)
}

pub fn set_wall_offset_ns(offset: u64) {
    WALL.store(offset, Ordering::Relaxed);
}

/// Counter value at time 0, multiplier, shift.
pub fn parameters() -> (u64, u64, u32) {
    (BASE.load(Ordering::Relaxed), MULT.load(Ordering::Relaxed), SHIFT)
}

pub fn arm_timer(deadline: u64) {
    if deadline == u64::MAX {
        apic::disarm();
    } else {
        apic::arm_after(deadline.saturating_sub(monotonic_ns()));
    }
}

/// Seconds since 1970 by the real-time clock, which is taken to hold UTC. 0 when it makes no sense.
fn read_rtc() -> u64 {
    let register = |number: u8| {
        ports::out8(0x70, number | 0x80);
        ports::in8(0x71)
    };
    let read = || {
        // Not while it changes: the bit is up for two milliseconds at most.
        let limit = msr::read_tsc().saturating_add(100_000_000);
        while register(0x0a) & 0x80 != 0 && msr::read_tsc() < limit {}
        [0, 2, 4, 7, 8, 9].map(register)
    };
    let mut fields = read();
    for _ in 0..4 {
        let again = read();
        if again == fields {
            break;
        }
        fields = again;
    }
    let mode = register(0x0b);
    let binary = |value: u8| if mode & 4 != 0 { value } else { (value >> 4) * 10 + (value & 15) };
    let [second, minute, hour, day, month, year] = fields;
    let hour = match (mode & 2 != 0, hour & 0x80 != 0) {
        (true, _) => binary(hour),
        (false, afternoon) => binary(hour & 0x7f) % 12 + if afternoon { 12 } else { 0 },
    };
    let (year, month) = (2000 + u64::from(binary(year)), u64::from(binary(month)));
    if !(1..=12).contains(&month) {
        return 0;
    }
    // Days since 1970 in the proleptic Gregorian calendar, years beginning in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + u64::from(binary(day)) - 1 - 719_468;
    days * 86400 + u64::from(hour) * 3600 + u64::from(binary(minute)) * 60 + u64::from(binary(second))
}
