//! Stopping an agent: by the verbs freeze and thaw, and by its fault policy.

use aios_abi::Errno;
use alloc::boxed::Box;
use alloc::sync::Arc;

use kernel_process::{HeldFault, Judgement};
use kernel_sync::{Mutex, SpinLock};

use crate::Agent;
use crate::state::Event;

/// What an agent is stopped for.
#[derive(Default)]
pub(crate) struct Stop {
    /// Held while state and mark change together, so that nobody sees one without the other.
    change: Mutex<()>,
    /// What its policy stopped it for, and whether its parent has still to hear of it.
    fault: SpinLock<Option<(HeldFault, bool)>>,
}

impl Stop {
    pub fn fault(&self) -> Option<HeldFault> {
        self.fault.lock().map(|(fault, _)| fault)
    }

    /// What it was stopped for, the first time that this is asked for.
    pub fn take_news(&self) -> Option<HeldFault> {
        let mut stopped = self.fault.lock();
        let (fault, news) = stopped.as_mut()?;
        core::mem::take(news).then_some(*fault)
    }
}

impl Agent {
    /// Stops all its threads at the user boundary; returns when they stand there. `EBUSY` when it is not running, or its
    /// fault policy stopped it meanwhile.
    pub fn freeze(&self) -> Result<(), Errno> {
        {
            let _change = self.stop.change.lock();
            self.advance(Event::Freeze)?;
            self.pids().freeze();
        }
        self.pids().wait_until_still().map_err(|interrupted| {
            // The call may be made again. Meanwhile nobody knows of a frozen agent.
            let _ended_or_faulted = self.thaw();
            Errno::from(interrupted)
        })
    }

    /// Lets it go on after a freeze or a fault, which then takes its course.
    pub fn thaw(&self) -> Result<(), Errno> {
        let _change = self.stop.change.lock();
        self.advance(Event::Thaw)?;
        *self.stop.fault.lock() = None;
        self.pids().thaw();
        Ok(())
    }

    /// Makes a fault that no process handles stop the agent. Called before its first process runs.
    pub(crate) fn freeze_on_fault(self: &Arc<Agent>) {
        // Weak: the agent owns the numbers, and the hook hangs on them.
        let weak = Arc::downgrade(self);
        self.pids()
            .on_fault(Box::new(move |fault| weak.upgrade().map_or(Judgement::Course, |agent| agent.judge(fault))));
    }

    fn judge(&self, fault: &HeldFault) -> Judgement {
        {
            let _change = self.stop.change.lock();
            match self.advance(Event::Fault) {
                Ok(_) => {}
                Err(Errno::EBUSY) => return Judgement::Later,
                Err(_) => return Judgement::Course,
            }
            *self.stop.fault.lock() = Some((*fault, true));
            self.pids().freeze();
        }
        if let Some(what) = &fault.reason.fault {
            log::warn!("agent {}: {what}: frozen by its fault policy", self.domain().name());
        }
        self.tell_parent();
        Judgement::Stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aios_abi::linux::consts::signal::SIGSEGV;
    use aios_abi::native::{AgentState, ExitKind, ThreadRegisters};
    use kernel_process::ExitReason;

    use crate::failure::tests::World;

    fn fault() -> HeldFault {
        HeldFault::new(ExitReason::signaled(SIGSEGV), 7, ThreadRegisters { rip: 0x40_1136, ..Default::default() })
    }

    #[test]
    fn a_frozen_agent_is_thawed_and_frozen_again() {
        let agent = World::new().parent;
        assert_eq!(agent.freeze(), Err(Errno::EBUSY));
        agent.advance(Event::Start).expect("started");
        assert_eq!(agent.thaw(), Err(Errno::EBUSY));
        for _ in 0..2 {
            assert_eq!(agent.freeze(), Ok(()));
            assert_eq!((agent.state(), agent.pids().is_frozen()), (AgentState::Frozen, true));
            assert_eq!(agent.freeze(), Err(Errno::EBUSY));
            assert_eq!(agent.thaw(), Ok(()));
            assert_eq!((agent.state(), agent.pids().is_frozen()), (AgentState::Running, false));
        }
    }

    #[test]
    fn a_fault_stops_the_agent_until_it_is_thawed_and_is_told_once() {
        let agent = World::new().parent;
        agent.advance(Event::Start).expect("started");
        assert_eq!(agent.judge(&fault()), Judgement::Stopped);
        assert_eq!((agent.state(), agent.pids().is_frozen()), (AgentState::Faulted, true));
        // Of a second thread at the same time.
        assert_eq!(agent.judge(&fault()), Judgement::Later);
        let info = agent.info();
        assert_eq!((info.fault_signal, info.fault_thread, info.registers.rip), (SIGSEGV, 7, 0x40_1136));
        let record = agent.stop.take_news().map(|fault| crate::record::stop_record(&agent, &fault)).expect("news");
        assert_eq!((ExitKind::from_u32(record.kind), record.signal), (ExitKind::Frozen, SIGSEGV as i32));
        assert!(agent.stop.take_news().is_none());
        assert_eq!(agent.thaw(), Ok(()));
        assert_eq!((agent.state(), agent.info().fault_signal), (AgentState::Running, 0));
        assert_eq!(agent.kill(0), Ok(()));
        assert_eq!(agent.judge(&fault()), Judgement::Course);
    }

    #[test]
    fn killed_while_it_is_stopped_it_ended_by_its_fault() {
        let agent = World::new().parent;
        agent.advance(Event::Start).expect("started");
        let record = |agent: &Agent| {
            let record = agent.record(&ExitReason::signaled(9), 0);
            (ExitKind::from_u32(record.kind), record.signal)
        };
        assert_eq!(agent.judge(&fault()), Judgement::Stopped);
        assert_eq!(agent.kill(0), Ok(()));
        assert_eq!(record(&agent), (ExitKind::Signaled, SIGSEGV as i32));
        // It went on: the fault is past.
        let agent = World::new().parent;
        agent.advance(Event::Start).expect("started");
        assert_eq!((agent.judge(&fault()), agent.thaw()), (Judgement::Stopped, Ok(())));
        assert_eq!(agent.kill(0), Ok(()));
        assert_eq!(record(&agent), (ExitKind::Killed, 9));
    }

    #[test]
    fn a_failure_of_the_kernel_is_in_the_record_and_the_first_agent_is_not_ended_for_it() {
        let first = World::new().parent;
        assert!(!first.end_for_kernel_fault("x".into()));
        assert_eq!(first.state(), AgentState::Created);
        let child = World::child_of(&first);
        child.advance(Event::Start).expect("started");
        assert!(child.end_for_kernel_fault("kernel fault in fs: oh".into()));
        assert_eq!(child.state(), AgentState::Dying);
        // Of a second thread: the first failure is told.
        assert!(child.end_for_kernel_fault("another".into()));
        let record = child.record(&ExitReason::signaled(9), 0);
        assert_eq!(ExitKind::from_u32(record.kind), ExitKind::KernelFault);
        assert_eq!(aios_abi::native::agent::field_text(&record.reason), "child: kernel fault in fs: oh");
    }
}
