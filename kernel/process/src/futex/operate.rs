//! Waking and moving waiters.

use aios_abi::Errno;
use kernel_hal::addr::Virt;

use super::bucket::{Bucket, Locked, Woken};
use super::key::Key;
use super::word::WakeOp;
use super::{Pair, load};
use crate::Process;

/// Wakes up to `most` that wait for the word and for one of `bits`, and returns how many. As on Linux, who asks for
/// none gets one. `EINVAL` and `EFAULT` as for [`wait`](super::wait).
pub fn wake(process: &Process, address: Virt, private: bool, most: usize, bits: u32) -> Result<usize, Errno> {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    Ok(wake_key(Key::of(process, address, private)?, most.max(1), bits))
}

pub(super) fn wake_key(key: Key, most: usize, bits: u32) -> usize {
    if Bucket::is_empty(key) {
        return 0;
    }
    let mut count = 0;
    let mut woken = Woken::new();
    loop {
        let mut bucket = Locked::of(key);
        let mut place = 0;
        let done = loop {
            if count == most {
                break true;
            }
            if woken.is_full() {
                break false;
            }
            let Some(found) = bucket.find(place, key, bits) else { break true };
            place = found;
            if let Some(entry) = bucket.take(found) {
                woken.add(entry);
                count += 1;
            }
        };
        drop(bucket);
        woken.wake();
        if done {
            return count;
        }
    }
}

/// Wakes up to `wake` that wait for the first word and makes up to `most` others wait for the second instead. Returns
/// how many were woken or moved. With `expected`, `EAGAIN` when the first word is not that.
pub fn requeue(process: &Process, pair: Pair, wake: usize, most: usize, expected: Option<u32>) -> Result<usize, Errno> {
    let (from, to) = pair.keys(process)?;
    let mut handled = 0;
    let mut woken = Woken::new();
    let mut checked = false;
    loop {
        // The word is read without lock. If no waiter has come since before the read, what is found under the lock
        // waited already while the word was as expected.
        let arrivals = Locked::of(from).arrivals();
        if let Some(expected) = expected
            && !checked
            && load(pair.first)? != expected
        {
            return Err(Errno::EAGAIN);
        }
        let (mut source, mut target) = Locked::both(from, to);
        if expected.is_some() && !checked && source.arrivals() != arrivals {
            continue;
        }
        checked = true;
        let done = step(&mut source, target.as_mut(), (from, to), (wake, most), &mut handled, &mut woken);
        drop((source, target));
        woken.wake();
        if done {
            return Ok(handled);
        }
    }
}

/// Works under the locks until everything is done or as many were woken as can be remembered; false in that case.
pub(super) fn step(
    source: &mut Locked,
    mut target: Option<&mut Locked>,
    (from, to): (Key, Key),
    (wake, most): (usize, usize),
    handled: &mut usize,
    woken: &mut Woken,
) -> bool {
    let mut place = 0;
    loop {
        if *handled >= wake.saturating_add(most) {
            return true;
        }
        if *handled < wake && woken.is_full() {
            return false;
        }
        let Some(found) = source.find(place, from, u32::MAX) else { return true };
        place = found;
        if *handled < wake {
            if let Some(entry) = source.take(found) {
                woken.add(entry);
            }
        } else if let Some(target) = target.as_deref_mut() {
            if !source.move_to(found, target, to) {
                return true;
            }
        } else {
            source.rename(found, to);
            place = found + 1;
        }
        *handled += 1;
    }
}

/// Changes the second word, wakes up to `wake` that wait for the first and, if the second's old value compares, up to
/// `most` that wait for the second. Returns how many were woken.
pub fn wake_op(process: &Process, pair: Pair, wake: usize, most: usize, operation: WakeOp) -> Result<usize, Errno> {
    let (first, second) = pair.keys(process)?;
    let compares = operation.apply(pair.second)?;
    let mut count = wake_key(first, wake.max(1), u32::MAX);
    if compares {
        count += wake_key(second, most.max(1), u32::MAX);
    }
    Ok(count)
}
