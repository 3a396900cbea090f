//! The thread that timers of processes run on.
//!
//! A process has at most one entry here: the time at which its next timer may run out. The thread sleeps until the
//! first of all entries and then has each process look at its timers, where sleeping locks may be taken.

use alloc::collections::BTreeMap;
use alloc::sync::Weak;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use aios_abi::Errno;
use kernel_hal::time::{Instant, now};
use kernel_sync::{SpinLock, WaitQueue};

use crate::Process;

/// An entry: its time and a number that makes it unique.
pub(super) type Key = (Instant, u64);

static ALARMS: SpinLock<BTreeMap<Key, Weak<Process>>> = SpinLock::new(BTreeMap::new());
static NUMBER: AtomicU64 = AtomicU64::new(0);
static QUEUE: WaitQueue = WaitQueue::new();
/// The first entry has changed.
static CHANGED: AtomicBool = AtomicBool::new(false);
static STARTED: SpinLock<bool> = SpinLock::new(false);

/// Makes sure that the thread runs. `ENOMEM` when there is no room for it.
pub(super) fn start() -> Result<(), Errno> {
    if core::mem::replace(&mut *STARTED.lock(), true) {
        return Ok(());
    }
    let started = kernel_sched::spawn("timers", run);
    if started.is_err() {
        *STARTED.lock() = false;
    }
    started.map(drop)
}

/// Has `process` look at its timers at `at`.
pub(super) fn add(at: Instant, process: Weak<Process>) -> Key {
    let key = (at, NUMBER.fetch_add(1, Ordering::Relaxed));
    let first = {
        let mut alarms = ALARMS.lock();
        alarms.insert(key, process);
        alarms.first_key_value().is_some_and(|(first, _)| *first == key)
    };
    if first {
        CHANGED.store(true, Ordering::SeqCst);
        QUEUE.wake_one();
    }
    key
}

pub(super) fn remove(key: Key) {
    let entry = ALARMS.lock().remove(&key);
    drop(entry);
}

fn run() {
    loop {
        let first = ALARMS.lock().first_key_value().map(|(key, _)| key.0);
        // Either way it is time to look.
        let _woken = QUEUE.wait_until_deadline(first, || CHANGED.swap(false, Ordering::SeqCst).then_some(()));
        while let Some(process) = due() {
            if let Some(process) = process.upgrade() {
                process.timers.look(&process);
            }
        }
    }
}

fn due() -> Option<Weak<Process>> {
    let at = now();
    let mut alarms = ALARMS.lock();
    let due = alarms.first_key_value().is_some_and(|(key, _)| key.0 <= at);
    if due { alarms.pop_first().map(|(_, process)| process) } else { None }
}
