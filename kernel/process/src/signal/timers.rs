//! The timers of a process that send signals: `setitimer(2)`, `alarm(2)`, `timer_create(2)`.
//!
//! A timer that repeats is set again when its signal is taken, so that one with a tiny interval costs no more than the
//! program spends on its handler; what ran out in between is counted as overruns. Timers on processor time are looked
//! at when they could have run out at the earliest. Processor time is not split into that of the program and that of
//! the kernel: `ITIMER_VIRTUAL` counts all, as `ITIMER_PROF` does.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use aios_abi::Errno;
use aios_abi::linux::consts::itimer::{ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL};
use aios_abi::linux::consts::resource::RLIMIT_CPU;
use aios_abi::linux::consts::signal::{SIGALRM, SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU};
use aios_abi::linux::consts::{RLIM_INFINITY, SIGRTMIN, si_code};
use aios_abi::linux::structs::Siginfo;
use kernel_hal::cpu;
use kernel_hal::time::{Instant, now};
use kernel_sync::SpinLock;

use super::posix::{PosixTimer, TimerClock};
use super::send::ignores;
use super::{clock, send_to_process};
use crate::Process;

/// The least time between two looks at a timer that has not run out, in nanoseconds.
const TICK: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;

/// Time left and repetition, in nanoseconds; 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Interval {
    pub value: u64,
    pub interval: u64,
}

/// When a timer runs out, on its own clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Alarm {
    /// `None` while it is not set, or waits for its signal to be taken.
    pub deadline: Option<u64>,
    pub interval: u64,
}

impl Alarm {
    pub fn set(now: u64, setting: Interval) -> Alarm {
        let deadline = (setting.value != 0).then(|| now.saturating_add(setting.value));
        Alarm { deadline, interval: setting.interval }
    }

    /// What is left; at least a nanosecond while it is set.
    pub fn left(&self, now: u64) -> Interval {
        Interval {
            value: self.deadline.map_or(0, |deadline| deadline.saturating_sub(now).max(1)),
            interval: self.interval,
        }
    }

    pub fn is_due(&self, now: u64) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    /// Sets it to the first time after `now` on the grid of its interval from `from`. Returns how many were passed.
    pub fn forward(&mut self, from: u64, now: u64) -> u64 {
        if self.interval == 0 {
            self.deadline = None;
            return 0;
        }
        let passed = now.saturating_sub(from) / self.interval;
        let next = from.saturating_add(self.interval.saturating_mul(passed.saturating_add(1)));
        self.deadline = Some(next);
        passed
    }
}

#[derive(Default)]
pub(super) struct Inner {
    real: Alarm,
    /// When `real` ran out last, while its signal waits.
    real_expired: Option<u64>,
    virtual_time: Alarm,
    profile: Alarm,
    pub(super) posix: BTreeMap<i32, PosixTimer>,
    pub(super) next_id: i32,
    /// Processor time at which `SIGXCPU` is sent again, nanoseconds.
    warned: u64,
    entry: Option<clock::Key>,
    stopped: bool,
}

/// The timers of a process.
pub struct IntervalTimers {
    process: Weak<Process>,
    /// A timer was set at some time: until then, signals that are taken are not looked at.
    used: AtomicBool,
    pub(super) inner: SpinLock<Inner>,
}

/// The clocks that a process's timers run on, read before any lock is taken.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub now: u64,
    pub cpu: u64,
}

impl Times {
    pub fn of(process: Option<&Process>) -> Times {
        Times { now: now().0, cpu: process.map_or(0, Process::cpu_time) }
    }
}

/// `RLIMIT_CPU` in nanoseconds; no limit is the largest number.
#[derive(Clone, Copy)]
struct CpuLimit {
    soft: u64,
    hard: u64,
}

/// The limit, if there is one.
fn cpu_limit(process: &Process) -> Option<CpuLimit> {
    let limit = process.limits.get(RLIMIT_CPU).ok()?;
    // As on Linux, nothing is a second.
    let nanos = |seconds: u64| seconds.max(1).saturating_mul(SECOND);
    (limit.current != RLIM_INFINITY).then(|| CpuLimit { soft: nanos(limit.current), hard: nanos(limit.maximum) })
}

impl IntervalTimers {
    pub fn new(process: Weak<Process>) -> IntervalTimers {
        IntervalTimers { process, used: AtomicBool::new(false), inner: SpinLock::default() }
    }

