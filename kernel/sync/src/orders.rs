//! Locks and waiting under every kind of order: shuttle runs each case many times and chooses at each atomic operation who
//! goes on. A wake that is lost is a deadlock, which it reports with the schedule that leads there.
//!
//! `cargo test -p kernel-sync --features model`

use std::sync::Arc;
use std::vec::Vec;

use kernel_hal::lock::{IrqLock, SpinLock};
use kernel_hal::model::{AtomicBool, AtomicUsize, Ordering};
use shuttle::thread;

use crate::{Mutex, Poller, RwLock, Sequence, WaitQueue};

/// Schedules of each kind for each case.
const SCHEDULES: usize = 3000;

/// Runs `case` with the next thread chosen at random, and with few switches at places chosen at random, which finds
/// what needs one thread to stand still for long.
fn under_all_orders(case: impl Fn() + Send + Sync + 'static) {
    let case = Arc::new(case);
    let again = case.clone();
    shuttle::check_random(move || again(), SCHEDULES);
    shuttle::check_pct(move || case(), SCHEDULES, 3);
}

fn together(count: usize, work: impl Fn(usize) + Send + Sync + 'static) {
    let work = Arc::new(work);
    let threads: Vec<_> = (0..count)
        .map(|number| {
            let work = work.clone();
            thread::spawn(move || work(number))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("a thread of the case"));
}

fn take(tokens: &AtomicUsize) -> Option<()> {
    tokens.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).ok().map(drop)
}

#[test]
fn a_waiter_sees_the_wake_that_follows_its_condition() {
    under_all_orders(|| {
        let shared = Arc::new((WaitQueue::new(), AtomicBool::new(false)));
        let other = shared.clone();
        let waker = thread::spawn(move || {
            other.1.store(true, Ordering::SeqCst);
            other.0.wake_one();
        });
        shared.0.wait_uninterruptible(|| shared.1.load(Ordering::SeqCst).then_some(()));
        waker.join().expect("the waker");
        assert!(shared.0.is_empty());
    });
}

#[test]
fn every_token_finds_a_waiter() {
    under_all_orders(|| {
        let shared = Arc::new((WaitQueue::new(), AtomicUsize::new(0)));
        let others = shared.clone();
        let giver = thread::spawn(move || {
            for _ in 0..3 {
                others.1.fetch_add(1, Ordering::SeqCst);
                others.0.wake_one();
            }
        });
        let takers = shared.clone();
        together(3, move |_| takers.0.wait_uninterruptible(|| take(&takers.1)));
        giver.join().expect("the giver");
        assert_eq!(shared.1.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_mutex_has_one_holder_and_wakes_the_next() {
    under_all_orders(|| {
        let counter = Arc::new(Mutex::new(0));
        let shared = counter.clone();
        together(3, move |_| {
            for _ in 0..2 {
                let mut counter = shared.lock();
                let before = *counter;
                thread::yield_now();
                *counter = before + 1;
            }
        });
        assert_eq!(*counter.lock(), 6);
    });
}

#[test]
fn readers_share_and_a_writer_is_alone() {
    under_all_orders(|| {
        let pair = Arc::new(RwLock::new((0, 0)));
        let shared = pair.clone();
        together(3, move |number| {
            if number == 0 {
                let mut pair = shared.write();
                pair.0 += 1;
                thread::yield_now();
                pair.1 += 1;
            } else {
                let pair = shared.read();
                let first = pair.0;
                thread::yield_now();
                assert_eq!(first, pair.1);
            }
        });
        assert_eq!(*pair.read(), (1, 1));
    });
}

#[test]
fn spinning_locks_have_one_holder() {
    under_all_orders(|| {
        let shared = Arc::new((SpinLock::new(0), IrqLock::new(0)));
        let others = shared.clone();
        together(2, move |_| {
            for _ in 0..2 {
                *others.0.lock() += 1;
                let mut counter = others.1.lock();
                let before = *counter;
                *counter = before + 1;
            }
        });
        assert_eq!((*shared.0.lock(), *shared.1.lock()), (4, 4));
    });
}

#[test]
fn a_poller_is_woken_by_any_of_its_queues() {
    under_all_orders(|| {
        let queues = Arc::new([Arc::new(WaitQueue::new()), Arc::new(WaitQueue::new())]);
        let ready = Arc::new(AtomicBool::new(false));
        let (theirs, flag) = (queues.clone(), ready.clone());
        let waker = thread::spawn(move || {
            flag.store(true, Ordering::SeqCst);
            theirs[1].wake_all();
        });
        let mut poller = Poller::new();
        queues.iter().for_each(|queue| poller.watch(queue));
        while !ready.load(Ordering::SeqCst) {
            poller.wait(None).expect("a wake");
        }
        drop(poller);
        waker.join().expect("the waker");
        assert!(queues.iter().all(|queue| queue.is_empty()));
    });
}

#[test]
fn a_sequence_is_read_as_a_whole() {
    under_all_orders(|| {
        let words = Arc::new(Sequence::new([0, 0]));
        let shared = words.clone();
        together(3, move |number| {
            if number == 0 {
                shared.write(|[one, two]| [one + 1, two + 1]);
                shared.write(|[one, two]| [one + 1, two + 1]);
            } else {
                let [one, two] = shared.read();
                assert_eq!(one, two);
            }
        });
        assert_eq!(words.read(), [2, 2]);
    });
}
