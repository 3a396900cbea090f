//! What the locks' room asks of the scheduler.

use kernel_hal::ipi;
use kernel_hal::time::{self, Instant};
use kernel_sync::{Parking, Waiter};

use crate::thread::current;
use crate::{cpus, switch, timer, wake};

struct Scheduler;

impl Parking for Scheduler {
    fn current(&self) -> Waiter {
        current()
    }

    fn park(&self, deadline: Option<Instant>, interruptible: bool) {
        switch::park(deadline, interruptible);
    }

    fn interrupted(&self) -> bool {
        current().is_interrupted()
    }
}

/// Makes the calling code the idle thread and this room the scheduler. Called once, before interrupts are on.
pub fn init() {
    cpus::adopt_idle();
    kernel_sync::install(&Scheduler);
    time::set_timer_handler(timer::fire);
    ipi::set_reschedule_handler(wake::kicked);
}
