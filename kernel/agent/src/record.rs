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
            let why = exhausted(agent.domain().memory().limit(), kernel_mm::stats().total);
            (ExitKind::Limit, format!("{}: out of memory {why}", agent.domain().name()))
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

/// What had no more memory: an agent that may have `limit` frames, or a machine that has `total`.
fn exhausted(limit: usize, total: usize) -> String {
    let (whose, frames) = if limit < total { ("its", limit) } else { ("the machine's", total) };
    format!("at {whose} limit of {} KiB", frames * (PAGE_SIZE / 1024))
}

#[cfg(test)]
mod tests {
    use super::exhausted;

    #[test]
    fn the_limit_that_is_named_is_the_one_that_was_reached() {
        assert_eq!(exhausted(16384, 131072), "at its limit of 65536 KiB");
        assert_eq!(exhausted(32768, 2048), "at the machine's limit of 8192 KiB");
        assert_eq!(exhausted(usize::MAX, 2048), "at the machine's limit of 8192 KiB");
    }
}
