//! All agents, by identity.

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::native::AgentId;
use kernel_process::Process;
use kernel_sync::SpinLock;

use crate::Agent;

/// Agents that can exist at one time.
const MOST: usize = 1 << 16;

struct Slot {
    /// Raised each time the slot is given to a new agent, so that an identity is never used twice.
    generation: u32,
    agent: Option<Arc<Agent>>,
    /// Given out, the agent is being made.
    taken: bool,
}

static SLOTS: SpinLock<Vec<Slot>> = SpinLock::new(Vec::new());

/// An identity for an agent that is being made; given back by [`release`] or filled by [`publish`].
pub(crate) fn reserve() -> Result<AgentId, Errno> {
    let mut slots = SLOTS.lock();
    let free = slots.iter().position(|slot| !slot.taken && slot.generation < u32::MAX);
    let place = match free {
        Some(place) => place,
        None if slots.len() < MOST => {
            slots.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            slots.push(Slot { generation: 0, agent: None, taken: false });
            slots.len() - 1
        }
        None => return Err(Errno::EAGAIN),
    };
    let slot = slots.get_mut(place).ok_or(Errno::EAGAIN)?;
    slot.generation += 1;
    slot.taken = true;
    // Index 0 is left to mean none.
    Ok(AgentId::new(place as u32 + 1, slot.generation))
}

fn with_slot<T>(id: AgentId, act: impl FnOnce(&mut Slot) -> T) -> Option<T> {
    let mut slots = SLOTS.lock();
    let slot = slots.get_mut((id.index() as usize).checked_sub(1)?)?;
    (slot.generation == id.generation() && slot.taken).then(|| act(slot))
}

pub(crate) fn publish(agent: Arc<Agent>) {
    with_slot(agent.id(), |slot| slot.agent = Some(agent.clone()));
}

/// Takes an agent, or a reserved place, out of the table.
pub(crate) fn release(id: AgentId) {
    let agent = with_slot(id, |slot| {
        slot.taken = false;
        slot.agent.take()
    });
    drop(agent);
}

/// The agent with that identity, until its end was waited for.
pub fn find(id: AgentId) -> Option<Arc<Agent>> {
    with_slot(id, |slot| slot.agent.clone()).flatten()
}

/// All agents.
pub fn list() -> Vec<Arc<Agent>> {
    SLOTS.lock().iter().filter_map(|slot| slot.agent.clone()).collect()
}

/// The agent that a process belongs to.
pub fn of_process(process: &Process) -> Option<Arc<Agent>> {
    find(process.domain().id())
}
