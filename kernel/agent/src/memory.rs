//! Agents and the machine's memory: what one may have that names no limit, and which one ends when all is used up.

use kernel_cap::{Domain, Limits};

use crate::agent::Killed;
use crate::{Agent, list};
use aios_abi::native::AgentState;

/// The part of free memory that an agent without a limit of its own leaves to the system: one in so many.
const SYSTEM_SHARE: usize = 32;

/// An agent without a limit of threads has one for each so many frames that it may have: 256 KiB, as Linux has it for the
/// processes of a user. Then who makes threads without end is told to try again later, which is less trouble for
/// everyone, itself included, than to find no memory.
const FRAMES_A_THREAD: u64 = 64;
const LEAST_THREADS: u64 = 64;

/// The limits of a new agent, within what the machine has.
pub(crate) fn within_machine(limits: Limits) -> Limits {
    let frames = limits.frames.min(most_frames());
    let threads = limits.threads.min((frames / FRAMES_A_THREAD).max(LEAST_THREADS));
    Limits { frames, threads, ..limits }
}

/// The most frames that a new agent may have. Its limit stops it before the machine is short: what it does then is its
/// own trouble, and nobody else's.
fn most_frames() -> u64 {
    let memory = kernel_mm::stats();
    let free = memory.free.saturating_sub(memory.reserve);
    (free - free / SYSTEM_SHARE) as u64
}

/// Makes room for `asker` when the machine has no memory left: the agent that holds the most ends, unless that is the
/// asker's own. The first agent, on which all others depend, never does. True when memory is on its way back.
pub fn make_room(asker: &Domain) -> bool {
    let agents = list();
    let others = || agents.iter().filter(|agent| agent.parent().is_some() && agent.id() != asker.id());
    if others().any(|agent| agent.state() == AgentState::Dying) {
        return true;
    }
    let held = |agent: &Agent| agent.domain().memory().used();
    let largest = others().filter(|agent| agent.state() != AgentState::Dead).max_by_key(|agent| held(agent));
    let own = agents.iter().find(|agent| agent.id() == asker.id() && agent.parent().is_some());
    let Some(largest) = largest.filter(|largest| held(largest) > own.map_or(0, |own| held(own))) else {
        return false;
    };
    let held = held(largest).saturating_mul(kernel_hal::addr::PAGE_SIZE) as u64;
    log::warn!("agent {}: no memory is left, and agent {} holds the most", asker.id(), largest.id());
    largest.end(Killed::Memory(held)).is_ok()
}
