//! A failure of the kernel's own code in a call of one agent, kept from the rest of the machine.
//!
//! A panic is not unwound, so the thread that panicked never goes on, and what its stack holds is never dropped or used
//! again. To everybody else that is a thread that sleeps for ever, which breaks no promise of safe code, as long as nobody
//! waits for it. Nobody does when all of this holds, and only then the panic may be contained:
//!
//! 1. interrupts were on, and no interrupt handler ran: no [`IrqLock`](crate::lock::IrqLock) is held, and it was not
//!    somebody else's work that failed;
//! 2. no [`PreemptGuard`](crate::cpu::PreemptGuard) is held, so no spinning lock;
//! 3. the task has no [`Obligation`](crate::lock::Obligation): no sleeping lock, no place in a wait queue, no shared
//!    buffer;
//! 4. it runs on its own stack, with room to take its leave, and not on that of a double fault or a machine check;
//! 5. no other panic is under way.
//!
//! Then the container that the rooms above installed is called, on the stack of the thread that failed. It returns when
//! the thread serves nobody whose end would help; then the panic goes its way. A panic within it is not contained.

use alloc::string::String;

#[cfg_attr(
    not(target_os = "none"),
    allow(unused_imports, reason = "on the hosted machine a panic is a failed test")
)]
use crate::once::Once;

/// What failed.
#[derive(Debug)]
pub struct KernelFault {
    /// The subsystem: a room of the kernel, or a crate that it uses.
    pub room: String,
    /// What happened, and at which place of the source.
    pub message: String,
    /// The calls that led there, a line each.
    pub backtrace: String,
}

/// Ends what the running thread works for, and the thread. Returns when it cannot.
pub type Container = fn(&KernelFault);

static CONTAINER: Once<Container> = Once::new();

/// Installs what takes failures that can be contained. Called once at start-up.
pub fn set_container(container: Container) {
    CONTAINER.set(container);
}

#[cfg(target_os = "none")]
pub(crate) fn container() -> Option<Container> {
    CONTAINER.get().copied()
}

/// The subsystem that a source file belongs to: `kernel/fs/src/file.rs` is `fs`'s, `.../talc-5.1.1/src/lib.rs` is
/// `talc-5.1.1`'s.
#[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "asked by the panic handler of the real machine"))]
pub(crate) fn room_of_file(file: &str) -> &str {
    let before = file.rsplit_once("/src/").map_or(file, |(before, _)| before);
    before.rsplit('/').next().filter(|room| !room.is_empty()).unwrap_or("kernel")
}

/// The subsystem that a function belongs to: `<kernel_fs::file::File as ...>::read` is `fs`'s.
#[cfg_attr(not(target_os = "none"), allow(dead_code, reason = "asked by the panic handler of the real machine"))]
pub(crate) fn room_of_symbol(name: &str) -> &str {
    let start = name.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    let word = start.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    match word.strip_prefix("kernel_") {
        Some(room) => room,
        None if word.is_empty() => "kernel",
        None => word,
    }
}

#[cfg(test)]
mod tests {
    use super::{room_of_file, room_of_symbol};

    #[test]
    fn a_place_names_its_subsystem() {
        for (file, room) in [
            ("kernel/fs/src/pipe/ring.rs", "fs"),
            ("kernel/src/provoke.rs", "kernel"),
            ("/somewhere/registry/src/index-1/talc-5.1.1/src/lib.rs", "talc-5.1.1"),
            ("strange.rs", "strange.rs"),
            ("", "kernel"),
        ] {
            assert_eq!(room_of_file(file), room, "{file}");
        }
        for (symbol, room) in [
            ("<kernel_fs::file::File as kernel_fs::x>::read", "fs"),
            ("kernel::provoke::write", "kernel"),
            ("core::ptr::read", "core"),
            ("<&kernel_mm::A>::b", "mm"),
            ("", "kernel"),
        ] {
            assert_eq!(room_of_symbol(symbol), room, "{symbol}");
        }
    }
}
