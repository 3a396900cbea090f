//! Who runs where, when and for how long: decided here, in plain data structures without a machine.
//!
//! A [`RunQueue`] for each CPU has all threads that may run there, by class and by group. [`place`] chooses CPUs from a
//! snapshot of all. [`pi`] says what a thread inherits. The rooms around them do the switching, hold the locks and keep
//! the time, so everything here is tested with simulated CPUs in virtual time (`testing`).
//!
//! Time is in nanoseconds on one clock that does not go back.

pub mod advice;
mod bandwidth;
mod class;
mod deadline;
mod entity;
mod fair;
mod group;
mod machine;
pub mod pi;
pub mod place;
mod runqueue;
mod tree;
pub mod weight;

#[cfg(test)]
mod testing;

pub use bandwidth::Bandwidth;
pub use class::{BATCH_SLICE_NS, Class, RR_SLICE_NS, Reservation, SLICE_BOUNDS_NS, SLICE_NS};
pub use deadline::{Admission, LIMIT};
pub use entity::{Entity, GroupId, Key, Runnable};
pub use group::Group;
pub use kernel_hal::cpuset::CpuSet;
pub use machine::{CpuView, Published, Topology};
pub use runqueue::{NEVER, RT_LIMIT, RunQueue};
