//! Device drivers, one folder a family. Interrupt handlers acknowledge and wake; threads do the work.
#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod serial;
pub mod virtio;
