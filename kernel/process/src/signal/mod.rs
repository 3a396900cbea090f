//! Signals: kept until a thread takes them, acted on at the user boundary.
//!
//! A signal is sent in anybody's context ([`send`]), waits in a [`Pending`] set of its process or thread, and is taken by
//! the thread itself in [`deliver`], which runs between the kernel and the program: there a call that was cut short is
//! restarted or fails with `EINTR`, the handler's frame is pushed, or the default action happens. What an instruction
//! did wrong ([`fault`]) goes straight to the thread that ran it.
//!
//! Locks: a process's pending set, a thread's signals and a handler table are never held together, nor while a thread is
//! called to the boundary. The clock's lock may be taken under that of a process's timers.

mod action;
mod blame;
mod clock;
mod deliver;
mod fault;
mod frame;
mod handlers;
mod pending;
mod posix;
mod send;
mod set;
mod state;
mod stop;
mod timers;
mod waiting;

pub use action::{action, altstack, is_ignored_or_blocked, set_action, set_altstack};
pub use deliver::{deliver, restart_later, restarted};
pub use fault::{PageFault, exception, force, memory_fault};
pub(crate) use fault::{end, out_of_memory};
pub use frame::sigreturn;
pub use handlers::Handlers;
pub use pending::Pending;
pub use posix::{Notify, TimerClock};
pub use send::{
    child_info, exec, process_end, send_from_terminal, send_to_group, send_to_process, send_to_self, send_to_thread,
    thread_exit, try_send_to_process, try_send_to_thread,
};
pub use set::{SignalSet, UNBLOCKABLE, bit, is_valid};
pub use state::{TemporaryMask, ThreadSignals};
pub use stop::Stopping;
pub use timers::{Interval, IntervalTimers};
pub use waiting::{mask, pending, set_mask, set_temporary_mask, suspend, take, with_temporary_mask};
