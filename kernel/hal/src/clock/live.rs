//! The clock that runs: which counter, and since when it means which time. Changed a few times at most, and read all
//! the time, by all processors.
//!
//! Each state has a place of its own that is written once, before its number is published; so a reader sees one state as a
//! whole. It asks for the number again after it has read the counter, and waits while a change is under way: so no time by
//! the old state is told that was read after the new one's first moment, and nobody sees time go back.

use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

use super::rate::{SHIFT, Scale};
use crate::cpu;
use crate::lock::IrqLock;

/// One state: time is `base_ns` at `base`, and goes on by `scale`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct State {
    /// The processor's counter, or else the board's.
    pub by_processor: bool,
    pub base: u64,
    pub base_ns: u64,
    pub scale: Scale,
}

/// In the number of the current state, while the next one is made.
const CHANGING: usize = 1 << 8;
/// Looks until a change under way is not waited for any more: it may have been interrupted on this very processor, by what
/// cannot be masked.
const PATIENCE: u32 = 1_000_000;

/// Provisional, measured, measured better, and the fallback.
const STATES: usize = 4;

struct Place {
    by_processor: AtomicBool,
    base: AtomicU64,
    base_ns: AtomicU64,
    ns_per_tick: AtomicU64,
    ticks_per_ns: AtomicU64,
}

impl Place {
    const fn new() -> Place {
        Place {
            by_processor: AtomicBool::new(true),
            base: AtomicU64::new(0),
            base_ns: AtomicU64::new(0),
            ns_per_tick: AtomicU64::new(1 << SHIFT),
            ticks_per_ns: AtomicU64::new(1 << SHIFT),
        }
    }

    fn load(&self) -> State {
        State {
            by_processor: self.by_processor.load(Ordering::Relaxed),
            base: self.base.load(Ordering::Relaxed),
            base_ns: self.base_ns.load(Ordering::Relaxed),
            scale: Scale {
                ns_per_tick: self.ns_per_tick.load(Ordering::Relaxed),
                ticks_per_ns: self.ticks_per_ns.load(Ordering::Relaxed),
            },
        }
    }
}

/// The states of a clock, the first of which counts a nanosecond a tick.
pub struct Live {
    places: [Place; STATES],
    current: AtomicUsize,
    changing: IrqLock<()>,
}

impl Live {
    pub const fn new() -> Live {
        Live { places: [const { Place::new() }; STATES], current: AtomicUsize::new(0), changing: IrqLock::new(()) }
    }

    pub fn state(&self) -> State {
        self.places[self.current.load(Ordering::Acquire) % STATES].load()
    }

    /// The scale of the processor's counter, also when it is not the clock.
    pub fn processor_scale(&self) -> Scale {
        let current = self.current.load(Ordering::Acquire) % STATES;
        let by_processor = |place: &&Place| place.by_processor.load(Ordering::Relaxed);
        let places = self.places.iter().take(current + 1).rev();
        places.into_iter().find(by_processor).unwrap_or(&self.places[0]).load().scale
    }

    /// Now. `processor` and `board` read the counters.
    #[inline]
    pub fn now(&self, processor: impl Fn() -> u64, board: impl Fn() -> u64) -> u64 {
        let mut patience = PATIENCE;
        loop {
            let current = self.current.load(Ordering::Acquire);
            if current >= CHANGING && patience > 0 {
                patience -= 1;
                cpu::relax();
                continue;
            }
            let place = &self.places[current % STATES];
            let counter = if place.by_processor.load(Ordering::Relaxed) { processor() } else { board() };
            let ticks = counter.saturating_sub(place.base.load(Ordering::Relaxed));
            let passed = (u128::from(ticks) * u128::from(place.ns_per_tick.load(Ordering::Relaxed))) >> SHIFT;
            let ns = place.base_ns.load(Ordering::Relaxed).wrapping_add(passed as u64);
            if self.current.load(Ordering::Acquire) == current {
                return ns;
            }
        }
    }

    /// Starts time anew: the first state, before anything asks.
    pub fn restart(&self, state: State) {
        let _one = self.changing.lock();
        self.put(0, state);
        self.current.store(0, Ordering::Release);
    }

    /// Goes on by another scale or counter, from the time that it is. False when it was changed too often already.
    pub fn change(
        &self,
        by_processor: bool,
        scale: Scale,
        processor: impl Fn() -> u64,
        board: impl Fn() -> u64,
    ) -> bool {
        let _one = self.changing.lock();
        let next = self.current.load(Ordering::Relaxed) + 1;
        if next >= STATES {
            return false;
        }
        let old = self.state();
        self.current.store((next - 1) | CHANGING, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let counter = if old.by_processor { processor() } else { board() };
        // One more, since what the old state tells is rounded down.
        let base_ns = old.base_ns + old.scale.ns(counter.saturating_sub(old.base)) + 1;
        let base = if by_processor { processor() } else { board() };
        self.put(next, State { by_processor, base, base_ns, scale });
        self.current.store(next, Ordering::Release);
        true
    }

    fn put(&self, index: usize, state: State) {
        let place = &self.places[index];
        place.by_processor.store(state.by_processor, Ordering::Relaxed);
        place.base.store(state.base, Ordering::Relaxed);
        place.base_ns.store(state.base_ns, Ordering::Relaxed);
        place.ns_per_tick.store(state.scale.ns_per_tick, Ordering::Relaxed);
        place.ticks_per_ns.store(state.scale.ticks_per_ns, Ordering::Relaxed);
    }
}

impl Default for Live {
    fn default() -> Live {
        Live::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn time_goes_on_through_changes_on_all_processors() {
        for _ in 0..20 {
            let start = Instant::now();
            let processor = || start.elapsed().as_nanos() as u64 * 3;
            let board = || start.elapsed().as_nanos() as u64 / 70;
            let live = Live::new();
            let scale = |hz| Scale::from_hz(hz).expect("a rate");
            live.restart(State { by_processor: true, base: processor(), base_ns: 0, scale: scale(3_100_000_000) });
            let told = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        for _ in 0..3000 {
                            let before = told.load(Ordering::SeqCst);
                            let now = live.now(processor, board);
                            assert!(now >= before, "{now} after {before}");
                            told.fetch_max(now, Ordering::SeqCst);
                        }
                    });
                }
                for (by_processor, hz) in [(true, 3_000_000_000), (true, 3_300_000_000), (false, 1_000_000_000 / 70)] {
                    std::thread::yield_now();
                    assert!(live.change(by_processor, scale(hz), processor, board));
                }
                assert!(!live.change(true, scale(1), processor, board), "there is no place left");
            });
            assert!(!live.state().by_processor);
            assert_eq!(live.processor_scale(), scale(3_300_000_000));
        }
    }

    #[test]
    fn a_change_keeps_the_time() {
        let live = Live::new();
        let scale = |hz| Scale::from_hz(hz).expect("a rate");
        live.restart(State { by_processor: true, base: 100, base_ns: 7, scale: scale(1_000_000_000) });
        assert_eq!(live.now(|| 1100, || 0), 1007);
        assert_eq!(live.now(|| 5, || 0), 7, "before it began");
        assert!(live.change(false, scale(100_000_000), || 1100, || 50));
        assert_eq!(live.now(|| 0, || 50), 1008);
        assert_eq!(live.now(|| 0, || 150), 2008);
    }
}
