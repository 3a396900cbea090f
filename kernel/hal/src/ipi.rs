//! Interrupts from CPU to CPU.

use crate::cpuset::CpuSet;
use crate::machine;
use crate::once::Once;

static RESCHEDULE: Once<fn()> = Once::new();

/// Installs what a reschedule interrupt calls on the CPU it comes to, with interrupts off. Called once at start-up.
pub fn set_reschedule_handler(handler: fn()) {
    RESCHEDULE.set(handler);
}

/// Interrupts `cpu`, so that it looks at its run queue or brings its program's thread to the user boundary. The caller
/// is not that CPU.
#[inline]
pub fn reschedule(cpu: usize) {
    machine::send_reschedule(cpu);
}

#[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "on the hosted machine CPUs are not interrupted"))]
pub(crate) fn rescheduled() {
    if let Some(handler) = RESCHEDULE.get() {
        handler();
    }
}

/// Calls `function` on each CPU of `targets` that runs, the caller's included, and returns when all have. On the others it
/// runs in an interrupt handler: it is short and takes no lock that is held with interrupts on. The caller holds no
/// lock that an interrupt handler takes.
pub fn call(targets: &CpuSet, function: &(dyn Fn() + Sync)) {
    machine::call_on(targets, function);
}
