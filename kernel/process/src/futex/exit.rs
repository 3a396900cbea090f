//! What a thread that goes leaves behind: locks it held (`set_robust_list(2)`), the word that tells its end
//! (`set_tid_address(2)`).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use aios_abi::linux::consts::{FUTEX_BITSET_MATCH_ANY, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS};
use kernel_hal::addr::Virt;
use kernel_hal::usermem;

use crate::{Process, Thread};

/// Most locks of a list that are looked at: it may be a ring.
const MOST: usize = 2048;

/// The thread ends.
pub fn thread_exit(thread: &Arc<Thread>) {
    release_memory(thread);
}

/// The thread leaves its memory, which is still there. Bad addresses end the work silently, as on Linux.
pub fn release_memory(thread: &Arc<Thread>) {
    let robust = thread.robust_list.swap(0, Ordering::Relaxed);
    if robust != 0 {
        // A list that cannot be read to its end has been walked as far as it goes.
        let _ = walk(thread, robust);
    }
    let word = Virt(thread.clear_tid.swap(0, Ordering::Relaxed));
    let process = thread.process();
    if word.0 != 0 && is_shared(process) {
        let _ = usermem::store_u32(word, 0);
        wake_one(process, word);
    }
}

/// Whether anybody is left to see the memory.
fn is_shared(process: &Process) -> bool {
    // One use is the process's, one is ours.
    process.thread_count() > 1 || process.space().is_some_and(|space| Arc::strong_count(&space) > 2)
}

fn wake_one(process: &Process, word: Virt) {
    // Nobody to tell when the word is gone.
    let _ = super::wake(process, word, false, 1, FUTEX_BITSET_MATCH_ANY);
}

/// An entry's address; its lowest bit tells a priority-inheriting lock.
fn entry(word: u64) -> (u64, bool) {
    (word & !1, word & 1 != 0)
}

/// Walks `struct robust_list_head`: next, offset of the lock's word from an entry, entry under way.
fn walk(thread: &Thread, head: u64) -> Result<(), usermem::Fault> {
    let at = |offset: u64| Virt(head.wrapping_add(offset));
    let (mut current, mut inherits) = entry(usermem::load_u64(at(0))?);
    let offset = usermem::load_u64(at(8))?;
    let (pending, pending_inherits) = entry(usermem::load_u64(at(16))?);
    for _ in 0..MOST {
        if current == head {
            break;
        }
        // Before the lock is given up: its next owner may change the entry.
        let next = usermem::load_u64(Virt(current));
        // A lock may be on the list and under way; it is handled once.
        if current != pending {
            give_up(thread, Virt(current.wrapping_add(offset)), inherits, false)?;
        }
        (current, inherits) = entry(next?);
    }
    if pending != 0 {
        give_up(thread, Virt(pending.wrapping_add(offset)), pending_inherits, true)?;
    }
    Ok(())
}

/// Marks a lock whose owner died, and wakes one that waits for it.
fn give_up(thread: &Thread, word: Virt, inherits: bool, pending: bool) -> Result<(), usermem::Fault> {
    let mut value = usermem::load_u32(word)?;
    loop {
        let owner = value & FUTEX_TID_MASK;
        // Unlocked already, but the owner died before it could wake anybody.
        if pending && !inherits && owner == 0 {
            wake_one(thread.process(), word);
            return Ok(());
        }
        if owner != thread.tid() {
            return Ok(());
        }
        match usermem::compare_exchange_u32(word, value, value & FUTEX_WAITERS | FUTEX_OWNER_DIED)? {
            Ok(_) => break,
            Err(found) => value = found,
        }
    }
    if !inherits && value & FUTEX_WAITERS != 0 {
        wake_one(thread.process(), word);
    }
    Ok(())
}
