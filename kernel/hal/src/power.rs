//! The end of the machine, orderly.

use crate::kept::Ending;
use crate::machine;

/// Stops all CPUs for good.
pub fn halt() -> ! {
    machine::halt()
}

/// Resets the machine, by what every PC has for it.
pub fn reset() -> ! {
    machine::reset()
}

/// The machine is about to be switched off, restarted or halted because somebody asked: the next kernel, if it finds what this
/// one kept of its log, need not tell.
pub fn ends_orderly() {
    machine::end_kept(Ending::Orderly, 0);
}

/// Makes a panic reset the machine instead of stopping it, three times in a row at most; `before` of them were before this
/// kernel was started.
pub fn reset_on_panic(before: u32) {
    machine::reset_on_panic(before);
}
