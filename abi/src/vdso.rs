//! The page through which the kernel tells user space the time: read by the vDSO, one page below its first byte.
//!
//! A sequence counter guards it. The kernel makes [`sequence`](VdsoData::sequence) odd, writes the rest, makes it even
//! again, two more than before; a reader that saw an odd value or a change reads again. All fields are naturally aligned.
//!
//! Monotonic time in nanoseconds is `monotonic_base_ns + ((counter - counter_base) * multiplier >> shift)`, the product
//! taken in 128 bits; the kernel computes its own clock by the same formula, so that system calls and vDSO agree.

/// Bytes from the data page's start to the vDSO's first byte.
pub const DATA_BEFORE_CODE: u64 = 4096;

/// Clocks cannot be read without a system call.
pub const CLOCK_NONE: u32 = 0;
/// Clocks follow the time-stamp counter.
pub const CLOCK_TSC: u32 = 1;

/// The number of the processor takes a system call.
pub const CPU_UNKNOWN: u32 = 0;
/// User programs run on processor 0 only.
pub const CPU_ZERO: u32 = 1;
/// The number of the processor is in the low 12 bits of `TSC_AUX`, its node in those above.
pub const CPU_TSC_AUX: u32 = 2;

/// Contents of the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct VdsoData {
    /// Odd while the kernel writes.
    pub sequence: u32,
    /// [`CLOCK_NONE`] or [`CLOCK_TSC`].
    pub clock_mode: u32,
    /// Time-stamp counter at `monotonic_base_ns`.
    pub counter_base: u64,
    /// Nanoseconds a counter tick, times 2 to the power of `shift`.
    pub multiplier: u64,
    /// Below 64.
    pub shift: u32,
    /// [`CPU_UNKNOWN`], [`CPU_ZERO`] or [`CPU_TSC_AUX`].
    pub cpu_mode: u32,
    pub monotonic_base_ns: u64,
    /// Added to monotonic time, wrapping: nanoseconds since 1970.
    pub realtime_offset_ns: u64,
    /// Added to monotonic time: time since boot with the time asleep.
    pub boottime_offset_ns: u64,
    /// What `clock_getres` says of the coarse clocks; they are as fine as the others, which say 1.
    pub coarse_resolution_ns: u64,
    /// Incremented in each clone of an agent, so that a program can notice that it is one.
    pub generation: u64,
}

impl VdsoData {
    pub const SIZE: usize = size_of::<VdsoData>();

    /// The bytes as they stand in memory.
    pub fn encode(&self) -> [u8; VdsoData::SIZE] {
        let mut bytes = [0; VdsoData::SIZE];
        let narrow = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let words = [
            narrow(self.sequence, self.clock_mode),
            self.counter_base,
            self.multiplier,
            narrow(self.shift, self.cpu_mode),
            self.monotonic_base_ns,
            self.realtime_offset_ns,
            self.boottime_offset_ns,
            self.coarse_resolution_ns,
            self.generation,
        ];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// The formula above: nanoseconds at `counter`; at the base when the counter has not got there yet.
#[inline(always)]
pub const fn monotonic_ns(data: &VdsoData, counter: u64) -> u64 {
    let ticks = counter.saturating_sub(data.counter_base);
    let passed = (ticks as u128 * data.multiplier as u128) >> (data.shift & 63);
    data.monotonic_base_ns.wrapping_add(passed as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn encoded_fields_stand_where_the_structure_has_them() {
        let data = VdsoData {
            sequence: 0x0101_0101,
            clock_mode: 0x0202_0202,
            counter_base: 3,
            multiplier: 4,
            shift: 5,
            cpu_mode: 6,
            monotonic_base_ns: 7,
            realtime_offset_ns: 8,
            boottime_offset_ns: 9,
            coarse_resolution_ns: 10,
            generation: 11,
        };
        let bytes = data.encode();
        let narrow = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        assert_eq!(narrow(offset_of!(VdsoData, sequence)), data.sequence);
        assert_eq!(narrow(offset_of!(VdsoData, clock_mode)), data.clock_mode);
        assert_eq!((narrow(offset_of!(VdsoData, shift)), narrow(offset_of!(VdsoData, cpu_mode))), (5, 6));
        let wide = [
            offset_of!(VdsoData, counter_base),
            offset_of!(VdsoData, multiplier),
            offset_of!(VdsoData, monotonic_base_ns),
            offset_of!(VdsoData, realtime_offset_ns),
            offset_of!(VdsoData, boottime_offset_ns),
            offset_of!(VdsoData, coarse_resolution_ns),
            offset_of!(VdsoData, generation),
        ];
        assert_eq!(wide.map(|at| u64::from(narrow(at))), [3, 4, 7, 8, 9, 10, 11]);
    }

    #[test]
    fn time_does_not_overflow_in_a_century() {
        let data = VdsoData {
            counter_base: 1000,
            multiplier: 1 << 31,
            shift: 32,
            monotonic_base_ns: 5,
            ..VdsoData::default()
        };
        assert_eq!(monotonic_ns(&data, 1000), 5);
        assert_eq!(monotonic_ns(&data, 999), 5);
        let century = 100 * 365 * 86_400 * 1_000_000_000u64;
        assert_eq!(monotonic_ns(&data, 1000 + 2 * century), century + 5);
    }
}
