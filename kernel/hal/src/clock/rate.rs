//! Rates of counters: what processors say of theirs, and the arithmetic between ticks and nanoseconds.

/// Bits behind the point of multipliers.
pub const SHIFT: u32 = 32;
const SECOND: u64 = 1_000_000_000;

/// Between a counter's ticks and nanoseconds, both ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scale {
    /// Nanoseconds a tick, times 2^32.
    pub ns_per_tick: u64,
    /// Ticks a nanosecond, times 2^32.
    pub ticks_per_ns: u64,
}

impl Scale {
    /// A counter that does `ticks` in `ns`. `None` for one that stands still or is out of all reason (above 1 THz).
    pub fn measured(ticks: u64, ns: u64) -> Option<Scale> {
        let quotient = |dividend: u64, divisor: u64| {
            u64::try_from((u128::from(dividend) << SHIFT).checked_div(u128::from(divisor))?).ok()
        };
        let scale = Scale { ns_per_tick: quotient(ns, ticks)?, ticks_per_ns: quotient(ticks, ns)? };
        (scale.ns_per_tick != 0 && scale.ticks_per_ns != 0 && scale.ticks_per_ns >> SHIFT < 1000).then_some(scale)
    }

    pub fn from_hz(hz: u64) -> Option<Scale> {
        Scale::measured(hz, SECOND)
    }

    /// Rounded down.
    #[inline]
    pub fn ns(&self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.ns_per_tick)) >> SHIFT) as u64
    }

    /// Rounded up, so that waiting for so many ticks is never too short.
    #[inline]
    pub fn ticks(&self, ns: u64) -> u64 {
        let product = u128::from(ns) * u128::from(self.ticks_per_ns);
        u64::try_from((product + (1 << SHIFT) - 1) >> SHIFT).unwrap_or(u64::MAX)
    }

    /// Ticks a second, rounded to the nearest.
    pub fn hz(&self) -> u64 {
        let product = u128::from(SECOND) * u128::from(self.ticks_per_ns);
        ((product + (1 << (SHIFT - 1))) >> SHIFT) as u64
    }
}

/// The rates of a processor's own counters, in Hz, as CPUID tells them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Told {
    /// The time-stamp counter.
    pub counter: Option<u64>,
    /// `counter` is the true rate and not the one that marketing rounded: measuring does not make it better.
    pub exact: bool,
    /// The local APIC's timer.
    pub timer: Option<u64>,
}

/// Reads the leaves that tell: `leaf` returns EAX, EBX, ECX, EDX, and zeros for one that is not there.
pub fn told(leaf: impl Fn(u32) -> [u32; 4]) -> Told {
    // A monitor knows best, since it may scale the counter (VMware's leaf, which others have adopted): both in kHz.
    let [counter, bus, ..] = leaf(0x4000_0010);
    if counter != 0 {
        let timer = (bus != 0).then_some(u64::from(bus) * 1000);
        return Told { counter: Some(u64::from(counter) * 1000), exact: true, timer };
    }
    // SDM 2A, CPUID 15H: the counter's ratio to the crystal (EBX/EAX), and the crystal's rate, which drives the timer.
    let [denominator, numerator, crystal, _] = leaf(0x15).map(u64::from);
    if denominator == 0 || numerator == 0 {
        return Told::default();
    }
    if crystal != 0 {
        return Told { counter: Some(crystal * numerator / denominator), exact: true, timer: Some(crystal) };
    }
    // 16H: the base rate in MHz, rounded. With the ratio it gives the crystal's.
    let base = u64::from(leaf(0x16)[0] & 0xffff) * 1_000_000;
    if base == 0 {
        return Told::default();
    }
    Told { counter: Some(base), exact: false, timer: Some(base * denominator / numerator) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_round_the_safe_way() {
        for hz in [14_318_180, 100_000_000, 999_999_937, 1_000_000_000, 2_899_886_000, 5_000_000_000] {
            let scale = Scale::from_hz(hz).expect("a rate");
            assert_eq!(scale.hz(), hz);
            for ns in [0, 1, 7, 999, 1_000_000, 86_400 * SECOND] {
                let ticks = scale.ticks(ns);
                let exact = u128::from(ns) * u128::from(hz) / u128::from(SECOND);
                assert!(u128::from(ticks) >= exact.saturating_sub(u128::from(ns >> 30) + 1), "{hz} {ns}");
                assert!(u128::from(ticks) <= exact + 2 + u128::from(ns >> 30), "{hz} {ns}");
            }
        }
        assert_eq!(Scale::measured(0, 5), None);
        assert_eq!(Scale::measured(5, 0), None);
        assert_eq!(Scale::measured(u64::MAX, 1), None);
    }

    fn leaves(list: &'static [(u32, [u32; 4])]) -> impl Fn(u32) -> [u32; 4] {
        move |wanted| list.iter().find(|(leaf, _)| *leaf == wanted).map_or([0; 4], |(_, values)| *values)
    }

    #[test]
    fn processors_are_believed() {
        // A client part with a 24 MHz crystal.
        let skylake = told(leaves(&[(0x15, [2, 216, 24_000_000, 0]), (0x16, [2600, 3500, 100, 0])]));
        assert_eq!(skylake, Told { counter: Some(2_592_000_000), exact: true, timer: Some(24_000_000) });
        // One that does not name its crystal.
        let quiet = told(leaves(&[(0x15, [2, 168, 0, 0]), (0x16, [2100, 3000, 100, 0])]));
        assert_eq!(quiet, Told { counter: Some(2_100_000_000), exact: false, timer: Some(25_000_000) });
        let guest = told(leaves(&[(0x4000_0010, [2_899_886, 1_000_000, 0, 0]), (0x15, [1, 2, 3, 0])]));
        assert_eq!(guest, Told { counter: Some(2_899_886_000), exact: true, timer: Some(1_000_000_000) });
        assert_eq!(told(leaves(&[])), Told::default());
        assert_eq!(told(leaves(&[(0x15, [2, 168, 0, 0])])), Told::default());
        assert_eq!(told(leaves(&[(0x15, [0, 168, 1, 0])])), Told::default());
    }
}
