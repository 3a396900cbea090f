//! Terminals (`termios(3)`, `ioctl_tty(2)`).
//!
//! [`Discipline`] is the line discipline as plain code: bytes in, bytes and events out. [`Tty`] puts it between a port
//! ([`TtyPort`]) and the programs that have the terminal open. Who is in the foreground is kept here; which process
//! is in which group is the process room's knowledge ([`JobControl`]).

mod discipline;
mod echo;
mod ioctl;
mod terminal;
mod termios;
#[cfg(test)]
mod tests;

pub use discipline::{Discipline, Event, Taken};
pub use terminal::{Caller, JobControl, Session, Tty, TtyPort, register, set_job_control};
pub use termios::Settings;
