//! What a file is ready for, in the bits of `poll(2)`.

use aios_abi::linux::consts::poll as bits;

pub const READABLE: u32 = (bits::POLLIN | bits::POLLRDNORM) as u32;
pub const WRITABLE: u32 = (bits::POLLOUT | bits::POLLWRNORM) as u32;
pub const PRIORITY: u32 = bits::POLLPRI as u32;
pub const ERROR: u32 = bits::POLLERR as u32;
pub const HANGUP: u32 = bits::POLLHUP as u32;

/// Of files that never make anyone wait.
pub const ALWAYS: u32 = READABLE | WRITABLE;