    /// What is left of an interval timer (`getitimer(2)`). `EINVAL` for a number there is none of.
    pub fn get(&self, which: u32) -> Result<Interval, Errno> {
        let times = self.times();
        let inner = self.inner.lock();
        Ok(match which {
            ITIMER_REAL => inner.real_left(times.now),
            ITIMER_VIRTUAL => inner.virtual_time.left(times.cpu),
            ITIMER_PROF => inner.profile.left(times.cpu),
            _ => return Err(Errno::EINVAL),
        })
    }

    /// Sets an interval timer and returns what was left (`setitimer(2)`).
    pub fn set(&self, which: u32, setting: Interval) -> Result<Interval, Errno> {
        if setting.value != 0 {
            clock::start()?;
        }
        let old = self.get(which)?;
        let times = self.times();
        {
            let mut inner = self.inner.lock();
            match which {
                ITIMER_REAL => {
                    inner.real = Alarm::set(times.now, setting);
                    inner.real_expired = None;
                }
                ITIMER_VIRTUAL => inner.virtual_time = Alarm::set(times.cpu, setting),
                _ => inner.profile = Alarm::set(times.cpu, setting),
            }
        }
        self.arrange(times);
        Ok(old)
    }

    /// Watches the limit on processor time (`RLIMIT_CPU`): called when it is set, and for a new process.
    ///
    /// `ENOMEM` when there is no room for the clock's thread.
    pub fn watch_limit(&self) -> Result<(), Errno> {
        let limited = self.process().is_some_and(|process| process.limits.current(RLIMIT_CPU) != RLIM_INFINITY);
        if limited {
            clock::start()?;
            self.inner.lock().warned = 0;
            self.arrange(self.times());
        }
        Ok(())
    }

    /// The process ends: no timer of it runs out any more.
    pub fn stop(&self) {
        let (entry, timers) = {
            let mut inner = self.inner.lock();
            inner.stopped = true;
            (inner.entry.take(), core::mem::take(&mut inner.posix))
        };
        if let Some(entry) = entry {
            clock::remove(entry);
        }
        drop(timers);
    }

    pub(super) fn process(&self) -> Option<Arc<Process>> {
        self.process.upgrade()
    }

    pub(super) fn times(&self) -> Times {
        Times::of(self.process.upgrade().as_deref())
    }

    /// Sets the process's entry in the clock to when the next timer may run out.
    pub(super) fn arrange(&self, times: Times) {
        self.used.store(true, Ordering::Release);
        let process = self.process.upgrade();
        let threads = process.as_deref().map_or(1, Process::thread_count).clamp(1, cpu::count().max(1)) as u64;
        let limit = process.as_deref().and_then(cpu_limit);
        let mut inner = self.inner.lock();
        let next = if inner.stopped { None } else { inner.next_look(times, threads, limit) };
        let old = inner.entry.take();
        if let Some(old) = old {
            clock::remove(old);
        }
        inner.entry = next.map(|at| clock::add(Instant(at), self.process.clone()));
    }

    /// Sends the signals of what has run out. Called by the clock.
    pub(super) fn look(&self, process: &Arc<Process>) {
        let times = Times::of(Some(process));
        let mut due: Vec<Siginfo> = Vec::new();
        let posix;
        {
            let mut inner = self.inner.lock();
            inner.entry = None;
            if inner.real.is_due(times.now) {
                inner.real_expired = inner.real.deadline.take();
                due.push(Siginfo::kernel(SIGALRM));
            }
            if inner.virtual_time.is_due(times.cpu) {
                let from = inner.virtual_time.deadline.unwrap_or(times.cpu);
                inner.virtual_time.forward(from, times.cpu);
                due.push(Siginfo::kernel(SIGVTALRM));
            }
            if inner.profile.is_due(times.cpu) {
                let from = inner.profile.deadline.unwrap_or(times.cpu);
                inner.profile.forward(from, times.cpu);
                due.push(Siginfo::kernel(SIGPROF));
            }
            posix = inner.expire_posix(times);
        }
        if let Some(limit) = cpu_limit(process) {
            self.enforce(process, limit, times.cpu);
        }
        for info in due {
            let ignored = ignores(process, info.signo as u32);
            send_to_process(process, info);
            if ignored && info.signo as u32 == SIGALRM {
                // Nobody will take it.
                self.rearm_real();
            }
        }
        self.send_posix(process, posix);
        self.arrange(self.times());
    }

    /// Over the soft limit the process is told each second, over the hard one it ends.
    fn enforce(&self, process: &Arc<Process>, limit: CpuLimit, used: u64) {
        if used >= limit.hard {
            return send_to_process(process, Siginfo::kernel(SIGKILL));
        }
        let told = {
            let mut inner = self.inner.lock();
            let due = used >= limit.soft.max(inner.warned);
            if due {
                inner.warned = used.saturating_add(SECOND);
            }
            due
        };
        if told {
            send_to_process(process, Siginfo::kernel(SIGXCPU));
        }
    }

