//! Memory: which frames are handed out and who pays for them, memory objects, and address spaces.
//!
//! * [`Account`]s form a tree; every frame is charged to one, exactly.
//! * [`MemoryObject`]s hold pages that are shared: files in memory, shared anonymous memory.
//! * [`AddressSpace`]s map objects and private zeros for programs, with copy-on-write.
//! * [`Sink`](io::Sink) and [`Source`](io::Source) are ends of a transfer, in the kernel or in a program.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod account;
mod frames;
pub mod io;
mod object;
mod space;
#[cfg(test)]
mod testing;

pub use account::{Account, KernelCharge, charge_kernel_bytes};
pub use frames::{Headroom, MemoryStats, add_cpu, gate, gate_for_bytes, stats};
pub use object::reclaim::make_room;
pub use object::{MemoryObject, PageSource};
pub use space::{
    AddressSpace, AreaInfo, FaultError, Limits, MapBacking, MapFlags, MapRequest, RemapFlags, STACK_RANDOM_PAGES,
    SegvCode,
};

/// Takes over all free memory and makes the kernel's account. Called once.
pub fn init() {
    account::init();
    frames::init();
    space::init();
}
