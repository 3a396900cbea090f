//! What to write to a local APIC's timer so that it comes when it should (SDM 3A §11.5.4).

use super::choice::TimerMode;
use super::rate::Scale;

/// A write to the timer's registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting {
    /// Neither count nor deadline: it does not come.
    Off,
    /// Initial count.
    Count(u32),
    /// `IA32_TSC_DEADLINE`.
    Deadline(u64),
}

/// How this machine's timers are set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalTimer {
    pub mode: TimerMode,
    /// Of the timer.
    pub timer: Scale,
    /// Of the time-stamp counter.
    pub counter: Scale,
}

impl LocalTimer {
    /// What makes it come `ns` from the moment at which the time-stamp counter stood at `counter`: at the earliest one
    /// tick later, and as late as its width allows when that is sooner than asked for.
    #[inline]
    pub fn after(&self, ns: u64, counter: u64) -> Setting {
        match self.mode {
            TimerMode::OneShot => {
                let ticks = self.timer.ticks(ns).clamp(1, u64::from(u32::MAX));
                Setting::Count(ticks as u32)
            }
            // Zero would turn it off.
            TimerMode::Deadline => Setting::Deadline(counter.saturating_add(self.counter.ticks(ns)).max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A timer as the manual has it, in a processor whose time is told. Rates in Hz.
    struct Model {
        counter_hz: u64,
        timer_hz: u64,
        set: Option<(u64, Setting)>,
    }

    impl Model {
        /// Ticks that have passed at a time, never one too many.
        fn ticks(hz: u64, ns: u64) -> u64 {
            (u128::from(ns) * u128::from(hz) / 1_000_000_000) as u64
        }

        fn write(&mut self, now: u64, setting: Setting) {
            self.set = (setting != Setting::Off && setting != Setting::Deadline(0)).then_some((now, setting));
        }

        /// The first nanosecond at which it has come.
        fn comes(&self) -> Option<u64> {
            let (now, setting) = self.set?;
            let until = |hz: u64, ticks: u64| (u128::from(ticks) * 1_000_000_000).div_ceil(u128::from(hz)) as u64;
            Some(match setting {
                Setting::Count(count) => now + until(self.timer_hz, u64::from(count)),
                Setting::Deadline(at) => until(self.counter_hz, at).max(now),
                Setting::Off => return None,
            })
        }
    }

    #[test]
    fn it_comes_in_time_and_not_before() {
        let delays = [0, 1, 17, 1000, 49_999, 4_000_000, 1_000_000_000, 3_999_999_999];
        for (counter_hz, timer_hz) in
            [(2_893_214_000, 62_500_000), (1_000_000_000, 1_000_000_000), (999_999_937, 24_000_001)]
        {
            for mode in [TimerMode::OneShot, TimerMode::Deadline] {
                let scale = |hz| Scale::from_hz(hz).expect("a rate");
                let timer = LocalTimer { mode, timer: scale(timer_hz), counter: scale(counter_hz) };
                let mut model = Model { counter_hz, timer_hz, set: None };
                for now in [0, 12_345, 86_400_000_000_000] {
                    for delay in delays {
                        model.write(now, timer.after(delay, Model::ticks(counter_hz, now)));
                        let comes = model.comes().expect("set");
                        let resolution = 1_000_000_000 / timer_hz.min(counter_hz) + 2;
                        assert!(comes + resolution >= now + delay, "{mode:?} {now} {delay}: {comes}");
                        assert!(comes <= now + delay + 2 * resolution, "{mode:?} {now} {delay}: {comes}");
                    }
                }
                model.write(5, Setting::Off);
                assert_eq!(model.comes(), None);
            }
        }
    }

    #[test]
    fn what_does_not_fit_comes_early() {
        let scale = Scale::from_hz(1_000_000_000).expect("a rate");
        let timer = LocalTimer { mode: TimerMode::OneShot, timer: scale, counter: scale };
        assert_eq!(timer.after(u64::MAX, 0), Setting::Count(u32::MAX));
        let deadline = LocalTimer { mode: TimerMode::Deadline, ..timer };
        assert_eq!(deadline.after(u64::MAX, 5), Setting::Deadline(u64::MAX));
        assert_eq!(deadline.after(0, 0), Setting::Deadline(1));
    }
}
