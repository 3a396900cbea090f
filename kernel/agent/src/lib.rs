//! The agent: all processes, memory, files, rights and budget of one piece of autonomous software, as one object.
//!
//! An [`Agent`] holds what belongs to it: its domain (rights and accounts), its process numbers and with them its
//! processes, its mount namespace. The table gives each an [`AgentId`] that is never used again. Which verb is allowed
//! in which state is decided in one place, [`state`].
//!
//! Lock order: the table, then an agent's own locks. Neither is held over file or memory operations.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod agent;
mod failure;
mod image;
mod memory;
mod record;
mod spawn;
pub mod state;
mod stop;
mod table;

pub use agent::Agent;
pub use failure::Failure;
pub use image::make_directory;
pub use memory::make_room;
pub use spawn::{Bind, SpawnRequest, spawn, spawn_system};
pub use table::{find, list, of_process};

use aios_abi::Errno;
use aios_abi::native::AgentId;
use kernel_hal::containment::KernelFault;
use kernel_process::Process;

/// Ends the agent of `process` because the kernel failed while it served it; false for one that cannot be spared.
pub fn end_for_kernel_fault(process: &Process, fault: &KernelFault) -> bool {
    let what = || alloc::format!("kernel fault in {}: {}", fault.room, fault.message);
    of_process(process).is_some_and(|agent| agent.end_for_kernel_fault(what()))
}

/// Ends an agent and all it owns; returns when that is decided, not when it is done.
pub fn kill(id: AgentId, reason: i32) -> Result<(), Errno> {
    find(id).ok_or(Errno::ESRCH)?.kill(reason)
}
