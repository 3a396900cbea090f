//! The kernel's own failure in a call of an agent: that agent ends, and nobody else.
//!
//! When it is sound is decided in `hal` ([`kernel_hal::containment`]). Here the thread that failed takes its leave as at the
//! user boundary, so that its process and agent can end, and never runs again. What lies on its stack is lost: the stack
//! itself, the thread's object and what its call had hold of. That is counted, and after a few the next failure stops the
//! machine: a kernel that fails again and again is better started anew.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

use aios_abi::Errno;
use aios_abi::linux::consts::signal::SIGKILL;
use kernel_fs::procfs::{Entry, Text, register};
use kernel_hal::containment::{self, KernelFault};
use kernel_sync::{Once, SpinLock};

use crate::exit::{self, ExitReason};
use crate::{Process, Thread};

/// Ends the agent of a process for a failure of the kernel; false for one that cannot be spared.
pub type Ender = fn(&Process, &KernelFault) -> bool;

static ENDER: Once<Ender> = Once::new();
/// Threads that were given up.
static GIVEN_UP: AtomicU32 = AtomicU32::new(0);
/// More of them, and the machine stops.
const MOST: u32 = 16;
/// Subsystems that failed, and how often.
static SUSPECTS: SpinLock<BTreeMap<String, u32>> = SpinLock::new(BTreeMap::new());

/// Contains failures from now on, and shows them as `/proc/aios/suspects`. Called once at start-up.
pub fn install(ender: Ender) {
    ENDER.set(ender);
    containment::set_container(contain);
    register("aios/suspects", Entry::new(|_| suspects()));
}

/// Called on the stack of the thread that failed.
fn contain(fault: &KernelFault) {
    let (Some(thread), Some(ender)) = (Thread::current(), ENDER.get()) else { return };
    // Half of its leave cannot be taken twice.
    if thread.is_leaving() || GIVEN_UP.load(Ordering::Relaxed) >= MOST || !ender(thread.process(), fault) {
        return;
    }
    let count = GIVEN_UP.fetch_add(1, Ordering::Relaxed) + 1;
    log::error!(
        "agent {}: kernel fault in {}: {}; the agent is ended, a thread is given up ({count} of {MOST} so far)",
        thread.process().domain().name(),
        fault.room,
        fault.message
    );
    for line in fault.backtrace.lines() {
        log::error!("{line}");
    }
    let before = {
        let mut suspects = SUSPECTS.lock();
        let count = suspects.entry(fault.room.clone()).or_insert(0);
        *count += 1;
        *count
    };
    if before == 1 {
        log::error!("subsystem {} is suspect from now on", fault.room);
    }
    thread.process().give_up();
    exit::leave(&thread, ExitReason::signaled(SIGKILL));
    drop(thread);
    kernel_sched::exit();
}

/// `subsystem count`, a line each; then how many threads were given up.
fn suspects() -> Result<Vec<u8>, Errno> {
    let list: Vec<(String, u32)> = SUSPECTS.lock().iter().map(|(room, count)| (room.clone(), *count)).collect();
    let mut text = Text::new();
    for (room, count) in list {
        text.put(format_args!("{room} {count}\n"))?;
    }
    text.put(format_args!("threads-given-up {}\n", GIVEN_UP.load(Ordering::Relaxed)))?;
    Ok(text.into_bytes())
}
