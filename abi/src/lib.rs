//! What kernel, services and SDKs agree on: system-call tables as data, wire structures, error numbers, boot information.
#![no_std]
#![forbid(unsafe_code)]

pub mod boot;
pub mod errno;
pub mod linux;
pub mod native;
pub mod sched_trace;
pub mod vdso;

pub use errno::Errno;
