//! Threads, the run queue and timers.
//!
//! A thread is what the scheduler switches between; what it runs for (a program's thread, a driver's worker) hangs on
//! it as data of the rooms above. Each CPU has a queue of runnable threads, whose order [`policy`] decides; a CPU with
//! nothing to run waits for an interrupt. The timer is armed only for the next timer or the end of a slice that
//! someone waits for.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod balance;
mod change;
mod clock;
mod cpus;
mod events;
mod group;
mod parking;
pub mod policy;
mod switch;
mod thread;
pub mod timer;
pub mod trace;
mod wake;

pub use cpus::{idle_time, idle_time_of, start_cpus};
pub use events::{CpuStats, ThreadStats, cpu_stats};
pub use group::{CpuGroup, CpuLimits};
pub use parking::init;
pub use policy::{Bandwidth, Class, Reservation};
pub use switch::{exit, need_resched, reschedule, run_idle, yield_now};
pub use thread::{Activity, Params, Thread, current, running, spawn};
