//! This machine's clock and timers, put together from what [`clock`](crate::clock) decides and computes.
//!
//! Time begins with the kernel. Until [`calibrate`], which needs the firmware's tables, it is only roughly right, and no
//! timer may be set.

use core::arch::x86_64::__cpuid;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{apic, features, msr};
use crate::clock::calibrate::{self, Look, Measurement, Processor};
use crate::clock::choice::{Facts, Source, TimerMode, choose};
use crate::clock::live::{Live, State};
use crate::clock::rate::{self, SHIFT, Scale, Told};
use crate::clock::reference::{Endless, Reference, References};
use crate::clock::rtc;
use crate::clock::timer::{LocalTimer, Setting};
use crate::clock::warp::Warp;
use crate::cpu::IrqGuard;
use crate::lock::IrqLock;
use crate::once::Once;
use crate::time::Change;

/// Taken for the counter's rate until it is known.
const GUESS_HZ: u64 = 2_000_000_000;
/// How long counters are measured: against a fine reference, and against the others.
const FINE_NS: u64 = 2_000_000;
const COARSE_NS: u64 = 5_000_000;
/// A second measurement that differs by more from the first, in parts of a million, is not believed.
const MOST_PPM: u64 = 10_000;
/// A counter that turns over later than in so many nanoseconds, 13 days, does not turn over unseen.
const LONG: u64 = 1 << 50;
/// How long processors wait for each other to compare their counters, in ticks.
const MEETING: u64 = 10_000_000_000;

static LIVE: Live = Live::new();
static START: AtomicU64 = AtomicU64::new(0);
static WALL: AtomicU64 = AtomicU64::new(0);
/// The board's counter that can stand in, with its turns.
static BOARD: Once<Reference> = Once::new();
static TURNS: Endless = Endless::new();
/// The board's counter is the clock, and may turn over within an idle processor's sleep.
static KEEP_ALIVE: AtomicBool = AtomicBool::new(false);
/// Where the first CPU and the one that has just started compare their counters.
static WARP: Warp = Warp::new();
static DEADLINE: AtomicBool = AtomicBool::new(false);
/// The local timers' scale.
static TIMER_NS: AtomicU64 = AtomicU64::new(1 << SHIFT);
static TIMER_TICKS: AtomicU64 = AtomicU64::new(1 << SHIFT);
/// The first look at the counters, and what was made of it, until they are measured once more.
static FIRST: IrqLock<Option<(Look, Measurement)>> = IrqLock::new(None);

struct Here;

impl Processor for Here {
    fn counter(&self) -> u64 {
        ordered_counter()
    }

    fn timer(&self) -> u32 {
        apic::measured()
    }
}

/// The counter, not read before earlier loads are done.
#[inline]
fn ordered_counter() -> u64 {
    // SAFETY: every x86-64 processor has LFENCE.
    unsafe { core::arch::x86_64::_mm_lfence() };
    msr::read_tsc()
}

fn board() -> u64 {
    BOARD.get().map_or(0, |board| TURNS.advance(board.read(), board.mask))
}

fn told() -> Told {
    // The monitor's leaves have a range of their own.
    let monitored = __cpuid(1).ecx & 1 << 31 != 0;
    rate::told(|leaf| match leaf {
        0x4000_0000.. => {
            let most = if monitored { __cpuid(0x4000_0000).eax } else { 0 };
            let found = __cpuid(leaf);
            if (leaf..0x4001_0000).contains(&most) { [found.eax, found.ebx, found.ecx, found.edx] } else { [0; 4] }
        }
        leaf => features::identification(leaf, 0),
    })
}

fn facts() -> Facts {
    let one = __cpuid(1).ecx;
    Facts {
        invariant: features::identification(0x8000_0007, 0)[3] & 1 << 8 != 0,
        monitored: one & 1 << 31 != 0,
        warped: false,
        reference: BOARD.get().is_some(),
        deadline: one & 1 << 24 != 0,
    }
}

/// Time begins at `start`, a counter value.
pub fn begin(start: u64) {
    START.store(start, Ordering::Relaxed);
    let scale = Scale::from_hz(told().counter.unwrap_or(GUESS_HZ));
    if let Some(scale) = scale {
        LIVE.restart(State { by_processor: true, base: start, base_ns: 0, scale });
    }
}

