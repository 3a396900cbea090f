//! What an instruction of the program did wrong, as a signal.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use aios_abi::linux::consts::signal::*;
use aios_abi::linux::consts::{SIG_DFL, SIG_IGN, bus_code, fpe_code, ill_code, segv_code, si_code, trap_code};
use aios_abi::linux::structs::{Sigaction, Siginfo};
use aios_abi::native::FaultRecord;
use kernel_hal::addr::Virt;
use kernel_hal::task;
use kernel_hal::user::UserContext;
use kernel_hal::usermem::Access;
use kernel_mm::{FaultError, SegvCode};

use super::blame;
use super::send::is_protected;
use super::set::bit;
use super::state::TrapInfo;
use crate::Thread;
use crate::exit::{self, ExitReason, ExitStatus};
use crate::process::State;
use crate::run::personality;
use crate::{freeze, shortage};

const PAGE_FAULT: u64 = 14;

/// Handles an exception by its vector (SDM 3A table 6-1).
pub fn exception(thread: &Arc<Thread>, context: &mut UserContext, vector: u8, error: u64) {
    outside_calls(thread);
    let pc = context.regs.rip;
    let Some(info) = exception_info(vector, pc) else { return };
    thread.signals.lock().trap = TrapInfo { number: u64::from(vector), error, address: 0 };
    raise(thread, context, info, || Some(blame::exception(thread, context, vector, error)));
}

/// The signal of an exception; `None` when it means nothing.
fn exception_info(vector: u8, pc: u64) -> Option<Siginfo> {
    Some(match vector {
        0 => Siginfo::fault(SIGFPE, fpe_code::FPE_INTDIV, pc),
        1 => Siginfo::fault(SIGTRAP, trap_code::TRAP_TRACE, pc),
        3 => Siginfo::kernel(SIGTRAP),
        6 => Siginfo::fault(SIGILL, ill_code::ILL_ILLOPN, pc),
        11 | 12 => Siginfo::kernel(SIGBUS),
        16 | 19 => Siginfo::fault(SIGFPE, float_code(vector == 19)?, pc),
        17 => Siginfo::fault(SIGBUS, bus_code::BUS_ADRALN, 0),
        // What the program was about to use is broken.
        18 => Siginfo::fault(SIGBUS, bus_code::BUS_MCEERR_AR, 0),
        _ => Siginfo { code: si_code::SI_KERNEL, ..Siginfo::kernel(SIGSEGV) },
    })
}

/// The cause of a floating-point exception, from the unmasked bits of the state that it left.
fn float_code(sse: bool) -> Option<i32> {
    let state = task::save_fpu().into_area();
    let word = |at: usize| {
        state
            .get(at..at + 2)
            .map_or(0, |bytes| bytes.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte)))
    };
    let causes = if sse {
        let mxcsr = word(24);
        mxcsr & !(mxcsr >> 7)
    } else {
        word(2) & !word(0)
    };
    cause_code(causes)
}

/// In the order Linux looks (`fpu__exception_code`).
fn cause_code(causes: u32) -> Option<i32> {
    const INVALID: u32 = 1;
    const DENORMAL: u32 = 2;
    const DIVIDE: u32 = 4;
    const OVERFLOW: u32 = 8;
    const UNDERFLOW: u32 = 16;
    const PRECISION: u32 = 32;
    if causes & INVALID != 0 {
        Some(fpe_code::FPE_FLTINV)
    } else if causes & DIVIDE != 0 {
        Some(fpe_code::FPE_FLTDIV)
    } else if causes & OVERFLOW != 0 {
        Some(fpe_code::FPE_FLTOVF)
    } else if causes & (DENORMAL | UNDERFLOW) != 0 {
        Some(fpe_code::FPE_FLTUND)
    } else if causes & PRECISION != 0 {
        Some(fpe_code::FPE_FLTRES)
    } else {
        None
    }
}

/// An access that the processor refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageFault {
    pub address: Virt,
    pub access: Access,
    /// A page is mapped there but forbids the access.
    pub present: bool,
}

/// Handles a page fault that the address space did not resolve.
pub fn memory_fault(thread: &Arc<Thread>, context: &mut UserContext, fault: PageFault, error: FaultError) {
    outside_calls(thread);
    let PageFault { address, access, .. } = fault;
    let info = match error {
        FaultError::Segv(SegvCode::Maperr) => Siginfo::fault(SIGSEGV, segv_code::SEGV_MAPERR, address.0),
        FaultError::Segv(SegvCode::Accerr) => Siginfo::fault(SIGSEGV, segv_code::SEGV_ACCERR, address.0),
        FaultError::Bus => Siginfo::fault(SIGBUS, bus_code::BUS_ADRERR, address.0),
        FaultError::OutOfMemory => return out_of_memory(thread, context.regs.rip, address),
    };
    thread.signals.lock().trap = TrapInfo { number: PAGE_FAULT, error: error_code(fault), address: address.0 };
    let blamed = || Some(blame::memory(thread, context.regs.rip, context.regs.rsp, address, access, error));
    raise(thread, context, info, blamed);
}

/// The processor's error code of a page fault from user mode (SDM 3A §4.7). Of the kernel's half it says nothing.
fn error_code(fault: PageFault) -> u64 {
    const PRESENT: u64 = 1;
    const WRITE: u64 = 2;
    const USER: u64 = 4;
    const FETCH: u64 = 16;
    let what = match fault.access {
        Access::Read => 0,
        Access::Write => WRITE,
        Access::Execute => FETCH,
    };
    let present = if fault.present || !fault.address.is_user() { PRESENT } else { 0 };
    USER | what | present
}

