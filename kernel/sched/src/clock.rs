//! How long a thread was on a CPU.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use kernel_hal::time::{Instant, now};
use kernel_sync::Sequence;

/// In place of the time since when it runs.
const STOPPED: u64 = u64::MAX;

/// Written by the CPU that runs the thread, at switches, with interrupts off; read by anyone.
pub(crate) struct CpuClock {
    /// Nanoseconds up to the last stop, and when it was started after that.
    state: Sequence<2>,
    /// The most that was ever told: a switch counts from a moment before it is written down, and whoever reads in between
    /// may have told more.
    told: AtomicU64,
}

impl CpuClock {
    pub fn new() -> CpuClock {
        CpuClock { state: Sequence::new([0, STOPPED]), told: AtomicU64::new(0) }
    }

    pub fn start(&self, at: Instant) {
        self.state.write(|[ran, _]| [ran, at.0]);
    }

    pub fn stop(&self, at: Instant) {
        self.state.write(|[ran, since]| [ran + if since == STOPPED { 0 } else { at.0.saturating_sub(since) }, STOPPED]);
    }

    pub fn read(&self) -> Duration {
        let [ran, since] = self.state.read();
        // Read after the state: what runs since then runs at least until now.
        let part = if since == STOPPED { 0 } else { now().0.saturating_sub(since) };
        let time = ran + part;
        Duration::from_nanos(time.max(self.told.fetch_max(time, Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use kernel_hal::hosted;
    use kernel_hal::time::{Instant, now};

    use super::CpuClock;

    #[test]
    fn a_stop_from_before_the_last_look_takes_nothing_back() {
        hosted::init(1 << 24);
        let clock = CpuClock::new();
        let start = now();
        clock.start(start);
        hosted::set_time(start + Duration::from_nanos(500));
        assert_eq!(clock.read(), Duration::from_nanos(500));
        clock.stop(Instant(start.0 + 400));
        assert_eq!(clock.read(), Duration::from_nanos(500));
        clock.start(Instant(start.0 + 500));
        hosted::set_time(start + Duration::from_nanos(750));
        assert_eq!(clock.read(), Duration::from_nanos(650));
    }
}
