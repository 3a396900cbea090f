//! The user boundary: taking signals and acting on them.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use aios_abi::Errno;
use aios_abi::linux::consts::signal::{SIGSEGV, SIGSTOP};
use aios_abi::linux::consts::{DefaultAction, SIG_DFL, SIG_IGN, default_action, sa_flags};
use aios_abi::linux::structs::{Sigaction, Siginfo};
use aios_abi::linux::table::nr;
use kernel_hal::user::UserContext;

use super::send::is_protected;
use super::{fault, frame, stop, waiting};
use crate::exit::{self, ExitReason};
use crate::thread::Restart;
use crate::{Thread, freeze, rseq};

/// Bytes of the `syscall` instruction.
const SYSCALL_LENGTH: u64 = 2;

/// Acts on what waits for the calling thread, until nothing does. Called between the kernel and the program.
///
/// The end of the process or thread is left to the caller, who is called again for it.
pub fn deliver(thread: &Arc<Thread>, context: &mut UserContext) {
    if let Some(kernel) = thread.kernel() {
        // First: what is sent from here on is either seen below or calls again.
        kernel.clear_interrupt();
    }
    let process = thread.process();
    loop {
        if !process.is_alive() || thread.ending().is_some() {
            return thread.call_to_boundary();
        }
        if freeze::park(thread) || freeze::judge(thread) || stop::park(thread) {
            continue;
        }
        let continued = process.stop.continued();
        let Some((info, forced)) = next(thread) else { break };
        let signal = info.signo as u32;
        let handlers = process.handlers.lock().clone();
        let action = handlers.get(signal);
        match action.handler {
            SIG_IGN => {}
            SIG_DFL if fault::gave_itself_up(thread, &info) => fault::abort(thread, context),
            SIG_DFL => default(thread, signal, forced, continued),
            _ => {
                if action.flags & sa_flags::SA_RESETHAND != 0 {
                    handlers.set(signal, Sigaction { handler: SIG_DFL, ..action });
                }
                finish_call(thread, context, Some(&action));
                rseq::interrupted(thread, context);
                if let Err(at) = frame::push(thread, context, &info, &action) {
                    if signal == SIGSEGV {
                        handlers.set(signal, Sigaction { handler: SIG_DFL, ..action });
                    }
                    fault::frame_fault(thread, context, at);
                }
            }
        }
    }
    finish_call(thread, context, None);
    let saved = thread.signals.lock().saved.take();
    if let Some(saved) = saved {
        waiting::set_mask(thread, saved);
    }
}

/// The next signal to act on; the flag says that the program's own instruction raised it.
fn next(thread: &Thread) -> Option<(Siginfo, bool)> {
    let (own, mask) = {
        let mut signals = thread.signals.lock();
        if let Some(info) = signals.forced.take() {
            return Some((info, true));
        }
        let mask = signals.mask;
        (signals.pending.take(!mask), mask)
    };
    waiting::or_shared(thread, own, !mask).map(|info| (info, false))
}

/// What a signal does that has no handler.
fn default(thread: &Arc<Thread>, signal: u32, forced: bool, continued: u32) {
    let process = thread.process();
    if is_protected(process) && !forced {
        return;
    }
    match default_action(signal) {
        DefaultAction::Ignore | DefaultAction::Continue => {}
        DefaultAction::Stop => {
            if signal == SIGSTOP || !stop::is_orphaned(process) {
                stop::stop(process, signal, continued);
            }
        }
        DefaultAction::Terminate | DefaultAction::Core => exit::end_process(process, ExitReason::signaled(signal)),
    }
}

/// Decides what becomes of a call that a signal cut short: it is made again, or fails with `EINTR`. `handler` is the
/// action whose handler runs first, if one does.
fn finish_call(thread: &Thread, context: &mut UserContext, handler: Option<&Sigaction>) {
    let number = thread.call.swap(-1, Ordering::Relaxed);
    let Ok(number) = u64::try_from(number) else { return };
    let regs = &mut context.regs;
    let Some(next) = after_interruption(number, regs.rax, handler) else { return };
    match next {
        Next::Make(number) => {
            regs.rax = number;
            regs.rip = regs.rip.wrapping_sub(SYSCALL_LENGTH);
        }
        Next::Fail => {
            regs.rax = Errno::EINTR.to_return() as u64;
            *thread.restart.lock() = None;
        }
    }
    context.set_full_return();
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    /// The call with that number is made again.
    Make(u64),
    Fail,
}

/// `None` when the call was not cut short.
fn after_interruption(number: u64, result: u64, handler: Option<&Sigaction>) -> Option<Next> {
    let restarts = |error: Errno| result as i64 == error.to_return();
    let again = if restarts(Errno::ERESTARTSYS) {
        handler.is_none_or(|action| action.flags & sa_flags::SA_RESTART != 0)
    } else if restarts(Errno::ERESTARTNOINTR) {
        true
    } else if restarts(Errno::ERESTARTNOHAND) {
        handler.is_none()
    } else if restarts(Errno::ERESTART_RESTARTBLOCK) {
        return Some(if handler.is_none() { Next::Make(u64::from(nr::RESTART_SYSCALL)) } else { Next::Fail });
    } else {
        return None;
    };
    Some(if again { Next::Make(number) } else { Next::Fail })
}

/// Says how a call that was cut short goes on when no handler runs, and what it returns for that.
pub fn restart_later(thread: &Thread, restart: Restart) -> Errno {
    *thread.restart.lock() = Some(restart);
    Errno::ERESTART_RESTARTBLOCK
}

/// What the call under way goes on with, when it is made through `restart_syscall`.
pub fn restarted(thread: &Thread) -> Option<Restart> {
    if thread.call_number() == Some(nr::RESTART_SYSCALL) { thread.restart.lock().take() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_calls_are_made_again() {
        let plain = Sigaction { handler: 0x1000, ..Sigaction::default() };
        let restart = Sigaction { flags: sa_flags::SA_RESTART, ..plain };
        let resume = Next::Make(u64::from(nr::RESTART_SYSCALL));
        for (error, none, with_plain, with_restart) in [
            (Errno::ERESTARTSYS, Next::Make(7), Next::Fail, Next::Make(7)),
            (Errno::ERESTARTNOINTR, Next::Make(7), Next::Make(7), Next::Make(7)),
            (Errno::ERESTARTNOHAND, Next::Make(7), Next::Fail, Next::Fail),
            (Errno::ERESTART_RESTARTBLOCK, resume, Next::Fail, Next::Fail),
        ] {
            let result = error.to_return() as u64;
            assert_eq!(after_interruption(7, result, None), Some(none), "{error:?}");
            assert_eq!(after_interruption(7, result, Some(&plain)), Some(with_plain), "{error:?}");
            assert_eq!(after_interruption(7, result, Some(&restart)), Some(with_restart), "{error:?}");
        }
        assert_eq!(after_interruption(7, 12, None), None);
        assert_eq!(after_interruption(7, Errno::EINTR.to_return() as u64, Some(&restart)), None);
    }
}