/// There is no memory for a page that the program has a right to: it cannot go on, and no handler could. `pc` is 0 when
/// a system call touched the page.
pub(crate) fn out_of_memory(thread: &Arc<Thread>, pc: u64, address: Virt) {
    let fault = blame::out_of_memory(thread, pc, address);
    let status = ExitStatus::Signaled { signal: SIGKILL, core: false };
    let short = shortage::whose(thread.process());
    end(thread, ExitReason { status, fault: Some(fault), out_of_memory: Some(short) });
}

/// A handler's frame could not be written at `at`.
pub(super) fn frame_fault(thread: &Arc<Thread>, context: &UserContext, at: Virt) {
    let error = FaultError::Segv(SegvCode::Maperr);
    raise(thread, context, Siginfo::kernel(SIGSEGV), || {
        Some(blame::memory(thread, context.regs.rip, context.regs.rsp, at, Access::Write, error))
    });
}

/// True for the signal by which a program ends itself when it finds that it is broken (`abort(3)`). The agent's first process is
/// not ended by it, as on Linux; its `abort` then ends in an instruction that the processor refuses.
pub(super) fn gave_itself_up(thread: &Thread, info: &Siginfo) -> bool {
    let process = thread.process();
    let own = info.code == si_code::SI_TKILL && info.pid() == process.pid();
    info.signo as u32 == SIGABRT && own && !is_protected(process)
}

/// The program gave itself up, and handles no signal for it: a fault like those that the processor finds.
pub(super) fn abort(thread: &Arc<Thread>, context: &UserContext) {
    let fault = blame::abort(thread, context.regs.rip);
    let reason = ExitReason { fault: Some(fault), ..ExitReason::signaled(SIGABRT) };
    if !freeze::hold(thread, context, reason) {
        end(thread, reason);
    }
}

/// Raises a signal in the calling thread that it cannot put off: blocked or ignored, it ends the process.
pub fn force(thread: &Arc<Thread>, context: &UserContext, info: Siginfo) {
    raise(thread, context, info, || None);
}

fn raise(thread: &Arc<Thread>, context: &UserContext, info: Siginfo, blame: impl FnOnce() -> Option<FaultRecord>) {
    let signal = info.signo as u32;
    let handlers = thread.process().handlers.lock().clone();
    let action = handlers.get(signal);
    let handled = {
        let mut signals = thread.signals.lock();
        let blocked = signals.mask & bit(signal) != 0;
        let handled = !blocked && action.handler != SIG_DFL && action.handler != SIG_IGN;
        if handled {
            signals.forced = Some(info);
        }
        handled
    };
    if handled {
        return thread.call_to_boundary();
    }
    handlers.set(signal, Sigaction { handler: SIG_DFL, ..action });
    let reason = ExitReason { fault: blame(), ..ExitReason::signaled(signal) };
    if !freeze::hold(thread, context, reason) {
        end(thread, reason);
    }
}

/// Ends the process of the calling thread by what that did.
pub(crate) fn end(thread: &Arc<Thread>, reason: ExitReason) {
    let process = thread.process();
    let was_alive = process.is_alive();
    exit::end_process(process, reason);
    // Of several threads that fault at once the one whose reason counts says so.
    if was_alive
        && process.state() == State::Ending(reason)
        && let Some(personality) = personality()
    {
        personality.report_fault(thread, &reason);
    }
}

/// A fault is not part of a call: nothing is restarted for it.
fn outside_calls(thread: &Thread) {
    thread.call.store(-1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_become_linux_signals() {
        let seen = |vector| exception_info(vector, 0x40_1000).map(|info| (info.signo as u32, info.code, info.addr()));
        assert_eq!(seen(0), Some((SIGFPE, fpe_code::FPE_INTDIV, 0x40_1000)));
        assert_eq!(seen(3), Some((SIGTRAP, si_code::SI_KERNEL, 0)));
        assert_eq!(seen(6), Some((SIGILL, ill_code::ILL_ILLOPN, 0x40_1000)));
        assert_eq!(seen(13), Some((SIGSEGV, si_code::SI_KERNEL, 0)));
        assert_eq!(seen(12), Some((SIGBUS, si_code::SI_KERNEL, 0)));
        assert_eq!(seen(17), Some((SIGBUS, bus_code::BUS_ADRALN, 0)));
        assert_eq!(seen(18), Some((SIGBUS, bus_code::BUS_MCEERR_AR, 0)));
    }

    #[test]
    fn the_first_cause_of_a_float_exception_counts() {
        assert_eq!(cause_code(0b100), Some(fpe_code::FPE_FLTDIV));
        assert_eq!(cause_code(0b101), Some(fpe_code::FPE_FLTINV));
        assert_eq!(cause_code(0b10_0000), Some(fpe_code::FPE_FLTRES));
        assert_eq!(cause_code(0b1_0000), Some(fpe_code::FPE_FLTUND));
        assert_eq!(cause_code(0), None);
    }

    #[test]
    fn page_fault_error_codes_are_the_processors() {
        let code = |address, access, present| error_code(PageFault { address: Virt(address), access, present });
        assert_eq!(code(0, Access::Write, false), 6);
        assert_eq!(code(0x40_0000, Access::Read, true), 5);
        assert_eq!(code(0x40_0000, Access::Execute, true), 0x15);
        assert_eq!(code(0xffff_8000_0000_0000, Access::Read, false), 5);
    }
}
