//! The end of the machine, orderly.

use crate::machine;

/// Stops all CPUs for good.
pub fn halt() -> ! {
    machine::halt()
}

/// Resets the machine through the keyboard controller ; where that does nothing, the CPU stops.
pub fn reset() -> ! {
    machine::reset()
}