/// Finds the clock and the timers' rate; takes the date from the battery's clock. Called once, before anything waits.
pub fn calibrate(references: References) {
    apic::start_measuring();
    let told = told();
    let hpet = references.hpet.and_then(Reference::hpet).filter(Reference::runs);
    let fine = hpet.is_some();
    let board = hpet.or_else(|| references.pm_timer.and_then(Reference::pm_timer).filter(Reference::runs));
    let whole = told.exact && (told.timer.is_some() || facts().deadline);
    let measured = if whole {
        None
    } else {
        let found = board.as_ref().and_then(|board| {
            let first = calibrate::look(board, &Here);
            let found = calibrate::measure(board, &Here, if fine { FINE_NS } else { COARSE_NS })?;
            *FIRST.lock() = Some((first, found)).filter(|_| !told.exact);
            Some(found)
        });
        found.or_else(|| calibrate::measure(&Reference::pit(), &Here, COARSE_NS))
    };
    let counter = told.counter.filter(|_| told.exact).and_then(Scale::from_hz).or(measured.map(|found| found.counter));
    let counter = counter.or(told.counter.and_then(Scale::from_hz));
    let timer = told.timer.and_then(Scale::from_hz).filter(|_| told.exact).or(measured.and_then(|found| found.timer));
    match counter {
        Some(scale) => {
            LIVE.restart(State { by_processor: true, base: START.load(Ordering::Relaxed), base_ns: 0, scale });
            set_timer_scale(timer.unwrap_or(scale));
            log::info!(
                "clock: {} Hz {}, timer {} Hz{}",
                scale.hz(),
                if told.exact { "as the processor says" } else { board.as_ref().map_or("by pit", |board| board.name) },
                timer.unwrap_or(scale).hz(),
                if facts().deadline { ", with deadline" } else { "" },
            );
        }
        None => log::error!("no counter of the board runs: time is a guess"),
    }
    if let Some(board) = board.filter(Reference::can_be_clock) {
        TURNS.start(board.read());
        BOARD.set(board);
    }
    let (source, mode) = choose(Facts { warped: references.distrust_counter, ..facts() });
    DEADLINE.store(mode == TimerMode::Deadline, Ordering::Relaxed);
    if source == Source::Reference {
        use_board();
    }
    start_timer();
    WALL.store(rtc::read().saturating_mul(1_000_000_000).saturating_sub(monotonic_ns()), Ordering::Relaxed);
}

fn set_timer_scale(scale: Scale) {
    TIMER_NS.store(scale.ns_per_tick, Ordering::Relaxed);
    TIMER_TICKS.store(scale.ticks_per_ns, Ordering::Relaxed);
}

fn local_timer() -> LocalTimer {
    let deadline = DEADLINE.load(Ordering::Relaxed);
    LocalTimer {
        mode: if deadline { TimerMode::Deadline } else { TimerMode::OneShot },
        timer: Scale {
            ns_per_tick: TIMER_NS.load(Ordering::Relaxed),
            ticks_per_ns: TIMER_TICKS.load(Ordering::Relaxed),
        },
        counter: LIVE.processor_scale(),
    }
}

/// Goes on by another scale or counter. Programs do not compute the time meanwhile, however long that takes: what they
/// computed before was read before the change.
fn change(by_processor: bool, scale: Scale) -> bool {
    crate::time::tell(Change::Begins);
    let changed = LIVE.change(by_processor, scale, ordered_counter, board);
    crate::time::tell(Change::Done);
    changed
}

/// Makes the board's counter the clock. False when there is none, or it is the clock already.
fn use_board() -> bool {
    let Some(reference) = BOARD.get() else { return false };
    let Some(scale) = Scale::measured(1_000_000_000, reference.period_fs.saturating_mul(1000)) else { return false };
    if !LIVE.state().by_processor || !change(false, scale) {
        return false;
    }
    KEEP_ALIVE.store(reference.ns(reference.mask) < LONG, Ordering::Relaxed);
    log::warn!("clock: the processors' counters are not trusted: time is told by {} and takes a call", reference.name);
    true
}

/// Sets this CPU's timer up, off. Called once on each.
pub fn start_timer() {
    apic::start_timer(local_timer().mode);
}

/// Prepares the comparison of the next CPU that starts with this one.
pub fn expect_other() {
    WARP.reset();
}

