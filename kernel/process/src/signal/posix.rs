//! Timers that a program makes by itself (`timer_create(2)`).

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::resource::RLIMIT_SIGPENDING;
use aios_abi::linux::consts::signal::SIGALRM;
use aios_abi::linux::structs::Siginfo;
use kernel_mm::{KernelCharge, charge_kernel_bytes};

use super::send::ignores;
use super::timers::{Alarm, Inner, Interval, IntervalTimers, Times, wall_to_monotonic};
use super::{clock, try_send_to_process, try_send_to_thread};
use crate::{Process, Thread};

/// What a timer counts on.
pub enum TimerClock {
    /// Absolute times are on the wall clock, as it is when the timer is set.
    Real,
    Monotonic,
    ProcessCpu,
    ThreadCpu(Weak<Thread>),
}

/// What happens when it runs out.
pub enum Notify {
    Nothing,
    Process { signal: u32, value: u64 },
    Thread { thread: Weak<Thread>, signal: u32, value: u64 },
}

pub(super) struct PosixTimer {
    pub clock: TimerClock,
    notify: Notify,
    pub alarm: Alarm,
    /// When it ran out last, while its signal waits.
    expired: Option<u64>,
    /// Of the signal taken last.
    overrun: u64,
    _charge: KernelCharge,
}

/// What a timer costs in kernel memory, about.
const TIMER_BYTES: usize = 256;

impl PosixTimer {
    /// Now, on its clock.
    pub fn time(&self, times: Times) -> u64 {
        match &self.clock {
            TimerClock::Real | TimerClock::Monotonic => times.now,
            TimerClock::ProcessCpu => times.cpu,
            TimerClock::ThreadCpu(thread) => thread.upgrade().map_or(0, |thread| thread.cpu_time().as_nanos() as u64),
        }
    }

    fn signal(&self) -> Option<u32> {
        match &self.notify {
            Notify::Nothing => None,
            Notify::Process { signal, .. } | Notify::Thread { signal, .. } => Some(*signal),
        }
    }

    /// What is left at a time on its clock. One that ran out and sent its signal goes on in its interval; one that sends
    /// nothing has run out when its time has come, whether the clock's thread has looked by then or not.
    fn left(&self, at: u64) -> Interval {
        let mut alarm = self.alarm;
        let silent = matches!(self.notify, Notify::Nothing) && alarm.is_due(at);
        if let Some(from) = self.expired.or(if silent { alarm.deadline } else { None }) {
            alarm.forward(from, at);
        }
        alarm.left(at)
    }
}

/// Where the signal of a timer that ran out goes.
pub(super) struct Expired {
    id: i32,
    info: Siginfo,
    thread: Option<Weak<Thread>>,
}

impl Inner {
    /// Marks what has run out, and says what is to be sent for it.
    pub(super) fn expire_posix(&mut self, times: Times) -> Vec<Expired> {
        let mut sent = Vec::new();
        for (id, timer) in &mut self.posix {
            let at = timer.time(times);
            if !timer.alarm.is_due(at) {
                continue;
            }
            let from = timer.alarm.deadline.take().unwrap_or(at);
            match &timer.notify {
                Notify::Nothing => {
                    timer.alarm.forward(from, at);
                }
                Notify::Process { signal, value } => {
                    timer.expired = Some(from);
                    sent.push(Expired { id: *id, info: Siginfo::timer(*signal, *id, 0, *value), thread: None });
                }
                Notify::Thread { thread, signal, value } => {
                    timer.expired = Some(from);
                    let info = Siginfo::timer(*signal, *id, 0, *value);
                    sent.push(Expired { id: *id, info, thread: Some(thread.clone()) });
                }
            }
        }
        sent
    }
}

impl IntervalTimers {
    pub(super) fn send_posix(&self, process: &Arc<Process>, expired: Vec<Expired>) {
        for Expired { id, info, thread } in expired {
            let ignored = ignores(process, info.signo as u32);
            let sent = match thread {
                None => try_send_to_process(process, info),
                Some(thread) => thread.upgrade().map_or(Ok(()), |thread| try_send_to_thread(&thread, info)),
            };
            if ignored || sent.is_err() {
                // Nobody will take it.
                self.rearm(id);
            }
        }
    }

    fn rearm(&self, id: i32) -> u64 {
        let times = self.times();
        let mut inner = self.inner.lock();
        let Some(timer) = inner.posix.get_mut(&id) else { return 0 };
        let Some(from) = timer.expired.take() else { return 0 };
        let at = timer.time(times);
        timer.overrun = timer.alarm.forward(from, at);
        timer.overrun
    }

    /// The signal of a timer is taken.
    pub(super) fn posix_taken(&self, info: &mut Siginfo) {
        let id = info.pid() as i32;
        let overrun = i32::try_from(self.rearm(id)).unwrap_or(i32::MAX);
        *info = Siginfo::timer(info.signo as u32, id, overrun, info.value());
        self.arrange(self.times());
    }

