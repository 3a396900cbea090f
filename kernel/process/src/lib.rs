//! Processes: programs with memory, threads, descriptors and signals, as Linux knows them.
//!
//! A [`Process`] lives in one agent, whose [`Pids`] numbers it; its [`Thread`]s run user code, each on a kernel thread
//! of its own, in the loop of [`run`]. What a thread shares with others of its process (memory, files, places, signal
//! handlers) are objects of their own behind `Arc`s, so that any sharing `clone(2)` can ask for is a matter of which
//! `Arc` is passed on.
//!
//! Lock order, outermost first: the agent's tree lock ([`Pids::tree`]), a process's own locks, a thread's own locks, signal
//! locks. Sleeping locks of `fs` and `mm` are taken with none of these spinning ones held.

#![cfg_attr(target_os = "none", no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod contain;
pub mod exec;
pub mod exit;
mod files;
mod fork;
mod freeze;
pub mod futex;
mod ids;
pub mod jobs;
mod limits;
mod load;
mod place;
pub mod process;
pub mod rseq;
pub mod run;
pub mod shortage;
pub mod signal;
#[cfg(test)]
mod testing;
pub mod thread;
mod view;
pub mod wait;

pub use exit::{ExitReason, ExitStatus, Short};
pub use files::{Descriptor, Files};
pub use fork::{CloneRequest, clone};
pub use freeze::{FaultHook, HeldFault, Judgement};
pub use ids::{Pid, Pids};
pub use limits::ResourceLimits;
pub use load::{Census, LoadAverage, start_averages};
pub use place::{Place, View};
pub use process::Process;
pub use run::{Personality, install_personality};
pub use thread::Thread;
pub use view::{proc_view, proc_view_for, register_interrupts, register_machine};
