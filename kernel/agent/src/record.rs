//! The record of an agent's end.

use alloc::format;
use alloc::string::String;

use aios_abi::native::agent::set_field_text;
use aios_abi::native::{AgentExitRecord, ExitKind};
use kernel_hal::addr::PAGE_SIZE;
use kernel_process::{ExitReason, ExitStatus};

use crate::Agent;

/// Writes how `agent` ended; `killed` is the reason given when a verb ended it.
pub(crate) fn exit_record(agent: &Agent, reason: &ExitReason, killed: Option<i32>, cpu_ns: u64) -> AgentExitRecord {
    let mut record = AgentExitRecord {
        id: agent.id().raw(),
        peak_memory: (agent.domain().memory().peak() * PAGE_SIZE) as u64,
        cpu_ns,
        wall_ns: agent.age_ns(),
        ..AgentExitRecord::default()
    };
    set_field_text(&mut record.name, agent.domain().name());
    let (kind, text) = match (killed, reason) {
        (Some(why), _) => (ExitKind::Killed, format!("{}: killed, reason {why}", agent.domain().name())),
        (None, ExitReason { out_of_memory: true, .. }) => {
            let limit = agent.domain().memory().limit().saturating_mul(PAGE_SIZE);
            (ExitKind::Limit, format!("{}: out of memory at its limit of {} KiB", agent.domain().name(), limit / 1024))
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