    /// A signal was taken: the timer that sent it, if one did, is set again, and what it missed meanwhile is told.
    #[inline]
    pub(super) fn taken(&self, info: &mut Siginfo) {
        if self.used.load(Ordering::Acquire) {
            self.rearm_for(info);
        }
    }

    fn rearm_for(&self, info: &mut Siginfo) {
        let signal = info.signo as u32;
        if info.code == si_code::SI_TIMER {
            self.posix_taken(info);
        }
        if signal < SIGRTMIN {
            self.merged_taken(signal);
        }
        if signal == SIGALRM && self.inner.lock().real_expired.is_some() {
            self.rearm_real();
            self.arrange(self.times());
        }
    }

    fn rearm_real(&self) {
        let at = now().0;
        let mut inner = self.inner.lock();
        if let Some(from) = inner.real_expired.take() {
            inner.real.forward(from, at);
        }
    }
}

impl Inner {
    pub(super) fn stopped(&self) -> bool {
        self.stopped
    }

    /// An alarm whose signal waits goes on in its interval.
    fn real_left(&self, now: u64) -> Interval {
        let mut real = self.real;
        if let Some(from) = self.real_expired {
            real.forward(from, now);
        }
        real.left(now)
    }

    fn next_look(&self, times: Times, threads: u64, limit: Option<CpuLimit>) -> Option<u64> {
        let cpu = |alarm: &Alarm, used: u64| {
            let left = alarm.deadline?.saturating_sub(used);
            Some(times.now.saturating_add((left / threads).max(TICK)))
        };
        let posix = self.posix.values().filter_map(|timer| match &timer.clock {
            TimerClock::Real | TimerClock::Monotonic => timer.alarm.deadline,
            TimerClock::ProcessCpu => cpu(&timer.alarm, times.cpu),
            TimerClock::ThreadCpu(_) => cpu(&timer.alarm, timer.time(times)),
        });
        let limit =
            limit.map(|limit| Alarm { deadline: Some(limit.soft.max(self.warned).min(limit.hard)), interval: 0 });
        let fixed = [
            self.real.deadline,
            cpu(&self.virtual_time, times.cpu),
            cpu(&self.profile, times.cpu),
            limit.and_then(|limit| cpu(&limit, times.cpu)),
        ];
        fixed.into_iter().flatten().chain(posix).min()
    }
}

/// A time given on the wall clock, on the monotonic one.
pub(super) fn wall_to_monotonic(at: u64) -> u64 {
    let wall = kernel_hal::time::wall_clock();
    let ahead = Duration::from_nanos(at).saturating_sub(wall);
    (now() + ahead).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_repeats_on_its_grid() {
        let mut alarm = Alarm::set(100, Interval { value: 10, interval: 20 });
        assert_eq!(alarm.left(105), Interval { value: 5, interval: 20 });
        assert!(!alarm.is_due(109) && alarm.is_due(110));
        assert_eq!(alarm.forward(110, 111), 0);
        assert_eq!(alarm.deadline, Some(130));
        assert_eq!(alarm.forward(130, 195), 3);
        assert_eq!(alarm.deadline, Some(210));
    }

    #[test]
    fn an_alarm_without_interval_ends() {
        let mut alarm = Alarm::set(0, Interval { value: 10, interval: 0 });
        alarm.forward(10, 10);
        assert_eq!(alarm, Alarm::default());
        assert_eq!(alarm.left(10), Interval::default());
    }

    #[test]
    fn processor_time_is_looked_at_no_later_than_it_can_run_out() {
        let profile = Alarm::set(0, Interval { value: 40 * TICK, interval: 0 });
        let mut inner = Inner { profile, ..Inner::default() };
        assert_eq!(inner.next_look(Times { now: 0, cpu: 0 }, 2, None), Some(20 * TICK));
        assert_eq!(inner.next_look(Times { now: 7, cpu: 40 * TICK }, 2, None), Some(7 + TICK));
        let limit = CpuLimit { soft: 10 * TICK, hard: 30 * TICK };
        assert_eq!(inner.next_look(Times { now: 0, cpu: 0 }, 1, Some(limit)), Some(10 * TICK));
        inner.warned = 50 * TICK;
        assert_eq!(inner.next_look(Times { now: 0, cpu: 0 }, 1, Some(limit)), Some(30 * TICK));
        inner.real = Alarm::set(3, Interval { value: 5, interval: 0 });
        assert_eq!(inner.next_look(Times { now: 3, cpu: 0 }, 2, None), Some(8));
    }
}
