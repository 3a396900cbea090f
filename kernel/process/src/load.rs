//! Load averages: how many threads of an agent ran or could have run, over the last minutes.
//!
//! They are made as Linux makes them, every five seconds and in its fixed-point numbers: a thread that waits and cannot be
//! interrupted counts too.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use aios_abi::Errno;
use kernel_hal::time::now;
use kernel_sync::WaitQueue;

use crate::jobs;

/// One, and what is left of an average after one interval: e^(-5/60), e^(-5/300), e^(-5/900).
const ONE: u64 = 1 << 11;
const LEFT: [u64; 3] = [1884, 2014, 2037];
/// How often threads are counted. A little more than 5 s, so that what happens every second is not always met at one moment.
const INTERVAL: Duration = Duration::from_millis(5004);

/// Threads of an agent.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Census {
    pub threads: usize,
    /// They run or wait for a processor.
    pub running: usize,
    /// They wait for something and cannot be interrupted.
    pub blocked: usize,
}

/// Averages over 1, 5 and 15 minutes.
#[derive(Default)]
pub struct LoadAverage([AtomicU64; 3]);

impl LoadAverage {
    /// Counts one more interval, in which so many threads were active.
    pub fn sample(&self, active: usize) {
        let active = (active as u64).saturating_mul(ONE);
        for (average, left) in self.0.iter().zip(LEFT) {
            let before = average.load(Ordering::Relaxed);
            let sum = before.saturating_mul(left).saturating_add(active.saturating_mul(ONE - left));
            // Rounded towards where it goes, or it would never get there.
            let after = if active >= before { sum.saturating_add(ONE - 1) } else { sum } / ONE;
            average.store(after, Ordering::Relaxed);
        }
    }

    /// Hundredths of threads.
    pub fn hundredths(&self) -> [u64; 3] {
        self.0.each_ref().map(|average| (average.load(Ordering::Relaxed) + ONE / 200) * 100 / ONE)
    }

    /// As `sysinfo(2)` tells them: 65,536 is one thread.
    pub fn fixed(&self) -> [u64; 3] {
        self.0.each_ref().map(|average| average.load(Ordering::Relaxed) << 5)
    }
}

/// Begins to count, in a thread of its own. Called once at start-up.
pub fn start_averages() -> Result<(), Errno> {
    kernel_sched::spawn("load", || {
        let never = WaitQueue::new();
        loop {
            let _over = never.wait_uninterruptible_deadline(now() + INTERVAL, || None::<()>);
            for pids in jobs::agents() {
                let census = pids.activity();
                pids.load().sample(census.running + census.blocked);
            }
        }
    })
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::LoadAverage;

    /// What `calc_load` of Linux's `kernel/sched/loadavg.c` comes to.
    #[test]
    fn averages_rise_and_fall_as_linux_does_it() {
        let load = LoadAverage::default();
        load.sample(1);
        assert_eq!(load.hundredths(), [8, 2, 1]);
        (0..11).for_each(|_| load.sample(1));
        // 1 - 1/e after a minute.
        assert_eq!(load.hundredths(), [63, 18, 6]);
        (0..1000).for_each(|_| load.sample(3));
        assert_eq!((load.hundredths()[0], load.hundredths()[1]), (300, 300));
        assert_eq!(load.fixed()[0], 3 << 16);
        (0..12).for_each(|_| load.sample(0));
        assert_eq!(load.hundredths()[0], 110);
        (0..10_000).for_each(|_| load.sample(0));
        assert_eq!(load.hundredths(), [0, 0, 0]);
    }
}
