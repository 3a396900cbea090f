//! Threads that go from one CPU's queue to another's.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kernel_hal::cpu;
use kernel_hal::ipi;
use kernel_hal::time::Instant;

use crate::cpus::{CPUS, QueueGuard, TOPOLOGY, online, views};
use crate::events;
use crate::policy::place::{self, Balance};
use crate::thread::Thread;
use crate::wake::{elsewhere, insert};

/// How often a CPU with waiting threads compares itself with others, in nanoseconds.
const INTERVAL_NS: u64 = 4_000_000;
/// What a thread gets for having waited on a CPU that was behind, at most, in virtual time.
const LARGEST_CLAIM: i64 = 16_000_000;

/// `next` was picked on CPU `number`, which goes on from `me`. A thread that may not run here goes elsewhere; if there is
/// nothing left, or someone more urgent waits for another CPU, that one is taken.
pub(crate) fn settle(
    me: &Arc<Thread>,
    number: usize,
    mut local: QueueGuard,
    mut next: Option<Arc<Thread>>,
    at: Instant,
) -> (QueueGuard, Option<Arc<Thread>>) {
    while let Some(misplaced) = &next
        && local.queue.current().is_some_and(|entity| !entity.allowed().contains(number))
    {
        let misplaced = misplaced.clone();
        if Arc::ptr_eq(&misplaced, me) {
            // It can only run elsewhere once this CPU has left it.
            local.outgoing = local.queue.block(at.0);
        } else {
            drop(local);
            send(&misplaced, number, at);
            local = CPUS[number].lock();
        }
        next = local.queue.pick(at.0, false);
    }
    if next.is_none() {
        drop(local);
        pull(number, at);
        local = CPUS[number].lock();
        next = local.queue.pick(at.0, false);
    }
    (local, next)
}

/// Sends a thread that was just picked, and does not run, to a CPU where it may run.
fn send(thread: &Arc<Thread>, number: usize, at: Instant) {
    let status = thread.status.lock();
    let taken = {
        let mut local = CPUS[number].lock();
        let is_it = local.queue.current().is_some_and(|entity| entity.id() == thread.id);
        if is_it { local.queue.block(at.0) } else { None }
    };
    if let Some((entity, same)) = taken {
        let to = elsewhere(thread, &entity);
        insert(to, entity, same, at);
    }
    drop(status);
}

/// Takes a thread that waits for another CPU and may run on this one, which has nothing as urgent. True when there is
/// one in the queue now.
pub(crate) fn pull(number: usize, at: Instant) -> bool {
    let view = views(at);
    let mine = view(number);
    let above = mine.priority.max(mine.waiting);
    let best = place::pull_from(number, &online(), &TOPOLOGY, &view);
    let count = cpu::count();
    let others = (1..count).map(|distance| (number + distance) % count);
    best.into_iter().chain(others.filter(|cpu| Some(*cpu) != best)).any(|from| take(number, from, above, 0, 0, at))
}

/// Moves a waiting thread from one queue to another; see [`steal`](crate::policy::RunQueue::steal).
fn take(to: usize, from: usize, above: u8, weight: u64, behind: i64, at: Instant) -> bool {
    let (low, high) = (&CPUS[to.min(from)], &CPUS[to.max(from)]);
    let mut first = low.lock();
    let mut second = high.lock();
    let (source, target) = if from < to { (&mut first, &mut second) } else { (&mut second, &mut first) };
    let weight = if weight == 0 { source.queue.view().load / 2 } else { weight };
    let behind = behind.min(LARGEST_CLAIM);
    let Some((entity, thread)) = source.queue.steal(to, above, weight, behind, at.0) else { return false };
    thread.home.store(to, Ordering::Relaxed);
    events::moved(&thread, from, to);
    if target.queue.enqueue(entity, thread, at.0) {
        CPUS[to].need.store(true, Ordering::Relaxed);
    }
    CPUS[from].publish(source, at);
    CPUS[to].publish(target, at);
    true
}

/// Keeps shares fair over the CPUs: called by a CPU's timer, which comes while threads wait there.
pub(crate) fn regularly(number: usize, at: Instant) {
    let cpu = &CPUS[number];
    if at.0 < cpu.next_balance.load(Ordering::Relaxed) {
        return;
    }
    cpu.next_balance.store(at.0.saturating_add(INTERVAL_NS), Ordering::Relaxed);
    let online = online();
    for _ in 0..place::MOVES {
        match place::balance(number, &online, &TOPOLOGY, views(at)) {
            Balance::Even => break,
            Balance::Forget(vtime) => {
                let mut local = cpu.lock();
                local.queue.catch_up(vtime);
                cpu.publish(&mut local, at);
            }
            Balance::Take { from, weight, behind } => {
                if !take(number, from, 0, weight, behind, at) {
                    break;
                }
            }
        }
    }
    push(number, at);
}

/// A CPU that is ahead and has one thread gets no timer: this one, which is behind, sends it work.
fn push(number: usize, at: Instant) {
    let online = online();
    for _ in 0..place::MOVES {
        let view = views(at);
        let mine = view(number);
        let others = online.iter().filter(|other| *other != number && view(*other).load < mine.load);
        let Some(ahead) = others.max_by_key(|other| view(*other).vtime.wrapping_sub(mine.vtime)) else { return };
        match place::balance(ahead, &online, &TOPOLOGY, view) {
            Balance::Take { from, weight, behind } if from == number => {
                if !take(ahead, number, 0, weight, behind, at) {
                    return;
                }
                ipi::reschedule(ahead);
            }
            _ => return,
        }
    }
}
