//! The machine has no memory left: who may go on, who waits, who is refused.
//!
//! Looked at where a thread leaves its program, because only there it holds no lock and can wait. An agent that asks is
//! refused when it holds the most memory itself; for others room is made, by ending the one that does.

use alloc::sync::Arc;
use core::time::Duration;

use kernel_cap::Domain;
use kernel_hal::time::now;
use kernel_mm::{gate, make_room};
use kernel_sync::{Once, WaitQueue};

use crate::exit::Short;
use crate::{Process, Thread};

/// Makes room for `asker` by ending another agent; true when one is on its way out, so that waiting makes sense.
pub type Keeper = fn(asker: &Domain) -> bool;

static KEEPER: Once<Keeper> = Once::new();
/// Woken when an agent has given back what it held.
static GIVEN_BACK: WaitQueue = WaitQueue::new();

/// How long a thread waits before it asks again. What it waits for wakes it; memory comes back in other ways too.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Sets who decides which agent ends when the machine has no memory left. Called once at start-up.
pub fn set_keeper(keeper: Keeper) {
    KEEPER.set(keeper);
}

/// An agent has given back its memory.
pub fn given_back() {
    GIVEN_BACK.wake_all();
}

/// True when there is memory, maybe after waiting for it, or when the thread is to end anyway. Called at the user
/// boundary, without locks.
pub(crate) fn find_room(thread: &Arc<Thread>) -> bool {
    let process = thread.process();
    let domain = process.domain();
    loop {
        if make_room(domain.memory()).is_ok() || !process.is_alive() {
            return true;
        }
        if !KEEPER.get().is_some_and(|keeper| keeper(domain)) {
            return false;
        }
        let deadline = now() + LOOK_AGAIN;
        let room = || (gate().is_ok() || !process.is_alive()).then_some(());
        // Without room by then: asked again.
        let _room = GIVEN_BACK.wait_uninterruptible_deadline(deadline, room);
    }
}

/// Whose memory a process found used up.
pub(crate) fn whose(process: &Process) -> Short {
    // At its limit an agent has nothing left of its own, whatever the machine has.
    if process.domain().memory().available() != 0 && gate().is_err() { Short::Machine } else { Short::Agent }
}
