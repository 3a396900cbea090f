//! When an agent that ended by a fault is started anew.

use std::time::Duration;

use aios_manifest::Restart;

/// Decides after each end; a model that knows the agent may take the place of the rule one day.
pub trait Advice {
    /// How long to wait before the next start of an agent that lived so long; `None` to give up.
    fn after(&mut self, lived: Duration) -> Option<Duration>;
}

/// The rule of the manifest: so many times, each wait twice the one before, all of it forgotten after a quiet life.
pub struct Backoff {
    rule: Restart,
    /// Starts since it was quiet.
    used: u32,
}

impl Backoff {
    pub fn new(rule: Restart) -> Backoff {
        Backoff { rule, used: 0 }
    }
}

impl Advice for Backoff {
    fn after(&mut self, lived: Duration) -> Option<Duration> {
        if lived >= self.rule.quiet {
            self.used = 0;
        }
        if self.used >= self.rule.retries {
            return None;
        }
        let factor = 1u32.checked_shl(self.used).unwrap_or(u32::MAX);
        self.used += 1;
        Some(self.rule.backoff.saturating_mul(factor).min(self.rule.longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn rule(retries: u32) -> Backoff {
        Backoff::new(Restart { retries, backoff: 100 * MS, longest: 500 * MS, quiet: 1000 * MS })
    }

    #[test]
    fn waits_double_up_to_the_longest_and_then_it_gives_up() {
        let mut rule = rule(5);
        let waits: Vec<_> = (0..6).map(|_| rule.after(MS)).collect();
        assert_eq!(waits, [Some(100 * MS), Some(200 * MS), Some(400 * MS), Some(500 * MS), Some(500 * MS), None]);
    }

    #[test]
    fn a_quiet_life_is_a_new_beginning() {
        let mut rule = rule(2);
        assert_eq!((rule.after(MS), rule.after(MS)), (Some(100 * MS), Some(200 * MS)));
        assert_eq!(rule.after(1000 * MS), Some(100 * MS));
        assert_eq!((rule.after(999 * MS), rule.after(999 * MS)), (Some(200 * MS), None));
    }

    #[test]
    fn no_number_of_starts_overflows() {
        let mut rule = rule(100);
        assert!((0..100).all(|_| rule.after(MS).is_some_and(|wait| wait <= 500 * MS)));
    }
}
