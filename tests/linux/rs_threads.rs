//! Threads as Rust's library uses them: scopes, channels, locks, parking, time-outs, thread locals.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex, OnceLock, RwLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

thread_local!(static MINE: Cell<u32> = const { Cell::new(1) });

fn main() {
    let total = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..16 {
            let total = &total;
            scope.spawn(move || total.fetch_add(number, Ordering::SeqCst));
        }
    });
    println!("sum {}", total.load(Ordering::SeqCst));

    let (sender, receiver) = mpsc::channel();
    for worker in 0..4u64 {
        let sender = sender.clone();
        thread::spawn(move || (0..250).for_each(|value| sender.send(worker * 1000 + value).unwrap()));
    }
    drop(sender);
    let received: Vec<u64> = receiver.iter().collect();
    println!("received {} with sum {}", received.len(), received.iter().sum::<u64>());
    let (sender, receiver) = mpsc::sync_channel(1);
    let producer = thread::spawn(move || (0..50).for_each(|value| sender.send(value).unwrap()));
    println!("in order {}", receiver.iter().enumerate().all(|(index, value)| index == value));
    producer.join().unwrap();
    let (_keep, silent) = mpsc::channel::<()>();
    println!("time-out {:?}", silent.recv_timeout(Duration::from_millis(10)));

    let pair = Arc::new((Mutex::new(0), Condvar::new()));
    let other = Arc::clone(&pair);
    let waker = thread::spawn(move || {
        for _ in 0..10 {
            *other.0.lock().unwrap() += 1;
            other.1.notify_all();
        }
    });
    let reached = pair.1.wait_while(pair.0.lock().unwrap(), |count| *count < 10).unwrap();
    println!("condition reached at {}", *reached);
    drop(reached);
    waker.join().unwrap();
    let (_count, result) = pair.1.wait_timeout(pair.0.lock().unwrap(), Duration::from_millis(10)).unwrap();
    println!("timed out {}", result.timed_out());

    let lock = RwLock::new(vec![0u32; 4]);
    let barrier = Barrier::new(8);
    thread::scope(|scope| {
        for index in 0..8 {
            let (lock, barrier) = (&lock, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for _ in 0..100 {
                    if index % 2 == 0 {
                        lock.write().unwrap().iter_mut().for_each(|value| *value += 1);
                    } else {
                        let values = lock.read().unwrap();
                        assert!(values.iter().all(|value| *value == values[0]));
                    }
                }
            });
        }
    });
    println!("written {:?}", lock.into_inner().unwrap());

    let sleeper = thread::spawn(|| {
        thread::park();
        MINE.with(|mine| mine.replace(5))
    });
    thread::sleep(Duration::from_millis(10));
    sleeper.thread().unpark();
    println!("thread local {} and ours {}", sleeper.join().unwrap(), MINE.with(Cell::get));
    // In a thread that nobody knows: the scope's last thread unparks this one, which may have gone on long before.
    let alone = thread::spawn(|| {
        let begin = Instant::now();
        thread::park_timeout(Duration::from_millis(20));
        begin.elapsed() >= Duration::from_millis(20)
    });
    println!("parked long enough {}", alone.join().unwrap());

    std::panic::set_hook(Box::new(|_| ()));
    let failed = thread::Builder::new().name("failing".into()).stack_size(256 * 1024).spawn(|| panic!("as planned")).unwrap().join();
    println!("panic seen {}", failed.unwrap_err().downcast_ref::<&str>().unwrap());
    let poisoned = Mutex::new(1);
    let _ = thread::scope(|scope| {
        scope
            .spawn(|| {
                let _guard = poisoned.lock();
                panic!("poison")
            })
            .join()
            .is_err()
    });
    println!("poisoned {}", poisoned.lock().is_err());
    static ONCE: OnceLock<u32> = OnceLock::new();
    println!("once {} {}", ONCE.get_or_init(|| 7), ONCE.get_or_init(|| 8));
    println!("parallelism {}", thread::available_parallelism().is_ok_and(|count| count.get() >= 1));
}
