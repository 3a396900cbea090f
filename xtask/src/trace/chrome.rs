//! The timeline as trace events in JSON, which Perfetto and `chrome://tracing` show.
//!
//! Processors are one process with a track each, and each process of an agent is one with a track for each thread. Times are
//! microseconds with three digits after the point, so that no nanosecond is lost.

use std::collections::BTreeMap;
use std::io::{self, Write};

use aios_abi::sched_trace::Left;
use serde_json::{Value, json};

use super::timeline::{Owner, Thread, Timeline, What};

/// The process number under which the processors are shown, and that of the first process shown.
const PROCESSORS: usize = 1;
const FIRST: usize = 2;

/// One event of a track, in the order of the file.
struct Line {
    at: u64,
    text: String,
}

/// Writes the file.
pub fn write(timeline: &Timeline, out: &mut impl Write) -> io::Result<()> {
    let mut processes: BTreeMap<Owner, usize> = BTreeMap::new();
    for thread in timeline.threads.values().filter(|thread| !thread.is_idle) {
        let next = FIRST + processes.len();
        processes.entry(thread.owner).or_insert(next);
    }
    let mut lines = names(timeline, &processes);
    let mut events = events(timeline, &processes);
    events.sort_by_key(|line| line.at);
    lines.extend(events.into_iter().map(|line| line.text));
    let about = json!({ "system": "AIOS", "lost": timeline.lost, "whole": timeline.is_whole });
    writeln!(out, "{{\"displayTimeUnit\":\"ns\",\"otherData\":{about},\"traceEvents\":[")?;
    for (index, line) in lines.iter().enumerate() {
        writeln!(out, "{line}{}", if index + 1 < lines.len() { "," } else { "" })?;
    }
    writeln!(out, "]}}")
}

/// What tracks are called, and in what order they are shown.
fn names(timeline: &Timeline, processes: &BTreeMap<Owner, usize>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut name = |kind: &str, pid: usize, tid: usize, arguments: Value| {
        lines.push(json!({ "ph": "M", "name": kind, "pid": pid, "tid": tid, "ts": 0, "args": arguments }).to_string());
    };
    name("process_name", PROCESSORS, 0, json!({ "name": "processors" }));
    name("process_sort_index", PROCESSORS, 0, json!({ "sort_index": -1 }));
    for cpu in 0..timeline.cpus {
        name("thread_name", PROCESSORS, cpu, json!({ "name": format!("CPU {cpu}") }));
        name("thread_sort_index", PROCESSORS, cpu, json!({ "sort_index": cpu }));
    }
    for (owner, pid) in processes {
        let first = |thread: &&Thread| {
            thread.owner == *owner && matches!(*owner, Owner::Process { pid, .. } if pid == thread.tid)
        };
        // What it was last: a process has one first thread after another when another thread calls `execve`.
        let program =
            timeline.threads.values().rfind(first).map_or(String::new(), |first| format!(" ({})", first.name));
        name("process_name", *pid, 0, json!({ "name": timeline.owner_name(*owner) + &program }));
    }
    for (number, thread) in timeline.threads.iter().filter(|(_, thread)| !thread.is_idle) {
        let pid = processes.get(&thread.owner).copied().unwrap_or_default();
        let shown = match thread.owner {
            Owner::Kernel => thread.name.to_string(),
            Owner::Process { .. } => format!("{} {}", thread.name, thread.tid),
        };
        name("thread_name", pid, *number as usize, json!({ "name": shown }));
    }
    lines
}