    /// A signal that merges was taken: it stood for all timers that sent it.
    pub(super) fn merged_taken(&self, signal: u32) {
        let waiting: Vec<i32> = {
            let inner = self.inner.lock();
            let ours =
                inner.posix.iter().filter(|(_, timer)| timer.expired.is_some() && timer.signal() == Some(signal));
            ours.map(|(id, _)| *id).collect()
        };
        if waiting.is_empty() {
            return;
        }
        for id in waiting {
            self.rearm(id);
        }
        self.arrange(self.times());
    }

    /// Makes a timer; without `notify` it sends `SIGALRM` with its own number. `EAGAIN` at the limit.
    pub fn create(&self, process: &Process, clock: TimerClock, notify: Option<Notify>) -> Result<i32, Errno> {
        let charge = charge_kernel_bytes(process.domain().memory(), TIMER_BYTES).map_err(|_| Errno::EAGAIN)?;
        let limit = process.limits.current(RLIMIT_SIGPENDING);
        let mut inner = self.inner.lock();
        if inner.posix.len() as u64 >= limit || inner.stopped() {
            return Err(Errno::EAGAIN);
        }
        let mut id = inner.next_id;
        while inner.posix.contains_key(&id) {
            id = id.checked_add(1).unwrap_or(0);
        }
        inner.next_id = id.checked_add(1).unwrap_or(0);
        let notify = notify.unwrap_or(Notify::Process { signal: SIGALRM, value: id as u64 });
        let timer = PosixTimer { clock, notify, alarm: Alarm::default(), expired: None, overrun: 0, _charge: charge };
        inner.posix.insert(id, timer);
        Ok(id)
    }

    /// Sets a timer and returns what was left; with `absolute`, `value` is a time on its clock. `EINVAL` for a number
    /// there is no timer of.
    pub fn settime(&self, id: i32, setting: Interval, absolute: bool) -> Result<Interval, Errno> {
        clock::start()?;
        let times = self.times();
        let (old, signal) = {
            let mut inner = self.inner.lock();
            let timer = inner.posix.get_mut(&id).ok_or(Errno::EINVAL)?;
            let at = timer.time(times);
            let old = timer.left(at);
            timer.alarm = Alarm::set(at, setting);
            if absolute && setting.value != 0 {
                let deadline = if matches!(timer.clock, TimerClock::Real) {
                    wall_to_monotonic(setting.value)
                } else {
                    setting.value
                };
                timer.alarm.deadline = Some(deadline);
            }
            timer.expired = None;
            timer.overrun = 0;
            (old, timer.signal())
        };
        self.forget_signal(id, signal);
        self.arrange(times);
        Ok(old)
    }

    /// What is left of a timer.
    pub fn gettime(&self, id: i32) -> Result<Interval, Errno> {
        let times = self.times();
        let inner = self.inner.lock();
        let timer = inner.posix.get(&id).ok_or(Errno::EINVAL)?;
        Ok(timer.left(timer.time(times)))
    }

    /// How often it ran out again before the signal that was taken last.
    pub fn overrun(&self, id: i32) -> Result<i32, Errno> {
        let inner = self.inner.lock();
        let timer = inner.posix.get(&id).ok_or(Errno::EINVAL)?;
        Ok(i32::try_from(timer.overrun).unwrap_or(i32::MAX))
    }

    pub fn delete(&self, id: i32) -> Result<(), Errno> {
        let timer = self.inner.lock().posix.remove(&id).ok_or(Errno::EINVAL)?;
        self.forget_signal(id, timer.signal());
        drop(timer);
        self.arrange(self.times());
        Ok(())
    }

    /// Deletes all that the program made.
    pub(super) fn delete_all(&self) {
        let timers = core::mem::take(&mut self.inner.lock().posix);
        if timers.is_empty() {
            return;
        }
        for (id, timer) in &timers {
            self.forget_signal(*id, timer.signal());
        }
        drop(timers);
        self.arrange(self.times());
    }

    /// A signal that the timer sent and nobody took says nothing any more.
    fn forget_signal(&self, id: i32, signal: Option<u32>) {
        let (Some(process), Some(signal)) = (self.process(), signal) else { return };
        process.pending.lock().discard_timer(signal, id);
        for thread in process.threads() {
            thread.signals.lock().pending.discard_timer(signal, id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    const MS: u64 = 1_000_000;

    /// Nothing but the program looks at the timers here.
    #[test]
    fn a_silent_timer_has_run_out_though_nobody_looked() {
        let process = World::new().process();
        let make = |value, interval| {
            let timers = &process.timers;
            let id = timers.create(&process, TimerClock::Monotonic, Some(Notify::Nothing)).expect("a timer");
            let mut inner = timers.inner.lock();
            let timer = inner.posix.get_mut(&id).expect("the timer");
            timer.alarm = Alarm::set(100 * MS, Interval { value, interval });
            [110, 131].map(|at| timer.left(at * MS))
        };
        let left = |value, interval| Interval { value: value * MS, interval: interval * MS };
        assert_eq!(make(20 * MS, 0), [left(10, 0), left(0, 0)]);
        assert_eq!(make(20 * MS, 7 * MS), [left(10, 7), left(3, 7)]);
    }
}
