//! Turns an agent's exit record into what the host is told.

use aios_abi::native::agent::{AgentExitRecord, ExitKind, FaultKind, field_text};
use serde::Serialize;

/// Signal that stands for an end without one: what a shell shows for a program that was taken away.
const SIGKILL: i32 = 9;

/// How an agent ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct End {
    /// `exited` or `killed`.
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often it was started anew, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restarts: Option<u32>,
}

impl End {
    pub fn of(record: &AgentExitRecord) -> End {
        let kind = ExitKind::from_u32(record.kind);
        if kind == ExitKind::Exited {
            return End { status: "exited", code: Some(record.code), ..End::default() };
        }
        let signal = if record.signal > 0 { record.signal } else { SIGKILL };
        let reason = match field_text(&record.reason) {
            "" => described(record, kind, signal),
            given => given.to_owned(),
        };
        End { status: "killed", signal: Some(signal), reason: Some(reason), ..End::default() }
    }
}

/// A reason made from the numbers, for a kernel that gave none.
fn described(record: &AgentExitRecord, kind: ExitKind, signal: i32) -> String {
    let name = field_text(&record.name);
    let fault = &record.fault;
    match FaultKind::from_u32(fault.kind) {
        FaultKind::None => match kind {
            ExitKind::Limit => format!("{name}: over its limit (peak {} KiB)", record.peak_memory / 1024),
            _ => format!("{name}: signal {signal}"),
        },
        _ => format!("{name}: {fault}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aios_abi::native::agent::set_field_text;

    fn record(kind: ExitKind) -> AgentExitRecord {
        let mut record = AgentExitRecord { kind: kind.to_u32(), ..Default::default() };
        set_field_text(&mut record.name, "x");
        record
    }

    #[test]
    fn an_exit_has_a_code_and_no_comment() {
        let end = End::of(&AgentExitRecord { code: 3, ..record(ExitKind::Exited) });
        assert_eq!(end, End { status: "exited", code: Some(3), ..End::default() });
    }

    #[test]
    fn a_fault_names_program_address_and_cause() {
        let mut record = AgentExitRecord { signal: 11, ..record(ExitKind::Faulted) };
        record.fault.kind = FaultKind::NullWrite.to_u32();
        record.fault.pc = 0x401136;
        record.fault.pid = 2;
        set_field_text(&mut record.fault.program, "prog");
        let end = End::of(&record);
        assert_eq!(end.reason.as_deref(), Some("x: null write at 0x0 (pc 0x401136, pid 2 'prog')"));
        assert_eq!((end.status, end.code, end.signal), ("killed", None, Some(11)));
    }

    #[test]
    fn the_kernels_own_words_come_first() {
        let mut record = AgentExitRecord { peak_memory: 4096, ..record(ExitKind::Limit) };
        assert_eq!(End::of(&record).reason.as_deref(), Some("x: over its limit (peak 4 KiB)"));
        assert_eq!(End::of(&record).signal, Some(SIGKILL));
        set_field_text(&mut record.reason, "x: out of memory");
        assert_eq!(End::of(&record).reason.as_deref(), Some("x: out of memory"));
    }
}
