//! The `native` personality: the calls that Linux does not have. They come in by the same instruction, with numbers
//! from `0x6169_0000` on, from any process.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod agents;
mod memory;

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::native::calls::number;
use kernel_hal::user::UserContext;
use kernel_process::Thread;

/// A call's arguments and its caller.
struct Call<'a> {
    thread: &'a Arc<Thread>,
    /// `rdi rsi rdx`.
    args: [u64; 3],
}

type Handler = fn(&Call<'_>) -> Result<u64, Errno>;

/// What answers a call; `None` for one that is absent or unknown.
const fn handler(call: u32) -> Option<Handler> {
    Some(match call {
        number::AGENT_SPAWN => agents::spawn,
        number::AGENT_KILL => agents::kill,
        number::AGENT_FREEZE => agents::freeze,
        number::AGENT_THAW => agents::thaw,
        number::AGENT_INFO => agents::info,
        number::AGENT_LIST => agents::list,
        number::AGENT_WAIT => agents::wait,
        _ => return None,
    })
}

/// Handles the native call `call`; the result goes into `rax`.
pub fn handle(thread: &Arc<Thread>, context: &mut UserContext, call: u32) {
    let regs = &context.regs;
    let caller = Call { thread, args: [regs.rdi, regs.rsi, regs.rdx] };
    let result = handler(call).map_or(Err(Errno::ENOSYS), |handler| handler(&caller));
    context.regs.rax = match result {
        Ok(value) => value,
        Err(error) => {
            if error.is_restart() {
                // Waiting can be repeated: the signal's action decides at the user boundary.
                thread.call.store(context.regs.rax as i32, core::sync::atomic::Ordering::Relaxed);
                thread.call_to_boundary();
            }
            error.to_return() as u64
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use aios_abi::native::calls::{CALLS, Support, by_number};
    use kernel_cap::Rights;
    use std::string::ToString;

    /// What the reference says of a number is what happens.
    #[test]
    fn a_call_has_a_handler_exactly_when_the_table_says_that_it_works() {
        for number in 0..=0xffff {
            let works = by_number(number).is_some_and(|call| call.support != Support::Absent);
            assert_eq!(handler(number).is_some(), works, "{number}");
        }
    }

    #[test]
    fn calls_that_work_name_rights_that_there_are() {
        for call in CALLS.iter().filter(|call| call.support != Support::Absent) {
            let known = [Rights::SPAWN, Rights::KILL, Rights::INSPECT, Rights::FREEZE]
                .iter()
                .any(|right| right.to_string() == call.right);
            assert!(known, "{}: {}", call.name, call.right);
        }
    }
}
