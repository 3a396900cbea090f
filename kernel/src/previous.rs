//! What the kernel before this one left in memory: told in the log, where somebody looks for the cause of a reset.

use alloc::format;

use kernel_hal::boot::Boot;
use kernel_hal::kept::Ending;
use kernel_hal::{console, power};

/// Tells it, unless that kernel ended as it was asked to; and takes from the command line whether a panic is to reset the
/// machine (`aios.panic=reboot`).
pub fn tell(boot: &Boot) {
    let previous = boot.previous.as_ref();
    let panicked = previous.filter(|previous| previous.ending == Ending::Panic);
    if boot.option("aios.panic") == Some("reboot") {
        power::reset_on_panic(panicked.map_or(0, |previous| previous.resets));
    }
    let Some(previous) = previous else { return };
    let how = match previous.ending {
        Ending::Orderly => return,
        Ending::Panic => "panicked",
        Ending::Abrupt => "ended without a word",
    };
    log::warn!("the previous run {how}; last words of the previous run:");
    // Not through the logger: they are not this kernel's, and would take the place of its own.
    for line in previous.text.lines() {
        console::bytes(format!("| {line}\n").as_bytes());
    }
    log::warn!("end of the last words of the previous run");
}
