//! From one thread to the next.
//!
//! A thread runs until it parks, or until the queue wants another to run, which is noticed when the thread returns to its
//! program. A CPU with nothing to run takes a thread that waits for another CPU.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use kernel_hal::cpu::{self, IrqGuard};
use kernel_hal::task::{self, Claimed};
use kernel_hal::time::{Instant, now};

use crate::balance;
use crate::change;
use crate::cpus::{CPUS, IDLE, Local, QueueGuard, ThreadEntity, arm, this_cpu};
use crate::events;
use crate::thread::{State, Thread, current};
use crate::wake::{elsewhere, insert};

/// Parks the running thread; see [`Parking::park`](kernel_sync::Parking::park).
pub(crate) fn park(deadline: Option<Instant>, interruptible: bool) {
    let me = current();
    let _off = IrqGuard::new();
    let mut status = me.status.lock();
    if core::mem::take(&mut status.woken) || interruptible && me.is_interrupted() {
        return;
    }
    status.state = State::Parked;
    status.interruptible = interruptible;
    let at = now();
    let mut local = this_cpu().lock();
    let left = leave(&mut local, &me, status.class, at);
    status.entity = left.map(|(entity, _)| entity);
    drop(status);
    match (deadline, &me.timer) {
        (Some(deadline), Some(timer)) => {
            // It does not come before this CPU has gone on: interrupts are off.
            timer.set(deadline, me.timer_slack(), me.clone());
            switch(&me, local, at, false);
            timer.cancel();
        }
        // An idle thread, which has no timer, waits for nothing.
        _ => switch(&me, local, at, false),
    }
}

/// Takes the running thread out of its queue. It is not what that queue thinks runs if what it is scheduled by was
/// changed a moment ago.
fn leave(local: &mut Local, me: &Thread, class: crate::Class, at: Instant) -> Option<(ThreadEntity, Arc<Thread>)> {
    if local.queue.current().is_some_and(|entity| entity.id() == me.id) {
        local.queue.block(at.0)
    } else {
        local.queue.remove(class, me.group_id(), me.key(), at.0)
    }
}

/// Goes on with the next thread. Interrupts are off; the caller's state is set already, or it stays runnable.
fn switch(me: &Arc<Thread>, local: QueueGuard, at: Instant, pass: bool) {
    if let Some(next) = pick(me, local, at, pass) {
        task::switch_to(next);
        arrived();
    }
}

/// Takes the next thread off the queue, or the idle one, and makes it the running one in the books. `None` when that is
/// the one that runs already.
fn pick(me: &Arc<Thread>, mut local: QueueGuard, at: Instant, pass: bool) -> Option<Claimed> {
    let number = cpu::id();
    let cpu = &CPUS[number];
    cpu.need.store(false, Ordering::Relaxed);
    if pass {
        events::yielded(number);
    }
    let mut next = local.queue.pick(at.0, pass);
    if cpu::count() > 1 {
        (local, next) = balance::settle(me, number, local, next, at);
        cpu.publish(&mut local, at);
    }
    arm(&local);
    let next = match (next, cpu.idle.get()) {
        (Some(next), _) => next,
        (None, Some(idle)) => idle.clone(),
        (None, None) => panic!("this CPU has no idle thread"),
    };
    if Arc::ptr_eq(&next, me) {
        drop(local);
        // It may have been on its way to sleep and was woken meanwhile.
        let state = core::mem::replace(&mut me.status.lock().state, State::Running);
        events::stayed(number, me, state);
        return None;
    }
    // Claimed before the queue is let go of: whoever changes what a thread is scheduled by, or takes it to another CPU,
    // leaves alone one that is claimed.
    let claimed = match task::claim(next.clone()) {
        Some(claimed) => claimed,
        None => panic!("a thread was picked that another CPU runs"),
    };
    drop(local);
    let state = {
        let mut status = me.status.lock();
        let state = status.state;
        if state == State::Running {
            status.state = State::Runnable;
        }
        state
    };
    events::switched(number, me, state, &next, at);
    me.clock.stop(at);
    next.clock.start(at);
    next.status.lock().state = State::Running;
    Some(claimed)
}

/// First thing after a switch: lets go of the thread before.
fn arrived() {
    // A thread that exited dropped what it ran for; what may go here is its stack.
    drop(task::take_previous());
    if cpu::count() > 1 {
        send_off();
    }
}

/// Sends the thread that this CPU just left where it may run.
fn send_off() {
    let cpu = this_cpu();
    let outgoing = cpu.lock().outgoing.as_ref().map(|(_, thread)| thread.clone());
    let Some(thread) = outgoing else { return };
    let status = thread.status.lock();
    let taken = cpu.lock().outgoing.take();
    if let Some((entity, same)) = taken {
        let number = elsewhere(&thread, &entity);
        insert(number, entity, same, now());
    }
    drop(status);
}

/// First thing a new thread does.
pub(crate) fn begin() {
    arrived();
    cpu::enable_interrupts();
}

/// True when the running thread should let another run.
#[inline]
pub fn need_resched() -> bool {
    this_cpu().need.load(Ordering::Relaxed)
}

/// Lets another thread run if the queue wants that.
#[inline]
pub fn reschedule() {
    if need_resched() {
        give_way(false);
    }
}

/// Lets all other runnable threads of its kind run first.
pub fn yield_now() {
    give_way(true);
}

fn give_way(pass: bool) {
    let _off = IrqGuard::new();
    let cpu = this_cpu();
    let local = cpu.lock();
    if pass && local.queue.len() <= 1 && !cpu.need.load(Ordering::Relaxed) {
        return;
    }
    let me = current();
    switch(&me, local, now(), pass);
}

/// Ends the running thread. What hangs on the stack of the caller is not dropped: the caller lets go of it first.
pub fn exit() -> ! {
    let me = current();
    me.drop_owner();
    let _off = IrqGuard::new();
    let at = now();
    let mut status = me.status.lock();
    status.state = State::Dead;
    change::release(&mut status);
    let mut local = this_cpu().lock();
    let left = leave(&mut local, &me, status.class, at);
    drop(status);
    let next = pick(&me, local, at, false);
    // This stack is never unwound, so no reference may stay on it; the switch itself holds the last one.
    drop(left);
    drop(me);
    if let Some(next) = next {
        task::switch_to(next);
    }
    panic!("a dead thread ran again");
}

/// What the idle thread does for ever: waits for interrupts and runs whatever they woke.
pub fn run_idle() -> ! {
    let me = current();
    let number = cpu::id();
    loop {
        let off = IrqGuard::new();
        switch(&me, this_cpu().lock(), now(), false);
        IDLE.insert(number);
        // A thread that was queued before is seen here; whoever queues one later sees this CPU idle.
        let work = this_cpu().lock().queue.has_ready() || cpu::count() > 1 && balance::pull(number, now());
        if !work && task::can_trim_stacks() {
            drop(off);
            task::trim_stacks();
        } else if !work {
            cpu::wait_for_interrupt(off);
        }
        IDLE.remove(number);
    }
}

/// The timer came, or another CPU called: someone else may have to run.
pub(crate) fn tick(at: Instant) {
    let cpu = this_cpu();
    {
        let mut local = cpu.lock();
        if local.queue.tick(at.0) {
            cpu.need.store(true, Ordering::Relaxed);
        }
        cpu.publish(&mut local, at);
        if !cpu.need.load(Ordering::Relaxed) {
            arm(&local);
        }
    }
    if cpu::count() > 1 {
        balance::regularly(cpu::id(), at);
    }
}
