//! Interrupts, raised by a fake device or a test on the host thread that calls.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::cpu::IrqGuard;
use crate::irq::{handle, is_handled};

const MSI_BASE: u64 = 0xfee0_0000;
const ISA_LINES: usize = 16;

/// The vector of each line; 0 where nothing is routed.
static ISA: [AtomicU8; ISA_LINES] = [const { AtomicU8::new(0) }; ISA_LINES];

pub(crate) const LEGACY_CHIP: &str = "hosted";

/// The processors' APIC IDs are their numbers.
pub(crate) fn destination(cpu: usize) -> Option<u32> {
    u32::try_from(cpu).ok()
}

/// Sends a line to a vector; a masked line goes nowhere.
pub(crate) fn set_line(line: u8, vector: u8, masked: bool) -> bool {
    match ISA.get(usize::from(line)) {
        Some(slot) => {
            slot.store(if masked { 0 } else { vector }, Ordering::SeqCst);
            true
        }
        None => false,
    }
}

#[cfg(test)]
pub(crate) fn accept_legacy_interrupts() {}

/// A device writes `data` to `address`. False when that is no interrupt that anyone handles.
pub fn raise_msi(address: u64, data: u32) -> bool {
    address & !0xf_ffff == MSI_BASE && raise(data as u8)
}

/// An ISA interrupt line fires. False when it is not routed.
pub fn raise_isa(line: u8) -> bool {
    ISA.get(usize::from(line)).is_some_and(|slot| match slot.load(Ordering::SeqCst) {
        0 => false,
        vector => raise(vector),
    })
}

fn raise(vector: u8) -> bool {
    let _off = IrqGuard::new();
    handle(vector);
    is_handled(vector)
}
