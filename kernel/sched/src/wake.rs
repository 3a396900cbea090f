//! Waking: a thread goes to the queue of the CPU it ran on last, or of one that has less to do.
//!
//! While a CPU runs a thread, or is on its way from it to the next, that CPU is the thread's home, and only that CPU takes
//! it from a queue. So no CPU waits for another to leave a thread, and no two wait for each other.
//!
//! No thread waits while a CPU idles that may run it: whoever queues a thread looks for idle CPUs after that, and a CPU
//! looks at all queues after it has said that it idles.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kernel_hal::cpu;
use kernel_hal::ipi;
use kernel_hal::task::HasTask;
use kernel_hal::time::{Instant, now};

use crate::cpus::{CPUS, IDLE, TOPOLOGY, ThreadEntity, arm, online, views};
use crate::events;
use crate::policy::place::{Waking, on_wake};
use crate::policy::{Class, Entity};
use crate::switch::tick;
use crate::thread::{State, Thread};

pub(crate) fn wake(thread: &Thread) {
    let mut status = thread.status.lock();
    match status.state {
        State::Parked => {}
        State::Running | State::Runnable => {
            status.woken = true;
            return;
        }
        State::Dead => return,
    }
    let Some(this) = thread.this.upgrade() else { return };
    let Some(entity) = status.entity.take() else { return };
    status.state = State::Runnable;
    let (number, idle) = place(thread, &entity);
    let at = now();
    events::woken(thread, number, at);
    insert(number, entity, this, at);
    drop(status);
    if !idle {
        find_helper();
    }
}

/// The CPU whose queue a woken thread goes to, and whether it idles.
fn place(thread: &Thread, entity: &Entity<Arc<Thread>>) -> (usize, bool) {
    let home = thread.home.load(Ordering::Relaxed);
    if cpu::count() == 1 {
        return (home, true);
    }
    let allowed = entity.allowed();
    // An idle CPU is taken out of the set, so that the next thread goes elsewhere.
    if allowed.contains(home) && IDLE.remove(home) {
        return (home, true);
    }
    // On its way off its CPU: that one sends it on if need be.
    if thread.task().is_on_cpu() {
        return (home, false);
    }
    let number = elsewhere(thread, entity);
    (number, IDLE.remove(number))
}

/// The best CPU for a thread that is on none.
pub(crate) fn elsewhere(thread: &Thread, entity: &Entity<Arc<Thread>>) -> usize {
    let home = thread.home.load(Ordering::Relaxed);
    let class = entity.class();
    if let Class::Deadline(_) = class {
        return entity.allowed().iter().next().unwrap_or(home);
    }
    let waking = Waking {
        last: home,
        waker: Some(cpu::id()),
        sync: false,
        new: entity.ran() == 0,
        class,
        allowed: entity.allowed(),
    };
    // A thread with no CPU left to it runs where it was: there are always some it was given.
    on_wake(&waking, &online(), &TOPOLOGY, views(now())).unwrap_or(home)
}

/// Queues a thread, whose status the caller holds, and sees to it that the CPU notices.
pub(crate) fn insert(number: usize, entity: ThreadEntity, thread: Arc<Thread>, at: Instant) {
    let cpu = &CPUS[number];
    let before = thread.home.swap(number, Ordering::Relaxed);
    events::moved(&thread, before, number);
    let here = number == cpu::id();
    let mut local = cpu.lock();
    if local.queue.enqueue(entity, thread, at.0) {
        cpu.need.store(true, Ordering::Relaxed);
    }
    cpu.publish(&mut local, at);
    if here {
        arm(&local);
    }
    drop(local);
    if !here {
        ipi::reschedule(number);
    }
}

/// Has an idle CPU look for work: one that went idle after the thread's place was chosen.
fn find_helper() {
    if let Some(idle) = IDLE.load().iter().find(|cpu| IDLE.remove(*cpu))
        && idle != cpu::id()
    {
        ipi::reschedule(idle);
    }
}

/// Brings `thread` to the user boundary if it runs its program on another CPU.
pub(crate) fn poke(thread: &Thread) {
    if cpu::count() == 1 || thread.status.lock().state != State::Running {
        return;
    }
    // It may have moved on meanwhile: then it has passed the boundary or is not in its program.
    let home = thread.home.load(Ordering::Relaxed);
    if home != cpu::id() {
        ipi::reschedule(home);
    }
}

/// The interrupt by which another CPU says that something changed here.
pub(crate) fn kicked() {
    tick(now());
}