fn events(timeline: &Timeline, processes: &BTreeMap<Owner, usize>) -> Vec<Line> {
    let mut lines = Vec::new();
    let track = |thread: u32| {
        let owner = timeline.threads.get(&thread).map_or(Owner::Kernel, |thread| thread.owner);
        (processes.get(&owner).copied().unwrap_or_default(), thread as usize)
    };
    let mut add = |kind: &str, at: u64, (pid, tid): (usize, usize), name: &str, rest: &str| {
        let name = Value::from(name);
        let text = format!(
            "{{\"ph\":\"{kind}\",\"name\":{name},\"pid\":{pid},\"tid\":{tid},\"ts\":{}{rest}}}",
            microseconds(at)
        );
        lines.push(Line { at, text });
    };
    for slice in &timeline.slices {
        let owner = timeline.threads.get(&slice.thread).map_or(Owner::Kernel, |thread| thread.owner);
        let left = match slice.left {
            Left::Waiting => "waits",
            Left::Runnable => "had to give way",
            Left::Ended => "ended",
        };
        let arguments = json!({ "of": timeline.owner_name(owner), "thread": slice.thread, "then": left });
        let rest = format!(
            ",\"dur\":{},\"cat\":\"processor\",\"args\":{arguments}",
            microseconds(slice.end.saturating_sub(slice.start))
        );
        add("X", slice.start, (PROCESSORS, usize::from(slice.cpu)), &slice.name, &rest);
    }
    for state in &timeline.states {
        let lasts = microseconds(state.end.saturating_sub(state.start));
        let (name, arguments) = match state.on {
            Some(cpu) => ("running", format!(",\"args\":{{\"cpu\":{cpu}}}")),
            None => ("waiting for a processor", String::new()),
        };
        let rest = format!(",\"dur\":{lasts},\"cat\":\"thread\"{arguments}");
        add("X", state.start, track(state.thread), name, &rest);
    }
    // Arrows go after the slices that they hang on, which begin at the same time or before.
    for (id, wake) in timeline.wakes.iter().enumerate() {
        add("s", wake.at, track(wake.by), "wake", &format!(",\"cat\":\"wake\",\"id\":{id}"));
        add("f", wake.runs_at, track(wake.thread), "wake", &format!(",\"cat\":\"wake\",\"id\":{id},\"bp\":\"e\""));
    }
    for moment in &timeline.moments {
        match moment.what {
            What::Migrate { thread, from, to } => {
                let rest = format!(",\"s\":\"t\",\"cat\":\"migrate\",\"args\":{{\"from\":{from},\"to\":{to}}}");
                add("i", moment.at, track(thread), "migrate", &rest);
            }
            What::Throttle { cpu, agent, on } => {
                let agent = agent.and_then(|place| timeline.agents.get(place)).map_or("?", String::as_str);
                let name = format!("{agent} {}", if on { "has used up its quota" } else { "has quota again" });
                let track = (PROCESSORS, usize::from(cpu));
                add("i", moment.at, track, &name, ",\"s\":\"t\",\"cat\":\"throttle\"");
            }
        }
    }
    lines
}

fn microseconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1000, ns % 1000)
}

#[cfg(test)]
mod tests {
    use super::super::timeline::tests::{example, trace};
    use super::super::{Timeline, rules};
    use aios_abi::sched_trace::SIZE;

    fn json(bytes: &[u8]) -> serde_json::Value {
        let mut out = Vec::new();
        super::write(&Timeline::read(bytes).unwrap(), &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn the_file_keeps_the_rules_and_tells_of_all() {
        let file = json(&trace(&example()));
        let summary = rules::check(&file).unwrap();
        assert_eq!(summary.slices, 3 + 6);
        let text = file.to_string();
        for expected in ["\"renamed 1\"", "second \\\"quoted", "has used up its quota", "\"migrate\"", "\"CPU 1\""] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
    }

    /// Whatever is cut off or overwritten, a file that is written keeps the rules.
    #[test]
    fn broken_traces_make_valid_files() {
        let whole = trace(&example());
        let mut seed = 1_u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for _ in 0..500 {
            let mut bytes = whole.clone();
            for _ in 0..random(40) {
                let at = SIZE + random(bytes.len() - SIZE);
                // Mostly small values: they keep records readable.
                bytes[at] = if random(3) == 0 { random(256) as u8 } else { random(4) as u8 };
            }
            bytes.truncate(SIZE + random(bytes.len() - SIZE));
            rules::check(&json(&bytes)).unwrap();
        }
    }
}
