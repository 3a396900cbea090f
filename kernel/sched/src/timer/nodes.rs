//! Where timers are kept: one place for each timer there is, made when the timer is made. Setting one then needs no
//! memory, so it cannot fail and may be done with interrupts off.
//!
//! Places lie in chunks that are never given back; a timer that ends leaves its place to the next. A place is known by its
//! number. Its fields are atomic, but who may touch them is decided by locks: the heap's of the processor it is set on for
//! times and links, its own for the target.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use aios_abi::Errno;
use kernel_sync::{IrqLock, Once, Wake};

/// No place.
pub const NONE: u32 = u32::MAX;

/// One timer.
pub struct Node {
    /// When it should come, and when it must have come at the latest: nanoseconds.
    pub soft: AtomicU64,
    pub hard: AtomicU64,
    pub left: AtomicU32,
    pub right: AtomicU32,
    pub parent: AtomicU32,
    /// Nodes on the way down the right side.
    pub rank: AtomicU32,
    /// The processor on whose heap it is, or [`NONE`].
    pub cpu: AtomicU32,
    /// Who is woken. The lock is held while it is set and taken back.
    pub target: IrqLock<Option<Arc<dyn Wake>>>,
}

impl Node {
    pub const fn new() -> Node {
        Node {
            soft: AtomicU64::new(0),
            hard: AtomicU64::new(0),
            left: AtomicU32::new(NONE),
            right: AtomicU32::new(NONE),
            parent: AtomicU32::new(NONE),
            rank: AtomicU32::new(0),
            cpu: AtomicU32::new(NONE),
            target: IrqLock::new(None),
        }
    }
}

/// The first chunks grow, from 64 places on, so that a small system keeps few; the rest have 4096.
const FIRST: u32 = 64;
const GROWING: u32 = 6;
const LARGE: u32 = FIRST << GROWING;
const IN_GROWING: u32 = LARGE - FIRST;
/// A million timers.
const CHUNKS: usize = 262;

/// Places of a machine.
pub struct Nodes {
    chunks: [Once<Box<[Node]>>; CHUNKS],
    free: IrqLock<Free>,
}

struct Free {
    /// The first free place; the others follow by `left`.
    head: u32,
    chunks: usize,
}

/// Chunk and place in it.
fn locate(number: u32) -> (usize, usize) {
    if number < IN_GROWING {
        let chunk = (number / FIRST + 1).ilog2();
        (chunk as usize, (number - FIRST * ((1 << chunk) - 1)) as usize)
    } else {
        let rest = number - IN_GROWING;
        ((GROWING + rest / LARGE) as usize, (rest % LARGE) as usize)
    }
}

/// The number of a chunk's first place, and how many it has.
fn extent(chunk: usize) -> (u32, u32) {
    let chunk = chunk as u32;
    if chunk < GROWING {
        (FIRST * ((1 << chunk) - 1), FIRST << chunk)
    } else {
        (IN_GROWING + (chunk - GROWING) * LARGE, LARGE)
    }
}

impl Nodes {
    pub const fn new() -> Nodes {
        Nodes { chunks: [const { Once::new() }; CHUNKS], free: IrqLock::new(Free { head: NONE, chunks: 0 }) }
    }

    /// A place that was given out.
    pub fn get(&self, number: u32) -> &Node {
        let (chunk, place) = locate(number);
        match self.chunks.get(chunk).and_then(Once::get).and_then(|nodes| nodes.get(place)) {
            Some(node) => node,
            None => panic!("there is no timer {number}"),
        }
    }

    /// A free place. `ENOMEM` when there is no memory for more, or a million are in use.
    pub fn take(&self) -> Result<u32, Errno> {
        loop {
            let chunk = {
                let mut free = self.free.lock();
                if free.head != NONE {
                    let number = free.head;
                    free.head = self.get(number).left.swap(NONE, Ordering::Relaxed);
                    return Ok(number);
                }
                free.chunks
            };
            // Made outside the lock; whoever comes second throws its own away.
            let (first, count) = extent(chunk);
            let mut nodes = Vec::new();
            nodes.try_reserve_exact(count as usize).map_err(|_| Errno::ENOMEM)?;
            nodes.extend((0..count).map(|_| Node::new()));
            for (number, node) in (first..).zip(&nodes) {
                let next = if number + 1 < first + count { number + 1 } else { NONE };
                node.left.store(next, Ordering::Relaxed);
            }
            let nodes = nodes.into_boxed_slice();
            let mut free = self.free.lock();
            if free.chunks == chunk {
                let Some(slot) = self.chunks.get(chunk) else { return Err(Errno::ENOMEM) };
                slot.set(nodes);
                free.chunks += 1;
                // Others may have given places back meanwhile: they go behind.
                let last = self.get(first + count - 1);
                last.left.store(free.head, Ordering::Relaxed);
                free.head = first;
            }
        }
    }

    /// Gives a place back that is not set.
    pub fn give_back(&self, number: u32) {
        let mut free = self.free.lock();
        self.get(number).left.store(free.head, Ordering::Relaxed);
        free.head = number;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_and_places_belong_together() {
        for chunk in 0..CHUNKS {
            let (first, count) = extent(chunk);
            assert_eq!(locate(first), (chunk, 0));
            assert_eq!(locate(first + count - 1), (chunk, count as usize - 1));
        }
        assert!(extent(CHUNKS - 1).0 > 1_000_000);
    }

    #[test]
    fn places_are_given_out_once_and_used_again() {
        let nodes = Nodes::new();
        let taken: Vec<u32> = (0..5000).map(|_| nodes.take().expect("a place")).collect();
        assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 5000);
        let chunks = nodes.free.lock().chunks;
        taken.iter().for_each(|number| nodes.give_back(*number));
        let again: BTreeSet<u32> = (0..5000).map(|_| nodes.take().expect("a place")).collect();
        assert_eq!(again.len(), 5000);
        assert_eq!(nodes.free.lock().chunks, chunks, "no more memory");
    }

    #[test]
    fn many_threads_take_and_give() {
        let nodes = Nodes::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let mine: Vec<u32> = (0..50).map(|_| nodes.take().expect("a place")).collect();
                        for number in &mine {
                            assert_eq!(nodes.get(*number).rank.swap(7, Ordering::SeqCst), 0, "someone else's");
                        }
                        for number in mine {
                            nodes.get(number).rank.store(0, Ordering::SeqCst);
                            nodes.give_back(number);
                        }
                    }
                });
            }
        });
    }
}
