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

/// Handles the native call `call`; the result goes into `rax`.
pub fn handle(thread: &Arc<Thread>, context: &mut UserContext, call: u32) {
    let regs = &context.regs;
    let caller = Call { thread, args: [regs.rdi, regs.rsi, regs.rdx] };
    let result = match call {
        number::AGENT_SPAWN => agents::spawn(&caller),
        number::AGENT_KILL => agents::kill(&caller),
        number::AGENT_INFO => agents::info(&caller),
        number::AGENT_LIST => agents::list(&caller),
        number::AGENT_WAIT => agents::wait(&caller),
        _ => Err(Errno::ENOSYS),
    };
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
