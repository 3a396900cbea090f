//! The log goes to standard error; the machine ends with its process.

use std::io::Write;

pub(crate) fn log_bytes(bytes: &[u8]) {
    // A closed standard error must not end a test.
    let _ = std::io::stderr().write_all(bytes);
}

/// The hosted machine's memory ends with its process: nothing is kept for another kernel.
pub(crate) fn keep(_bytes: &[u8]) {}

pub(crate) fn end_kept(_ending: crate::kept::Ending, _resets: u32) {}

pub(crate) fn touch_nothing() -> ! {
    panic!("nothing is mapped there");
}

/// A panic is a failed test.
pub(crate) fn reset_on_panic(_before: u32) {}

pub(crate) fn halt() -> ! {
    panic!("the hosted machine was halted");
}

pub(crate) fn reset() -> ! {
    panic!("the hosted machine was reset");
}

/// x87, TSC, CX8, CMOV, MMX, FXSR, SSE, SSE2.
pub(crate) fn hwcap() -> u64 {
    0x0780_8111
}

/// A processor of family 6, model 1, from nobody, with no more than [`hwcap`].
pub(crate) fn identification(leaf: u32, _subleaf: u32) -> [u32; 4] {
    let text = |four: &[u8; 4]| u32::from_le_bytes(*four);
    match leaf {
        0 => [1, text(b"Host"), text(b"    "), text(b"edMa")],
        1 => [0x0000_0611, 0, 0, hwcap() as u32],
        0x8000_0000 => [0x8000_0004, 0, 0, 0],
        0x8000_0002 => [text(b"Host"), text(b"ed m"), text(b"achi"), text(b"ne\0\0")],
        _ => [0; 4],
    }
}

/// What host programs read is the host's number.
pub(crate) fn programs_read_number() -> bool {
    false
}

/// A debugger shows host threads better.
pub(crate) fn dump_cpus() {}
