//! Weights, and the virtual time that passes for them.
//!
//! A weight is a fixed-point number: [`NICE_0`] is one. An entity of weight *w* that ran for *t* has used *t* / *w* of
//! virtual time. The spare bits let the weight of an agent be split over many CPUs without rounding to nothing.

/// The weight of a thread of nice level 0, and of a group with the usual share.
pub const NICE_0: u64 = 1 << 20;

/// The weight of `SCHED_IDLE` threads: Linux's 3 against 1,024.
pub const IDLE: u64 = 3 << 10;

/// No weight gets smaller than this when it is divided.
pub const LEAST: u64 = 2;

/// The share of a group that has not been given one, as in Linux's `cpu.weight`.
pub const USUAL_SHARE: u32 = 100;
/// The largest share a group can have.
pub const LARGEST_SHARE: u32 = 10_000;

/// Linux's weights of the nice levels from -20 (`sched_prio_to_weight`): each level is worth a tenth of the CPU.
const OF_NICE: [u32; 40] = [
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904, 3906, 3121, 2501,
    1991, 1586, 1277, 1024, 820, 655, 526, 423, 335, 272, 215, 172, 137, 110, 87, 70, 56, 45, 36, 29, 23, 18, 15,
];

/// The weight of a nice level; levels outside -20..=19 count as the nearest.
pub fn of_nice(nice: i32) -> u64 {
    let index = (nice.clamp(-20, 19) + 20) as usize;
    OF_NICE.get(index).map_or(NICE_0, |weight| u64::from(*weight) << 10)
}

/// The weight of a group's share, 1 to 10,000 (Linux's `cpu.weight`).
pub fn of_share(share: u32) -> u64 {
    u64::from(share.clamp(1, LARGEST_SHARE)) * NICE_0 / u64::from(USUAL_SHARE)
}

/// The virtual time of `ns` nanoseconds on a CPU.
#[inline]
pub fn to_virtual(ns: u64, weight: u64) -> i64 {
    if weight == NICE_0 {
        return ns as i64;
    }
    match ns.checked_mul(NICE_0) {
        Some(product) => (product / weight.max(1)) as i64,
        None => i64::try_from(u128::from(ns) * u128::from(NICE_0) / u128::from(weight.max(1))).unwrap_or(i64::MAX),
    }
}

/// The nanoseconds on a CPU that a span of virtual time is worth; negative spans are worth none.
#[inline]
pub fn to_real(span: i64, weight: u64) -> u64 {
    let span = span.max(0) as u64;
    if weight == NICE_0 {
        return span;
    }
    match span.checked_mul(weight) {
        Some(product) => product / NICE_0,
        None => u64::try_from(u128::from(span) * u128::from(weight) / u128::from(NICE_0)).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nice_level_is_a_tenth() {
        for nice in -20..19 {
            let ratio = of_nice(nice) as f64 / of_nice(nice + 1) as f64;
            assert!((1.15..1.35).contains(&ratio), "{nice}: {ratio}");
        }
        assert_eq!(of_nice(0), NICE_0);
        assert_eq!(of_share(USUAL_SHARE), NICE_0);
    }

    #[test]
    fn conversions_undo_each_other() {
        for weight in [LEAST, IDLE, of_nice(19), NICE_0, of_nice(-20), of_share(10_000)] {
            for ns in [0, 1_000, 4_000_000, 3_600_000_000_000] {
                let back = to_real(to_virtual(ns, weight), weight);
                assert!(back <= ns && ns - back <= weight / NICE_0 + 1, "{ns} {weight}: {back}");
            }
        }
    }
}
