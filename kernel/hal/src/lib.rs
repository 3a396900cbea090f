//! What the kernel stands on: the machine.
//!
//! hal is the only crate with `unsafe`. Everything it offers is safe to call with any arguments: a wrong argument from
//! the kernel's own code stops the machine with a message, and nothing from outside reaches memory unchecked.
//!
//! There are two machines with one face. `x86_64` is real. `hosted` lives in a process of the build machine: its RAM is
//! an allocation, its page tables are walked in software, its clock stands still until told; unit tests, properties
//! and fuzzing run on it.

#![cfg_attr(target_os = "none", no_std)]
#![deny(unsafe_op_in_unsafe_fn)]

extern crate alloc;

pub mod addr;
pub mod boot;
#[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "the hosted machine's time is virtual"))]
mod clock;
pub mod console;
pub mod containment;
pub mod cpu;
pub mod cpuset;
pub mod dma;
pub mod firmware;
pub mod frame;
pub mod ipi;
pub mod irq;
#[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "the hosted machine's memory ends with its process"))]
pub mod kept;
pub mod lock;
#[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "the hosted machine's hardware does not fail"))]
mod machine_check;
pub mod mmio;
pub mod model;
pub mod once;
pub mod paging;
pub mod port;
pub mod power;
pub mod random;
pub mod task;
pub mod time;
pub mod user;
pub mod usermem;

#[cfg(target_os = "none")]
mod x86_64;
#[cfg(target_os = "none")]
use x86_64 as machine;

#[cfg(not(target_os = "none"))]
pub mod hosted;
#[cfg(not(target_os = "none"))]
use hosted as machine;
