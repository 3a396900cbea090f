//! The loop in which a thread runs its program.

use alloc::sync::Arc;

use aios_abi::Errno;
use kernel_hal::addr::Virt;
use kernel_hal::user::{Trap, UserContext};
use kernel_hal::usermem::{self, Access};
use kernel_mm::{FaultError, gate};
use kernel_sync::Once;

use crate::exit::{self, ExitReason, Short};
use crate::process::State;
use crate::signal::{self, PageFault};
use crate::{Thread, rseq, shortage};

/// What a program speaks with; the room above that decodes its calls.
pub trait Personality: Sync {
    /// Handles the call in the registers and leaves the result there.
    fn call(&self, thread: &Arc<Thread>, context: &mut UserContext);
    /// Whether the call takes no memory that stays, so that it is made also when there is none.
    fn needs_no_memory(&self, call: u64) -> bool;
    /// A process was ended by what it did; said once.
    fn report_fault(&self, thread: &Thread, reason: &ExitReason);
}

static PERSONALITY: Once<&'static dyn Personality> = Once::new();

/// Sets what handles calls and makes faults of the kernel's own user accesses resolve in the running process. Called
/// once at start-up.
pub fn install_personality(personality: &'static dyn Personality) {
    PERSONALITY.set(personality);
    usermem::set_fault_handler(resolve);
}

pub(crate) fn personality() -> Option<&'static dyn Personality> {
    PERSONALITY.get().copied()
}

/// Runs the program until it ends.
pub(crate) fn run(thread: Arc<Thread>, mut context: UserContext) {
    let Some(personality) = personality() else { panic!("a program starts before its personality") };
    let process = thread.process().clone();
    // The agent may have been frozen before the thread was in its list: it was not called.
    if process.pids().is_frozen() {
        thread.call_to_boundary();
    }
    loop {
        if thread.needs_attention() {
            if let State::Ending(reason) = process.state() {
                return exit::leave(&thread, reason);
            }
            if let Some(reason) = thread.ending() {
                return exit::leave(&thread, reason);
            }
            signal::deliver(&thread, &mut context);
            continue;
        }
        kernel_sched::reschedule();
        match context.run(|| thread.needs_attention() || kernel_sched::need_resched() || rseq::moved(&thread)) {
            Trap::Syscall => {
                if gate().is_ok() || personality.needs_no_memory(context.regs.rax) || shortage::find_room(&thread) {
                    personality.call(&thread, &mut context);
                } else {
                    context.regs.rax = Errno::ENOMEM.to_return() as u64;
                }
            }
            Trap::PageFault { address, access, present } => {
                page_fault(&thread, &mut context, address, access, present);
                rseq::interrupted(&thread, &mut context);
            }
            Trap::Exception { vector, error } => signal::exception(&thread, &mut context, vector, error),
            Trap::Interrupt => rseq::interrupted(&thread, &mut context),
        }
    }
}

fn page_fault(thread: &Arc<Thread>, context: &mut UserContext, address: Virt, access: Access, present: bool) {
    if let Err(error) = fault(thread, address, access) {
        if error == FaultError::OutOfMemory
            && shortage::whose(thread.process()) == Short::Machine
            && shortage::find_room(thread)
        {
            // The program touches the page again.
            return;
        }
        signal::memory_fault(thread, context, PageFault { address, access, present }, error);
    }
}

fn fault(thread: &Thread, address: Virt, access: Access) -> Result<(), FaultError> {
    let process = thread.process();
    process.minor_faults.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
    match process.space() {
        Some(space) => space.fault(address, access),
        None => Err(FaultError::OutOfMemory),
    }
}

/// Resolves a fault of the kernel's own access to the running program's memory.
fn resolve(address: Virt, access: Access) -> bool {
    let Some(thread) = Thread::current() else { return false };
    let result = fault(&thread, address, access);
    if result == Err(FaultError::OutOfMemory) {
        // Else the program would be told that it gave a wrong address.
        signal::out_of_memory(&thread, 0, address);
    }
    result.is_ok()
}

/// Ends the calling thread (`exit(2)`): it leaves at the user boundary.
pub fn exit_thread(thread: &Arc<Thread>, code: u8) {
    thread.end(ExitReason::exited(code));
}
