//! Sleeping and waking, as the scheduler provides it.

use alloc::sync::Arc;

use kernel_hal::time::Instant;

use crate::{Once, Wake};

/// A signal, a freeze or a kill ended the wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupted;

impl From<Interrupted> for aios_abi::Errno {
    /// The call restarts when the signal's action allows it.
    fn from(_: Interrupted) -> aios_abi::Errno {
        aios_abi::Errno::ERESTARTSYS
    }
}

/// A task as wait queues hold it.
pub type Waiter = Arc<dyn Wake>;

/// What the scheduler does for this room.
pub trait Parking: Sync {
    /// The running task.
    fn current(&self) -> Waiter;
    /// Sleeps until the running task is woken or `deadline` has passed. A wake that came since the last `park` ended
    /// counts: the call returns at once. May return for no reason. With `interruptible` it also returns while
    /// [`interrupted`](Parking::interrupted) holds.
    fn park(&self, deadline: Option<Instant>, interruptible: bool);
    /// True when the running task must leave the kernel: a signal is pending.
    fn interrupted(&self) -> bool;
}

static PARKING: Once<&'static dyn Parking> = Once::new();

/// Installs the scheduler. Called once at start-up.
pub fn install(parking: &'static dyn Parking) {
    PARKING.set(parking);
}

pub fn current() -> Waiter {
    parking().current()
}

pub fn park(deadline: Option<Instant>, interruptible: bool) {
    parking().park(deadline, interruptible);
}

pub fn interrupted() -> bool {
    parking().interrupted()
}

#[cfg(target_os = "none")]
fn parking() -> &'static dyn Parking {
    match PARKING.get() {
        Some(parking) => *parking,
        None => panic!("a task waits before there is a scheduler"),
    }
}

/// On the hosted machine every thread of the process is a task.
#[cfg(not(target_os = "none"))]
fn parking() -> &'static dyn Parking {
    PARKING.get().copied().unwrap_or(&host::Threads)
}

#[cfg(not(target_os = "none"))]
mod host {
    use std::sync::PoisonError;

    #[cfg(feature = "model")]
    use shuttle::sync::{Arc, Condvar, Mutex};
    #[cfg(not(feature = "model"))]
    use std::sync::{Arc, Condvar, Mutex};

    use kernel_hal::time::Instant;
    #[cfg(not(feature = "model"))]
    use kernel_hal::time::now;

    use super::{Parking, Waiter};
    use crate::Wake;

    pub struct Threads;

    #[derive(Default)]
    struct HostTask {
        woken: Mutex<bool>,
        changed: Condvar,
    }

    impl Wake for HostTask {
        fn wake(&self) {
            *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.changed.notify_one();
        }
    }

    kernel_hal::model::thread_local! {
        static CURRENT: Arc<HostTask> = Arc::default();
    }

    impl Parking for Threads {
        fn current(&self) -> Waiter {
            CURRENT.with(|task| task.clone() as Waiter)
        }

        fn park(&self, deadline: Option<Instant>, _interruptible: bool) {
            let task = CURRENT.with(Arc::clone);
            let mut woken = task.woken.lock().unwrap_or_else(PoisonError::into_inner);
            // Under the model checker time stands still and a wake that is lost is a deadlock, which it finds.
            #[cfg(feature = "model")]
            while !*woken {
                assert!(deadline.is_none(), "no deadline passes here");
                woken = task.changed.wait(woken).unwrap_or_else(PoisonError::into_inner);
            }
            // Virtual time does not pass by itself: a deadline is looked at again each millisecond.
            #[cfg(not(feature = "model"))]
            while !*woken && deadline.is_none_or(|deadline| now() < deadline) {
                let wait = std::time::Duration::from_millis(if deadline.is_some() { 1 } else { 1000 });
                woken = task.changed.wait_timeout(woken, wait).unwrap_or_else(PoisonError::into_inner).0;
            }
            *woken = false;
        }

        fn interrupted(&self) -> bool {
            false
        }
    }
}
