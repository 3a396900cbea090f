//! The log goes to standard error; the machine ends with its process.

use std::io::Write;

pub(crate) fn log_bytes(bytes: &[u8]) {
    // A closed standard error must not end a test.
    let _ = std::io::stderr().write_all(bytes);
}

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
