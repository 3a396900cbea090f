//! Giving back memory that only remembers what a file holds anyway.
//!
//! When a frame cannot be had, clean pages that nobody maps are dropped, from one object after the other in the order
//! of their numbers, so that none is asked twice before all were asked once. Dirty and mapped pages stay.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use core::ops::Bound;

use aios_abi::Errno;
use kernel_sync::SpinLock;

use super::{MemoryObject, Pages};
use crate::account::Account;
use crate::frames::gate;

/// Pages that one request tries to free.
const WANTED: usize = 128;
/// Objects and pages of an object that are looked at with a lock held or for one request.
const MAX_OBJECTS: usize = 4096;
const MAX_PAGES: usize = 512;

struct Caches {
    objects: BTreeMap<u64, Weak<MemoryObject>>,
    /// The object that was asked last.
    hand: u64,
}

static CACHES: SpinLock<Caches> = SpinLock::new(Caches { objects: BTreeMap::new(), hand: 0 });

/// Adds an object whose pages can be fetched again.
pub(super) fn add(object: &Arc<MemoryObject>) {
    CACHES.lock().objects.insert(object.id(), Arc::downgrade(object));
}

pub(super) fn remove(id: u64) {
    CACHES.lock().objects.remove(&id);
}

/// Frees pages for a request of `account` that found no memory: of any object when the machine is short, else of those
/// that `account` pays for. False when there was nothing to free. Called without locks.
pub(crate) fn relieve(account: &Account) -> bool {
    let machine_is_short = gate().is_err();
    let mut freed = 0;
    // Each object once: what it cannot give now it cannot give a moment later.
    let objects = CACHES.lock().objects.len();
    for _ in 0..objects.min(MAX_OBJECTS) {
        let Some(object) = next_object() else { break };
        let Some(object) = object.upgrade() else { continue };
        if machine_is_short || pays_for(account, &object.account) {
            freed += object.drop_clean(WANTED - freed);
        }
        if freed >= WANTED {
            break;
        }
    }
    freed != 0
}

/// Like [`gate`], after giving up clean pages when only the reserve is left. Called without locks.
pub fn make_room(account: &Account) -> Result<(), Errno> {
    if gate().is_err() {
        relieve(account);
    }
    gate()
}

/// Moves the hand on; after the last object comes the first.
fn next_object() -> Option<Weak<MemoryObject>> {
    let mut caches = CACHES.lock();
    let after = (Bound::Excluded(caches.hand), Bound::Unbounded);
    let next = caches.objects.range(after).next().or_else(|| caches.objects.iter().next());
    let (id, object) = next.map(|(id, object)| (*id, object.clone()))?;
    caches.hand = id;
    Some(object)
}

fn pays_for(account: &Account, of: &Arc<Account>) -> bool {
    let mut at = Some(of);
    while let Some(above) = at {
        if above.id() == account.id() {
            return true;
        }
        at = above.parent();
    }
    false
}

impl MemoryObject {
    /// Drops up to `most` pages that are clean and that nobody maps or uses. Returns how many.
    pub fn drop_clean(&self, most: usize) -> usize {
        if self.source.is_none() {
            return 0;
        }
        let mut dropped = 0;
        let mut from = 0;
        while dropped < most {
            let mut guard = self.pages.lock();
            let Pages { frames, dirty, ledger, .. } = &mut *guard;
            let mut victims = [0; 32];
            let mut count = 0;
            let mut last = None;
            for (index, frame) in frames.range(from..).take(MAX_PAGES) {
                last = Some(*index);
                // Whoever takes a reference to a cached page does so under this lock.
                if frame.is_unique() && !dirty.contains(index) {
                    if let Some(slot) = victims.get_mut(count) {
                        *slot = *index;
                    }
                    count += 1;
                    if count == victims.len().min(most - dropped) {
                        break;
                    }
                }
            }
            for index in victims.iter().take(count) {
                frames.remove(index);
            }
            dropped += count;
            // Covering fewer entries than before asks for nothing, so it cannot fail.
            let _shrunk = ledger.cover(frames.len());
            match last {
                Some(last) => from = last + 1,
                None => break,
            }
        }
        dropped
    }
}
