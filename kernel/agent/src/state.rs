//! The life of an agent: one function decides every pair of state and event.

use aios_abi::Errno;
use aios_abi::native::AgentState;

/// What can happen to an agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Its first process is ready to run.
    Start,
    /// A verb stops all its threads at the user boundary, or lets them go on.
    Freeze,
    Thaw,
    /// A new version takes over, or has taken over, or the old one goes on.
    Upgrade,
    UpgradeDone,
    /// Its fault policy says stop. Also while it is being frozen: a thread that has not come to its end yet did it.
    Fault,
    /// It ends: by itself or by a verb.
    End,
    /// Everything it held has been given back.
    Gone,
}

impl Event {
    /// All of them, for tests and documentation.
    pub const ALL: [Event; 8] = [
        Event::Start,
        Event::Freeze,
        Event::Thaw,
        Event::Upgrade,
        Event::UpgradeDone,
        Event::Fault,
        Event::End,
        Event::Gone,
    ];
}

/// The state after `event`; `EBUSY` for what makes no sense now, `ESRCH` for an agent that is ending or gone.
pub fn next(state: AgentState, event: Event) -> Result<AgentState, Errno> {
    use AgentState::{Created, Dead, Dying, Faulted, Frozen, Running, Upgrading};
    match (state, event) {
        (Created, Event::Start) => Ok(Running),
        (Running, Event::Freeze) => Ok(Frozen),
        (Frozen | Faulted, Event::Thaw) => Ok(Running),
        (Running, Event::Upgrade) => Ok(Upgrading),
        (Upgrading, Event::UpgradeDone) => Ok(Running),
        (Running | Frozen | Upgrading, Event::Fault) => Ok(Faulted),
        (Created | Running | Frozen | Upgrading | Faulted, Event::End) => Ok(Dying),
        (Dying, Event::Gone) => Ok(Dead),
        (Dying | Dead, _) => Err(Errno::ESRCH),
        (Created, Event::Freeze | Event::Thaw | Event::Upgrade | Event::UpgradeDone | Event::Fault | Event::Gone)
        | (Running, Event::Start | Event::Thaw | Event::UpgradeDone | Event::Gone)
        | (Frozen, Event::Start | Event::Freeze | Event::Upgrade | Event::UpgradeDone | Event::Gone)
        | (Upgrading, Event::Start | Event::Freeze | Event::Thaw | Event::Upgrade | Event::Gone)
        | (Faulted, Event::Start | Event::Freeze | Event::Upgrade | Event::UpgradeDone | Event::Fault | Event::Gone) => {
            Err(Errno::EBUSY)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_ends_never_comes_back() {
        for event in Event::ALL {
            assert_eq!(next(AgentState::Dead, event), Err(Errno::ESRCH));
            let allowed = event == Event::Gone;
            assert_eq!(next(AgentState::Dying, event).is_ok(), allowed, "{event:?}");
        }
    }

    #[test]
    fn every_living_agent_can_be_ended() {
        for state in AgentState::ALL {
            let living = !matches!(state, AgentState::Dying | AgentState::Dead);
            assert_eq!(next(*state, Event::End), if living { Ok(AgentState::Dying) } else { Err(Errno::ESRCH) });
        }
    }

    #[test]
    fn freezing_and_thawing_undo_each_other() {
        let frozen = next(AgentState::Running, Event::Freeze).expect("a running agent can be frozen");
        assert_eq!(next(frozen, Event::Thaw), Ok(AgentState::Running));
        assert_eq!(next(frozen, Event::Freeze), Err(Errno::EBUSY));
    }

    #[test]
    fn what_a_fault_stopped_goes_on_or_ends() {
        for before in [AgentState::Running, AgentState::Frozen] {
            assert_eq!(next(before, Event::Fault), Ok(AgentState::Faulted));
        }
        for event in Event::ALL {
            let allowed = matches!(event, Event::Thaw | Event::End);
            assert_eq!(next(AgentState::Faulted, event).is_ok(), allowed, "{event:?}");
        }
    }
}
