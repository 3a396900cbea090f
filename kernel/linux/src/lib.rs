//! The `linux` personality: x86-64 Linux system calls.
//!
//! A call is decoded, checked and handed to the room that does it; what comes back is encoded. Each family of calls has
//! its file, each handler reads like its man page. Which call is which comes from the table in `abi`.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod access;
mod attributes;
mod call;
mod directory;
mod dispatch;
mod epoll;
mod exec;
mod fcntl;
mod futex;
mod identity;
mod io;
mod ioctl;
mod itimers;
mod limits;
mod machine;
mod memory;
pub mod mounts;
mod names;
mod open;
mod path;
mod pipes;
mod places;
mod poll;
mod process;
mod random;
mod scheduling;
mod select;
mod shortage;
mod signal;
mod socket;
mod stat;
mod storage;
mod system;
mod time;
mod timer_files;
mod transfer;
mod wait;
mod xattr;

pub use call::{Call, Handler};
pub use dispatch::{Linux, missed, set_native, set_trace};
pub use machine::register_machine;
pub use system::{PowerRequest, set_power};
