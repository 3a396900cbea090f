//! Interrupts, raised by a fake device or a test on the host thread that calls.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::cpu::IrqGuard;
use crate::irq::dispatch;

const MSI_BASE: u64 = 0xfee0_0000;
const ISA_LINES: usize = 16;

/// The vector of each line; 0 where nothing is routed.
static ISA: [AtomicU8; ISA_LINES] = [const { AtomicU8::new(0) }; ISA_LINES];

pub(crate) fn msi_address() -> u64 {
    MSI_BASE
}

pub(crate) fn route_isa(line: u8, vector: u8) -> bool {
    match ISA.get(usize::from(line)) {
        Some(slot) => {
            slot.store(vector, Ordering::SeqCst);
            true
        }
        None => false,
    }
}

/// A device writes `data` to `address`. False when that is no interrupt that anyone handles.
pub fn raise_msi(address: u64, data: u32) -> bool {
    address & !0xf_ffff == MSI_BASE && raise(data as u8)
}

/// An ISA interrupt line fires. False when it is not routed.
pub fn raise_isa(line: u8) -> bool {
    ISA.get(usize::from(line)).is_some_and(|slot| raise(slot.load(Ordering::SeqCst)))
}

fn raise(vector: u8) -> bool {
    let _off = IrqGuard::new();
    dispatch(vector)
}
