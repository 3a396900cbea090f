//! The processor the caller runs on.

use core::marker::PhantomData;

use crate::machine;
use crate::once::Once;

/// CPUs that data structures have room for.
pub const MAX_CPUS: usize = 256;

/// The number of this CPU, from 0.
#[inline]
pub fn id() -> usize {
    machine::cpu_id()
}

/// CPUs that run the kernel.
pub fn count() -> usize {
    machine::cpu_count()
}

/// Starts the processors with these interrupt-controller numbers, the caller's own left out; each calls `main` with
/// interrupts off and becomes a CPU with the next number. Returns how many run then. Called once.
pub fn start_others(numbers: &[u32], main: fn() -> !) -> usize {
    machine::start_cpus(numbers, main)
}

/// True when programs can read the number of the CPU they run on themselves (`rdtscp`).
pub fn programs_read_number() -> bool {
    machine::programs_read_number()
}

/// The feature bits that programs are told in `AT_HWCAP`: CPUID leaf 1, EDX.
pub fn hwcap() -> u64 {
    machine::hwcap()
}

/// What the processor says of itself: EAX, EBX, ECX, EDX of a CPUID leaf (Intel SDM 2A, CPUID). Zeros for a leaf it does
/// not have.
pub fn identification(leaf: u32, subleaf: u32) -> [u32; 4] {
    machine::identification(leaf, subleaf)
}

/// Has every CPU write to the log where it is: registers and, in the kernel, how it got there. For people who look for what
/// keeps a machine busy; not more often than once a second.
pub fn dump_all() {
    machine::dump_cpus();
}

/// Reads from an address of the kernel's half that nothing is mapped at: a bad pointer, for tests of what comes of it.
pub fn touch_nothing() -> ! {
    machine::touch_nothing()
}

/// Tells the processor that the caller spins.
#[inline]
pub fn relax() {
    crate::model::spin();
}

/// Turns interrupts on: for a task that begins, and for a CPU that is ready.
pub fn enable_interrupts() {
    machine::interrupts_on();
}

/// Waits with interrupts on until one arrives. Interrupts that came since the caller turned them off end the wait at
/// once, so a check made with interrupts off is not raced.
pub fn wait_for_interrupt(off: IrqGuard) {
    machine::wait_for_interrupt();
    drop(off);
}

/// Keeps interrupts off on this CPU until dropped. Guards nest.
pub struct IrqGuard {
    was_on: bool,
    // Belongs to the CPU it was made on.
    _not_send: PhantomData<*const ()>,
}

impl IrqGuard {
    #[inline]
    pub fn new() -> IrqGuard {
        IrqGuard { was_on: machine::interrupts_off(), _not_send: PhantomData }
    }
}

impl Default for IrqGuard {
    fn default() -> IrqGuard {
        IrqGuard::new()
    }
}

impl Drop for IrqGuard {
    #[inline]
    fn drop(&mut self) {
        if self.was_on {
            machine::interrupts_on();
        }
    }
}

/// Keeps the running task on this CPU until dropped. Guards nest.
pub struct PreemptGuard {
    _not_send: PhantomData<*const ()>,
}

impl PreemptGuard {
    #[inline]
    pub fn new() -> PreemptGuard {
        machine::preempt_off();
        PreemptGuard { _not_send: PhantomData }
    }
}

impl Default for PreemptGuard {
    fn default() -> PreemptGuard {
        PreemptGuard::new()
    }
}

impl Drop for PreemptGuard {
    #[inline]
    fn drop(&mut self) {
        machine::preempt_on();
    }
}

static INTERRUPTED: Once<fn(bool)> = Once::new();

/// Installs what is called at the end of each interrupt that came while the kernel ran with interrupts on. It is told
/// whether the interrupted task may be switched away, that is, holds no [`PreemptGuard`]; it may then call
/// [`switch_to`](crate::task::switch_to). Called once at start-up.
pub fn set_preemption(handler: fn(bool)) {
    INTERRUPTED.set(handler);
}

#[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "on the hosted machine nothing is interrupted"))]
pub(crate) fn interrupted(may_switch: bool) {
    if let Some(handler) = INTERRUPTED.get() {
        handler(may_switch);
    }
}

/// True when the caller holds no [`PreemptGuard`] (and so no spinning lock): it may sleep.
pub fn may_sleep() -> bool {
    machine::preempt_depth() == 0
}
