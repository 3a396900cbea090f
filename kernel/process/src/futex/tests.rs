//! Buckets: who is woken, in which order, and where who is moved waits.

use kernel_hal::addr::Virt;

use super::bucket::{Bucket, Locked, Woken};
use super::key::Key;
use super::operate::{step, wake_key};
use crate::testing::World;

/// Keys that no other test uses.
fn key(number: u64) -> Key {
    use core::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1 << 40);
    Key::private(NEXT.fetch_add(1, Ordering::Relaxed), Virt(number * 4))
}

fn moved(from: Key, to: Key, wake: usize, most: usize) -> usize {
    let (mut source, mut target) = Locked::both(from, to);
    let (mut handled, mut woken) = (0, Woken::new());
    assert!(step(&mut source, target.as_mut(), (from, to), (wake, most), &mut handled, &mut woken));
    drop((source, target));
    woken.wake();
    handled
}

#[test]
fn who_comes_first_is_woken_first_and_only_for_its_bits() {
    let world = World::new();
    let process = world.process();
    let threads = world.threads(&process, 6);
    let word = key(1);
    for (thread, bits) in threads.iter().zip([1, 2, 1, 3, 4, u32::MAX]) {
        Bucket::enter(word, bits, thread).expect("room");
    }
    let waiting = || threads.iter().map(|thread| !thread.futex.is_woken()).collect::<std::vec::Vec<_>>();
    assert_eq!(wake_key(key(1), 10, u32::MAX), 0);
    assert_eq!(wake_key(word, 2, 2), 2);
    assert_eq!(waiting(), [true, false, true, false, true, true]);
    assert!(Bucket::leave(&threads[2]));
    assert!(!Bucket::leave(&threads[2]));
    assert_eq!(wake_key(word, usize::MAX, u32::MAX), 3);
    assert_eq!(waiting(), [false; 6]);
    assert!(Bucket::is_empty(word));
    assert!(!Bucket::leave(&threads[0]));
}

#[test]
fn more_than_fit_one_round_are_woken() {
    let world = World::new();
    let process = world.process();
    let threads = world.threads(&process, 3 * Woken::ROOM + 1);
    let word = key(2);
    threads.iter().for_each(|thread| Bucket::enter(word, 1, thread).expect("room"));
    assert_eq!(wake_key(word, threads.len() - 1, 1), threads.len() - 1);
    assert_eq!(wake_key(word, usize::MAX, 1), 1);
}

#[test]
fn who_is_moved_waits_elsewhere() {
    let world = World::new();
    let process = world.process();
    for number in 0..40 {
        let threads = world.threads(&process, 5);
        // In the same bucket or another, as it falls.
        let (from, to) = (key(number), key(number + 1000));
        threads.iter().for_each(|thread| Bucket::enter(from, 1, thread).expect("room"));
        assert_eq!(moved(from, to, 1, 2), 3);
        assert_eq!(wake_key(from, 10, 1), 2);
        assert!(Bucket::leave(&threads[1]));
        assert_eq!(wake_key(to, 10, 1), 1);
        assert!(threads.iter().all(|thread| thread.futex.is_woken()));
        assert_eq!(moved(from, to, 1, 2), 0);
    }
}

#[test]
fn keys_tell_memory_apart() {
    let keys = [
        Key::private(1, Virt(4)),
        Key::private(2, Virt(4)),
        Key::private(1, Virt(8)),
        Key::shared(1, 4),
        Key::shared(2, 4),
    ];
    for (index, key) in keys.iter().enumerate() {
        assert_eq!(keys.iter().position(|other| other == key), Some(index));
    }
}
