//! From a call number to its handler.

use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use aios_abi::linux::call::Support;
use aios_abi::linux::table::{self, LAST};
use aios_abi::linux::trace::{self, Outcome};
use aios_abi::native::NATIVE_BASE;
use kernel_hal::addr::Virt;
use kernel_hal::user::UserContext;
use kernel_hal::{console, usermem};
use kernel_process::{ExitReason, Personality, Thread};
use kernel_sync::Once;

use crate::call::{Call, Handler};

/// The families of calls.
const FAMILIES: &[&[(u32, Handler)]] = &[
    crate::access::CALLS,
    crate::attributes::CALLS,
    crate::directory::CALLS,
    crate::epoll::CALLS,
    crate::exec::CALLS,
    crate::fcntl::CALLS,
    crate::futex::CALLS,
    crate::identity::CALLS,
    crate::io::CALLS,
    crate::ioctl::CALLS,
    crate::itimers::CALLS,
    crate::limits::CALLS,
    crate::memory::CALLS,
    crate::mounts::CALLS,
    crate::names::CALLS,
    crate::open::CALLS,
    crate::pipes::CALLS,
    crate::places::CALLS,
    crate::poll::CALLS,
    crate::process::CALLS,
    crate::random::CALLS,
    crate::scheduling::CALLS,
    crate::select::CALLS,
    crate::signal::CALLS,
    crate::socket::CALLS,
    crate::stat::CALLS,
    crate::storage::CALLS,
    crate::system::CALLS,
    crate::time::CALLS,
    crate::timer_files::CALLS,
    crate::transfer::CALLS,
    crate::xattr::CALLS,
];

static HANDLERS: [Option<Handler>; LAST + 1] = merge();

const fn merge() -> [Option<Handler>; LAST + 1] {
    let mut handlers: [Option<Handler>; LAST + 1] = [None; LAST + 1];
    let mut family = 0;
    while family < FAMILIES.len() {
        let mut entry = 0;
        while entry < FAMILIES[family].len() {
            let (number, handler) = FAMILIES[family][entry];
            assert!(handlers[number as usize].is_none(), "two handlers for one call");
            handlers[number as usize] = Some(handler);
            entry += 1;
        }
        family += 1;
    }
    handlers
}

/// The handler of a call.
pub(crate) fn handler(number: u64) -> Option<Handler> {
    usize::try_from(number).ok().and_then(|number| HANDLERS.get(number).copied().flatten())
}

/// How often each call without a handler was made; a call is named in the log the first time.
static MISSED: [AtomicU32; LAST + 2] = [const { AtomicU32::new(0) }; LAST + 2];
static TRACE: AtomicBool = AtomicBool::new(false);
static NATIVE: Once<NativeCall> = Once::new();

/// Handles a native call with that number; the result goes into the registers.
pub type NativeCall = fn(&Arc<Thread>, &mut UserContext, u32);

/// Sets what handles native calls, which come in by the same instruction.
pub fn set_native(call: NativeCall) {
    NATIVE.set(call);
}

/// Writes every call to the log, as `strace` prints it.
pub fn set_trace(on: bool) {
    TRACE.store(on, Ordering::Relaxed);
}

/// The personality itself.
pub struct Linux;

impl Personality for Linux {
    fn call(&self, thread: &Arc<Thread>, context: &mut UserContext) {
        let number = context.regs.rax;
        if number >= NATIVE_BASE && number - NATIVE_BASE <= 0xffff {
            match NATIVE.get() {
                Some(native) => native(thread, context, (number - NATIVE_BASE) as u32),
                None => context.regs.rax = aios_abi::Errno::ENOSYS.to_return() as u64,
            }
            return;
        }
        let regs = &context.regs;
        let args = [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9];
        let Some(handler) = handler(number) else {
            context.regs.rax = missing(thread, number, args);
            return;
        };
        thread.call.store(number as i32, Ordering::Relaxed);
        let result = if TRACE.load(Ordering::Relaxed) {
            traced(thread, context, number, args, handler)
        } else {
            handler(&mut Call { thread, context, args })
        };
        context.regs.rax = match result {
            Ok(value) => value as u64,
            Err(error) => {
                if error.is_restart() {
                    // Decided at the user boundary, where signals are delivered.
                    thread.call_to_boundary();
                } else {
                    thread.call.store(-1, Ordering::Relaxed);
                }
                error.to_return() as u64
            }
        };
        if !matches!(result, Err(error) if error.is_restart()) {
            thread.call.store(-1, Ordering::Relaxed);
        }
    }

    fn needs_no_memory(&self, call: u64) -> bool {
        u32::try_from(call).is_ok_and(|call| crate::shortage::CALLS.contains(&call))
    }

    fn report_fault(&self, thread: &Thread, reason: &ExitReason) {
        if let Some(fault) = &reason.fault {
            log::warn!("agent {}: {fault}", thread.process().domain().name());
        }
    }
}

/// Counts a call that does nothing here, and says with which error it fails.
fn missing(thread: &Thread, number: u64, args: [u64; 6]) -> u64 {
    let call = table::lookup(number);
    let slot = usize::try_from(number).map_or(LAST + 1, |number| number.min(LAST + 1));
    let error = match call.map(|call| call.support) {
        Some(Support::Refused(error)) => error,
        _ => aios_abi::Errno::ENOSYS,
    };
    if MISSED.get(slot).is_some_and(|count| count.fetch_add(1, Ordering::Relaxed) == 0) {
        let agent = thread.process().domain().name();
        match call {
            Some(call) => log::warn!("agent {agent}: call {} is not supported: {error}", call.name),
            None => {
                log::warn!("agent {agent}: there is no call {number}({:#x}, {:#x}, ...): {error}", args[0], args[1])
            }
        }
    }
    error.to_return() as u64
}

/// Calls that were made without a handler, with how often.
pub fn missed(each: &mut dyn FnMut(&'static str, u32)) {
    for (number, count) in MISSED.iter().enumerate() {
        let count = count.load(Ordering::Relaxed);
        if count != 0 {
            each(table::lookup(number as u64).map_or("(unknown number)", |call| call.name), count);
        }
    }
}

fn traced(
    thread: &Arc<Thread>,
    context: &mut UserContext,
    number: u64,
    args: [u64; 6],
    handler: Handler,
) -> crate::call::CallResult {
    let memory = |address: u64, into: &mut [u8]| match usermem::copy_in(into, Virt(address)) {
        Ok(()) => into.len(),
        Err(fault) => fault.copied,
    };
    let mut line = alloc::format!("[{} {}] ", thread.process().domain().name(), thread.tid());
    // Writing to a string does not fail.
    let _ = trace::format_enter(number, args, &memory, &mut line);
    let result = handler(&mut Call { thread, context, args });
    let outcome = match result {
        Ok(value) => value as i64,
        Err(error) => error.to_return(),
    };
    let mut rest = String::new();
    let _ = trace::format_result(number, args, Outcome::Returned(outcome), &memory, &mut rest);
    console::line(format_args!("{line}{rest}"));
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_has_a_handler() {
        let mut wrong = std::vec::Vec::new();
        for call in table::CALLS {
            let handled = HANDLERS[call.number as usize].is_some();
            let promised = matches!(call.support, Support::Full | Support::Partial);
            if handled != promised {
                wrong.push((call.name, handled));
            }
        }
        assert!(wrong.is_empty(), "handler and support level disagree (name, has a handler): {wrong:?}");
    }
}
