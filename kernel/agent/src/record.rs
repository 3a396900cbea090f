//! The record of an agent's end.

use alloc::format;
use alloc::string::String;

use aios_abi::native::agent::set_field_text;
use aios_abi::native::{AgentExitRecord, ExitKind, FaultRecord};
use kernel_hal::addr::PAGE_SIZE;
use kernel_process::{ExitReason, ExitStatus, HeldFault, Short};

use crate::Agent;
use crate::agent::Killed;

/// Writes how `agent` ended; `killed` says why when its own processes did not end it.
pub(crate) fn exit_record(agent: &Agent, reason: &ExitReason, killed: Option<Killed>, cpu_ns: u64) -> AgentExitRecord {
    let mut record = AgentExitRecord {
        id: agent.id().raw(),
        peak_memory: (agent.domain().memory().peak() * PAGE_SIZE) as u64,
        cpu_ns,
        wall_ns: agent.age_ns(),
        ..AgentExitRecord::default()
    };
    set_field_text(&mut record.name, agent.domain().name());
    let (kind, text) = match (killed, reason) {
        (Some(Killed::Verb(why)), _) => (ExitKind::Killed, format!("{}: killed, reason {why}", agent.domain().name())),
        (Some(Killed::Memory(held)), _) => {
            (ExitKind::Limit, format!("{}: {MACHINE}; it held the most, {} KiB", agent.domain().name(), held / 1024))
        }
        (Some(Killed::KernelFault), _) => {
            (ExitKind::KernelFault, format!("{}: {}", agent.domain().name(), agent.kernel_fault()))
        }
        (None, ExitReason { out_of_memory: Some(short), fault, .. }) => {
            (ExitKind::Limit, format!("{}: {}", agent.domain().name(), shortage_text(agent, *short, fault.as_ref())))
        }
        (None, ExitReason { fault: Some(fault), .. }) => {
            record.fault = *fault;
            (ExitKind::Faulted, format!("{}: {fault}", agent.domain().name()))
        }
        (None, ExitReason { status: ExitStatus::Exited(_), .. }) => (ExitKind::Exited, String::new()),
        (None, ExitReason { status: ExitStatus::Signaled { signal, .. }, .. }) => {
            (ExitKind::Signaled, format!("{}: ended by signal {signal}", agent.domain().name()))
        }
    };
    record.kind = kind.to_u32();
    match reason.status {
        ExitStatus::Exited(code) => record.code = i32::from(code),
        ExitStatus::Signaled { signal, .. } => record.signal = signal as i32,
    }
    set_field_text(&mut record.reason, &text);
    record
}

/// The record of an agent that its fault policy has stopped.
pub(crate) fn stop_record(agent: &Agent, fault: &HeldFault) -> AgentExitRecord {
    let cpu_ns = agent.info().cpu_ns;
    AgentExitRecord { kind: ExitKind::Frozen.to_u32(), ..exit_record(agent, &fault.reason, None, cpu_ns) }
}

const MACHINE: &str = "the machine ran out of memory";

/// Which program found no memory, and whose was used up.
fn shortage_text(agent: &Agent, short: Short, fault: Option<&FaultRecord>) -> String {
    let who = fault.map_or(String::new(), |fault| format!("{fault}: "));
    match short {
        Short::Agent => {
            let limit = agent.domain().memory().limit().saturating_mul(PAGE_SIZE);
            format!("{who}the agent is at its limit of {} KiB", limit / 1024)
        }
        Short::Machine => format!("{who}{MACHINE}"),
    }
}
