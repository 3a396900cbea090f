//! I/O port instructions.

use core::arch::asm;
use core::ops::RangeInclusive;

/// Ports that only hal drives: interrupt controllers, the interval timer with its gate, the battery's clock.
pub const RESERVED_PORTS: [RangeInclusive<u16>; 5] = [0x20..=0x21, 0x40..=0x43, 0x61..=0x61, 0x70..=0x71, 0xa0..=0xa1];

macro_rules! instructions {
    ($($read:ident $write:ident $type:ty, $register:tt),*) => {
        $(
            pub fn $read(port: u16) -> $type {
                let value: $type;
                // SAFETY: port reads touch no memory of ours; what a device does about it is its driver's affair.
                unsafe { asm!(concat!("in ", $register, ", dx"), in("dx") port, out($register) value, options(nostack, preserves_flags)) };
                value
            }

            pub fn $write(port: u16, value: $type) {
                // SAFETY: as for reads; the controllers that could break the machine are behind `RESERVED_PORTS`.
                unsafe { asm!(concat!("out dx, ", $register), in("dx") port, in($register) value, options(nostack, preserves_flags)) };
            }
        )*
    };
}

instructions!(in8 out8 u8, "al", in16 out16 u16, "ax", in32 out32 u32, "eax");
