//! Which counter is the clock, and which way the timer is set.

/// What is known of the machine's counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// CPUID says that the counter runs at one rate in all states of the processor (8000_0007H, EDX bit 8).
    pub invariant: bool,
    /// Under a monitor, which keeps the counter's promises in its stead.
    pub monitored: bool,
    /// One processor was seen to be behind another.
    pub warped: bool,
    /// The board has a counter that can be a clock.
    pub reference: bool,
    /// The processor compares its timer with the counter (CPUID 1, ECX bit 24).
    pub deadline: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// The processors' time-stamp counters; programs read them themselves.
    Counter,
    /// A counter of the board, slow to read; programs ask the kernel.
    Reference,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimerMode {
    /// Counts down from what was written.
    OneShot,
    /// Comes when the time-stamp counter reaches what was written.
    Deadline,
}

/// A counter that nobody vouches for, or that was caught, is the clock only where there is nothing else.
pub fn choose(facts: Facts) -> (Source, TimerMode) {
    let steady = facts.invariant || facts.monitored;
    let trusted = steady && !facts.warped;
    let source = if trusted || !facts.reference { Source::Counter } else { Source::Reference };
    // A timer is compared with its own processor's counter, which need not agree with others.
    let timer = if facts.deadline && steady { TimerMode::Deadline } else { TimerMode::OneShot };
    (source, timer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_has_a_clock_it_can_trust_or_none_better() {
        for bits in 0..32 {
            let bit = |number: u32| bits >> number & 1 != 0;
            let facts =
                Facts { invariant: bit(0), monitored: bit(1), warped: bit(2), reference: bit(3), deadline: bit(4) };
            let (source, timer) = choose(facts);
            if source == Source::Reference {
                assert!(facts.reference && (facts.warped || !facts.invariant && !facts.monitored), "{facts:?}");
            }
            if facts.warped && facts.reference {
                assert_eq!(source, Source::Reference, "{facts:?}");
            }
            if timer == TimerMode::Deadline {
                assert!(facts.deadline && (facts.invariant || facts.monitored), "{facts:?}");
            }
        }
        let modern = Facts { invariant: true, reference: true, deadline: true, ..Facts::default() };
        assert_eq!(choose(modern), (Source::Counter, TimerMode::Deadline));
        assert_eq!(choose(Facts { warped: true, ..modern }), (Source::Reference, TimerMode::Deadline));
        assert_eq!(choose(Facts::default()), (Source::Counter, TimerMode::OneShot));
    }
}
