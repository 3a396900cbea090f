//! Deadline threads: a constant-bandwidth server each, and who may have one.
//!
//! Each thread has `runtime` in a period, and runs by the earliest deadline. When it is used up the thread waits for
//! its next period: one that asks for more than it reserved takes nothing from others. Reservations are admitted to one
//! CPU each, while the densities (runtime / deadline) there stay within [`LIMIT`]. That test is exact for one CPU, so
//! an admitted thread meets its deadlines; a test over several CPUs together would only bound how late it is.
//!
//! Abeni and Buttazzo, Integrating Multimedia Applications in Hard Real-Time Systems (RTSS 1998); for deadlines before
//! the end of the period, a thread that wakes late gets what fits before its deadline (Linux's revised rule).

use kernel_hal::cpu::MAX_CPUS;

use super::class::Reservation;
use kernel_hal::cpuset::CpuSet;

/// What deadline threads may reserve of a CPU, of [`Reservation::ONE`]: the rest is for everyone else.
pub const LIMIT: u64 = Reservation::ONE / 100 * 95;

/// What a thread has left of its reservation.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Server {
    /// Of this period's runtime, in nanoseconds; negative when it ran over.
    pub left: i64,
    /// When this period began.
    start: u64,
    /// When it must be done.
    pub deadline: u64,
}

impl Server {
    /// The thread wakes. Returns when it may run if that is not now.
    pub fn wake(&mut self, of: &Reservation, now: u64) -> Option<u64> {
        let next = self.start.saturating_add(of.period);
        if self.deadline == 0 || now >= next {
            self.begin(of, now);
            return (self.left <= 0).then(|| self.start.saturating_add(of.period));
        }
        if self.left <= 0 || now >= self.deadline {
            return Some(next);
        }
        let room = u128::from(self.deadline - now);
        let fits = room * u128::from(of.runtime) / u128::from(of.deadline);
        if (self.left as u128) > fits {
            if of.deadline == of.period {
                self.left = of.runtime as i64;
                self.start = now;
                self.deadline = now.saturating_add(of.deadline);
            } else if fits == 0 {
                return Some(next);
            } else {
                self.left = fits as i64;
            }
        }
        None
    }

    /// A new period begins at `at`; what was run over is taken from it.
    fn begin(&mut self, of: &Reservation, at: u64) {
        self.start = at;
        self.left = self.left.min(0).saturating_add(of.runtime as i64);
        self.deadline = at.saturating_add(of.deadline);
    }

    /// When a thread that used up its runtime gets more.
    pub fn replenished_at(&self, of: &Reservation) -> u64 {
        self.start.saturating_add(of.period)
    }

    /// The time of [`replenished_at`](Server::replenished_at) has come. False when the debt takes all of it.
    pub fn replenish(&mut self, of: &Reservation, now: u64) -> bool {
        let due = self.replenished_at(of);
        // After a long absence periods are not made up for.
        let late = now.saturating_sub(due) / of.period.max(1);
        self.begin(of, due.saturating_add(late.saturating_mul(of.period)));
        self.left > 0
    }

    /// Gives up the rest of this period (`sched_yield`).
    pub fn finish(&mut self) {
        self.left = self.left.min(0);
    }
}

/// What deadline threads have reserved of each CPU.
pub struct Admission {
    reserved: [u64; MAX_CPUS],
}

impl Admission {
    pub const fn new() -> Admission {
        Admission { reserved: [0; MAX_CPUS] }
    }

    /// Reserves room on one of the `allowed` CPUs, the one with the most; `None` when it fits nowhere.
    pub fn admit(&mut self, reservation: &Reservation, allowed: &CpuSet) -> Option<usize> {
        let cpu = allowed.iter().min_by_key(|cpu| self.reserved.get(*cpu).copied().unwrap_or(u64::MAX))?;
        let reserved = self.reserved.get_mut(cpu)?;
        let with = reserved.checked_add(reservation.density())?;
        (with <= LIMIT).then(|| {
            *reserved = with;
            cpu
        })
    }

    /// Gives back what [`admit`](Admission::admit) took.
    pub fn release(&mut self, reservation: &Reservation, cpu: usize) {
        if let Some(reserved) = self.reserved.get_mut(cpu) {
            *reserved = reserved.saturating_sub(reservation.density());
        }
    }

    /// What is reserved of a CPU, of [`Reservation::ONE`].
    pub fn reserved(&self, cpu: usize) -> u64 {
        self.reserved.get(cpu).copied().unwrap_or(0)
    }
}

impl Default for Admission {
    fn default() -> Admission {
        Admission::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn admission_stops_at_the_limit_of_each_cpu() {
        let Some(half) = Reservation::new(40 * MS, 100 * MS, 100 * MS) else { panic!("in bounds") };
        let mut admission = Admission::new();
        let two = CpuSet::first(2);
        let cpus: [_; 5] = core::array::from_fn(|_| admission.admit(&half, &two));
        assert_eq!(cpus, [Some(0), Some(1), Some(0), Some(1), None]);
        admission.release(&half, 1);
        assert_eq!(admission.admit(&half, &two), Some(1));
        assert_eq!(admission.admit(&half, &CpuSet::EMPTY), None);
    }

    #[test]
    fn bounds_of_a_reservation() {
        assert!(Reservation::new(1023, MS, MS).is_none());
        assert!(Reservation::new(2 * MS, MS, MS).is_none());
        assert!(Reservation::new(MS, 3 * MS, 2 * MS).is_none());
        assert_eq!(Reservation::new(MS, 2 * MS, 0).map(|of| of.period), Some(2 * MS));
    }

    #[test]
    fn a_late_waker_gets_no_more_than_its_share() {
        let Some(of) = Reservation::new(5 * MS, 10 * MS, 20 * MS) else { panic!("in bounds") };
        let mut server = Server::default();
        assert_eq!(server.wake(&of, 100 * MS), None);
        server.left -= MS as i64;
        assert_eq!(server.wake(&of, 106 * MS), None);
        assert_eq!(server.left, 2 * MS as i64);
        server.finish();
        assert_eq!(server.wake(&of, 107 * MS), Some(120 * MS));
        assert!(server.replenish(&of, 120 * MS));
        assert_eq!((server.left, server.deadline), (5 * MS as i64, 130 * MS));
    }
}
