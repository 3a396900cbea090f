//! What a group may use at most: a quota of CPU time in each period, over all CPUs together.
//!
//! CPUs take slices of the quota from the group's pool, use them up to the nanosecond, and come for more. A slice is of
//! one period: what is left of it at the end is worth nothing, and what was used too much is paid in the next.

/// Bounds of a slice, in nanoseconds.
const SLICE_BOUNDS: (u64, u64) = (100_000, 5_000_000);

/// `quota` nanoseconds on CPUs in each `period` nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bandwidth {
    pub quota: u64,
    pub period: u64,
}

impl Bandwidth {
    /// A limit in Linux's bounds: a period of 1 ms to 1 s, a quota of 1 ms or more.
    pub fn new(quota: u64, period: u64) -> Option<Bandwidth> {
        let fits = (1_000_000..=1_000_000_000).contains(&period) && (1_000_000..1 << 40).contains(&quota);
        fits.then_some(Bandwidth { quota, period })
    }
}

/// A part of a period's quota, in one CPU's hands.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Grant {
    /// Nanoseconds; negative when more was used.
    pub left: i64,
    /// When it stops being worth anything.
    pub end: u64,
}

/// What is left of a group's quota.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    limit: Bandwidth,
    left: i64,
    end: u64,
    /// Periods, and how often a CPU stopped the group.
    pub periods: u64,
    pub throttled: u64,
}

impl Pool {
    pub fn new(limit: Bandwidth) -> Pool {
        Pool { limit, left: 0, end: 0, periods: 0, throttled: 0 }
    }

    pub fn limit(&self) -> Bandwidth {
        self.limit
    }

    /// Other limits from now on; the period goes on.
    pub fn set_limit(&mut self, limit: Bandwidth) {
        self.left = self.left.saturating_add(limit.quota as i64 - self.limit.quota as i64);
        self.limit = limit;
    }

    /// Gives a CPU a new slice for what is left of its last one. When nothing is left the grant is not positive: the
    /// CPU comes again at its `end`.
    pub fn refill(&mut self, grant: &mut Grant, now: u64) {
        self.turn(now);
        if grant.end != self.end {
            *grant = Grant { left: grant.left.min(0), end: self.end };
        }
        let slice = (self.limit.quota / 8).clamp(SLICE_BOUNDS.0, SLICE_BOUNDS.1) as i64;
        let given = slice.saturating_sub(grant.left).min(self.left).max(0);
        self.left -= given;
        grant.left += given;
    }

    /// Takes back what a CPU has no use for.
    pub fn give_back(&mut self, grant: &mut Grant, now: u64) {
        self.turn(now);
        if grant.left > 0 {
            if grant.end == self.end {
                self.left += grant.left;
            }
            grant.left = 0;
        }
    }

    fn turn(&mut self, now: u64) {
        if now < self.end {
            return;
        }
        let passed = (now - self.end) / self.limit.period + 1;
        // The first period begins with the first use.
        self.end = if self.end == 0 { now } else { self.end + (passed - 1) * self.limit.period };
        self.end = self.end.saturating_add(self.limit.period);
        self.left = self.limit.quota as i64;
        self.periods += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::Random;

    /// Whatever CPUs take and give back, a period's grants never sum to more than the quota.
    #[test]
    fn a_period_gives_its_quota_and_no_more() {
        for seed in 0..100 {
            let mut random = Random(seed);
            let Some(limit) = Bandwidth::new(20_000_000, 100_000_000) else { panic!("in bounds") };
            let mut pool = Pool::new(limit);
            let mut grants = [Grant::default(); 4];
            let (mut now, mut used, mut end) = (1, 0, 0);
            for _ in 0..2000 {
                now += random.below(2_000_000);
                let grant = &mut grants[random.below(4) as usize];
                if random.below(4) == 0 {
                    pool.give_back(grant, now);
                    continue;
                }
                pool.refill(grant, now);
                if grant.end != end {
                    (end, used) = (grant.end, 0);
                }
                assert!(now < grant.end);
                let use_up = (random.below(6_000_000) as i64).min(grant.left.max(0));
                grant.left -= use_up;
                used += use_up as u64;
                assert!(used <= limit.quota, "seed {seed}: {used} used");
            }
        }
    }
}
