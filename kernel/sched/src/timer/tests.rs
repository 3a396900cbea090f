//! Timers on the hosted machine, whose time stands still until told. Each test has a host thread and so a processor's
//! hardware timer to itself; the heaps are by number, so tests take turns.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use kernel_hal::hosted;
use std::sync::atomic::AtomicU32;

use super::*;

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static ONCE: std::sync::Once = std::sync::Once::new();
    hosted::init(16 << 20);
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    ONCE.call_once(|| time::set_timer_handler(fire));
    TIMERS[cpu::id()].armed.store(u64::MAX, Ordering::Relaxed);
    guard
}

/// Counts its wakes and knows when the last was.
#[derive(Default)]
struct Target {
    count: AtomicU32,
    at: AtomicU64,
}

impl Wake for Target {
    fn wake(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.at.store(now().0, Ordering::SeqCst);
    }
}

impl Target {
    fn count(&self) -> u32 {
        self.count.load(Ordering::SeqCst)
    }
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn none_comes_early_and_none_is_lost() {
    let _alone = alone();
    let start = now();
    let made: Vec<(Timer, Arc<Target>, Instant)> = (0..500u64)
        .map(|index| {
            let deadline = start + MS * ((index * 7919) % 101) as u32;
            (Timer::new().expect("a timer"), Arc::default(), deadline)
        })
        .collect();
    made.iter().for_each(|(timer, target, deadline)| timer.set(*deadline, Duration::ZERO, target.clone()));
    assert_eq!(made[1].0.deadline(), Some(made[1].2));
    let taken_back: Vec<usize> = (0..500).filter(|index| index % 5 == 3).collect();
    taken_back.iter().for_each(|index| assert!(made[*index].0.cancel() && !made[*index].0.cancel()));
    for _ in 0..250 {
        hosted::advance(MS / 2);
        for (index, (_, target, deadline)) in made.iter().enumerate() {
            let expected = u32::from(*deadline <= now() && !taken_back.contains(&index));
            assert_eq!(target.count(), expected, "timer {index}");
        }
    }
    assert!(made.iter().all(|(timer, ..)| timer.deadline().is_none()));
}

#[test]
fn setting_again_takes_back() {
    let _alone = alone();
    let (timer, target) = (Timer::new().expect("a timer"), Arc::<Target>::default());
    let start = now();
    timer.set(start + MS, Duration::ZERO, target.clone());
    timer.set(start + MS * 5, Duration::ZERO, target.clone());
    hosted::advance(MS * 4);
    assert_eq!(target.count(), 0);
    hosted::advance(MS);
    assert_eq!(target.count(), 1);
    timer.set(start, Duration::ZERO, target.clone());
    hosted::advance(Duration::ZERO);
    assert_eq!(target.count(), 2, "at once when its time has passed");
    timer.set(start + MS * 100, Duration::ZERO, target.clone());
    drop(timer);
    hosted::advance(MS * 200);
    assert_eq!((target.count(), Arc::strong_count(&target)), (2, 1));
}

#[test]
fn slack_gathers_and_has_an_end() {
    let _alone = alone();
    let start = now();
    let set = |deadline: Duration, slack: Duration| {
        let (timer, target) = (Timer::new().expect("a timer"), Arc::<Target>::default());
        timer.set(start + deadline, slack, target.clone());
        (timer, target)
    };
    let lazy = set(MS * 10, MS * 10);
    assert_eq!(hosted::armed_timer(), Some(start + MS * 20), "as late as it may come");
    let exact = set(MS * 15, Duration::ZERO);
    assert_eq!(hosted::armed_timer(), Some(start + MS * 15));
    let later = set(MS * 30, MS);
    hosted::advance(MS * 12);
    assert_eq!((lazy.1.count(), exact.1.count()), (0, 0), "no interrupt for it alone");
    hosted::advance(MS * 3);
    assert_eq!((exact.1.count(), later.1.count()), (1, 0));
    // Behind the exact one in the order of last moments, and its time has come: the same interrupt.
    assert_eq!(lazy.1.count(), 1);
    hosted::advance(MS * 16);
    assert_eq!(later.1.count(), 1);
    let past_the_end = set(MS * 40, Duration::MAX);
    assert_eq!(past_the_end.0.deadline(), Some(start + MS * 40));
}

/// A target that sets its own timer again, as a periodic one does.
struct Again {
    timer: Timer,
    this: std::sync::OnceLock<std::sync::Weak<Again>>,
    count: AtomicU32,
}

impl Wake for Again {
    fn wake(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        if let Some(this) = self.this.get().and_then(std::sync::Weak::upgrade) {
            self.timer.set(now() + MS, Duration::ZERO, this);
        }
    }
}

#[test]
fn a_target_may_set_itself_again() {
    let _alone = alone();
    let timer = Timer::new().expect("a timer");
    let again = Arc::new(Again { timer, this: std::sync::OnceLock::new(), count: AtomicU32::new(0) });
    again.this.set(Arc::downgrade(&again)).expect("once");
    again.timer.set(now() + MS, Duration::ZERO, again.clone());
    (0..10).for_each(|_| hosted::advance(MS));
    assert_eq!(again.count.load(Ordering::SeqCst), 10);
    again.timer.cancel();
}

/// Ten thousand timers that wait cost a tick no more than ten do: nothing but a look at the first.
#[test]
fn a_tick_costs_the_same_with_ten_and_with_ten_thousand() {
    let _alone = alone();
    let cost = |count: u32| {
        let far = now() + Duration::from_secs(3600);
        let target = Arc::<Target>::default();
        let timers: Vec<Timer> = (0..count).map(|_| Timer::new().expect("a timer")).collect();
        timers.iter().for_each(|timer| timer.set(far, Duration::ZERO, target.clone()));
        let heap = &TIMERS[cpu::id()].heap;
        let before = heap.lock().steps();
        for _ in 0..100 {
            arm_by(now() + MS);
            hosted::advance(MS);
        }
        let idle = heap.lock().steps() - before;
        // And one that comes each time.
        let (busy, before) = (Timer::new().expect("a timer"), heap.lock().steps());
        for _ in 0..100 {
            busy.set(now() + MS, Duration::ZERO, target.clone());
            hosted::advance(MS);
        }
        assert_eq!(target.count(), 100);
        (idle, heap.lock().steps() - before)
    };
    let (few, many) = (cost(10), cost(10_000));
    assert_eq!((few.0, many.0), (0, 0));
    assert!(many.1 <= few.1 * 4, "{} steps with ten, {} with ten thousand", few.1, many.1);
}

#[test]
fn setting_and_taking_back_from_all_sides() {
    let _alone = alone();
    let timer = Timer::new().expect("a timer");
    let target = Arc::<Target>::default();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for index in 0..2000u32 {
                    timer.set(now() + MS * (1 + index % 3), Duration::ZERO, target.clone());
                    if index % 2 == 0 {
                        timer.cancel();
                    }
                    fire();
                }
            });
        }
    });
    timer.cancel();
    assert_eq!(timer.deadline(), None);
    assert_eq!(Arc::strong_count(&target), 1, "no reference stays behind");
    assert!(TIMERS.iter().all(|timers| timers.heap.lock().first().is_none()));
}