/// Compares this CPU's counter with the other's, which calls this at about the same time; both with interrupts off.
pub fn compare_counters() -> Option<u64> {
    WARP.check(MEETING, ordered_counter)
}

/// Compares the counter of the CPU that has just started with this one's. When they disagree, or it does not come, the
/// counters are no longer the clock.
pub fn check_synchronised() {
    let _off = IrqGuard::new();
    match compare_counters() {
        Some(0) => return,
        Some(behind) => log::warn!("clock: the processors' counters are {behind} ticks apart"),
        None => log::warn!("clock: a processor did not come to compare its counter"),
    }
    distrust_counter();
}

/// The processors' counters disagree: time goes on by the board's, where there is one.
fn distrust_counter() {
    if !use_board() {
        log::error!("clock: there is no other, so time may differ between processors");
    }
}

/// Measures once more, over all the time since start. True when that made a better clock. Called about a second after
/// start, when nothing has to wait for it.
pub fn refine() -> bool {
    let Some((first, before)) = FIRST.lock().take() else { return false };
    let Some(reference) = BOARD.get().filter(|_| LIVE.state().by_processor) else { return false };
    // Within one turn of the reference by the clock that there is, with room for its error.
    let passed = {
        let _off = IrqGuard::new();
        let second = calibrate::look(reference, &Here);
        let rough = LIVE.state().scale.ns(second.counter_since(first));
        if rough > reference.ns(reference.mask) / 8 * 7 {
            return false;
        }
        calibrate::between(reference, first, second)
    };
    let Some(found) = passed else { return false };
    let (old, new) = (before.counter.hz(), found.counter.hz());
    if found.uncertain_ppm >= before.uncertain_ppm
        || old.abs_diff(new).saturating_mul(1_000_000) / old.max(1) > MOST_PPM
    {
        log::warn!("clock: measured again as {new} Hz, which is not believed");
        return false;
    }
    if !change(true, found.counter) {
        return false;
    }
    // The timer was in use meanwhile; how it relates to the counter is known from the first measurement.
    if let Some(timer) = before.timer {
        let hz = u128::from(timer.hz()) * u128::from(new) / u128::from(old.max(1));
        if let Some(scale) = Scale::from_hz(hz as u64) {
            set_timer_scale(scale);
        }
    }
    log::info!("clock: {new} Hz, measured to {} parts in a million", found.uncertain_ppm);
    true
}

#[inline]
pub fn monotonic_ns() -> u64 {
    LIVE.now(ordered_counter, board)
}

pub fn wall_offset_ns() -> u64 {
    WALL.load(Ordering::Relaxed)
}

pub fn set_wall_offset_ns(offset: u64) {
    WALL.store(offset, Ordering::Relaxed);
}

/// How programs may compute the clock from the counter, and whether they may.
pub fn parameters() -> crate::time::Parameters {
    let state = LIVE.state();
    crate::time::Parameters {
        readable: state.by_processor,
        base: state.base,
        base_ns: state.base_ns,
        mult: state.scale.ns_per_tick,
        shift: SHIFT,
    }
}

/// Ticks a second of the processors' counters.
pub fn counter_hz() -> u64 {
    LIVE.processor_scale().hz()
}

/// What the clock is read from, by Linux's names.
pub fn source() -> &'static str {
    match BOARD.get() {
        Some(board) if !LIVE.state().by_processor => board.name,
        _ => "tsc",
    }
}

pub fn arm_timer(deadline: u64) {
    if deadline == u64::MAX && !KEEP_ALIVE.load(Ordering::Relaxed) {
        apic::set_timer(if DEADLINE.load(Ordering::Relaxed) { Setting::Deadline(0) } else { Setting::Off });
        return;
    }
    let mut ns = deadline.saturating_sub(monotonic_ns());
    if KEEP_ALIVE.load(Ordering::Relaxed) {
        ns = ns.min(BOARD.get().map_or(u64::MAX, |board| board.ns(board.mask / 4)));
    }
    apic::set_timer(local_timer().after(ns, msr::read_tsc()));
}

/// The timer has come. A clock that turns over must be read now and then, also when nobody waits.
#[inline]
pub fn timer_came() {
    if KEEP_ALIVE.load(Ordering::Relaxed) {
        arm_timer(u64::MAX);
    }
}
