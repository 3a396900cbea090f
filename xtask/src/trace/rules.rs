//! What a file of trace events must keep to, by the format's description ("Trace Event Format", Google, 2016) and by what a
//! processor and a thread can do.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// What there is in a file.
#[derive(Default, Debug)]
pub struct Summary {
    pub slices: usize,
    pub wakes: usize,
    pub processes: BTreeSet<String>,
    pub threads: BTreeSet<String>,
    /// Slices by the name of the thread that ran, on the tracks of processors.
    pub ran: BTreeMap<String, usize>,
    /// Processors that ran something.
    pub cpus: BTreeSet<i64>,
}

/// One track's state while its events are looked at, in order.
#[derive(Default)]
struct Track {
    last: i64,
    /// End of the latest slice.
    end: i64,
    open: Vec<String>,
}

/// Checks every event, and that no two slices of a track overlap.
pub fn check(file: &Value) -> Result<Summary> {
    let events = file.get("traceEvents").and_then(Value::as_array).context("there is no array `traceEvents`")?;
    let mut summary = Summary::default();
    let mut tracks: HashMap<(i64, i64), Track> = HashMap::new();
    let mut arrows: HashMap<String, i64> = HashMap::new();
    let mut processors = None;
    for event in events {
        let what = || format!("in {event}");
        let kind = text(event, "ph").with_context(what)?;
        let name = text(event, "name").with_context(what)?;
        let (pid, tid) = (whole(event, "pid").with_context(what)?, whole(event, "tid").with_context(what)?);
        if kind == "M" {
            let arguments = event.get("args").with_context(what)?;
            match name {
                "process_name" => {
                    let called = text(arguments, "name").with_context(what)?;
                    summary.processes.insert(called.to_owned());
                    if called == "processors" {
                        processors = Some(pid);
                    }
                }
                "thread_name" => {
                    summary.threads.insert(text(arguments, "name").with_context(what)?.to_owned());
                }
                "process_sort_index" | "thread_sort_index" => {
                    whole(arguments, "sort_index").with_context(what)?;
                }
                _ => bail!("unknown metadata {}", what()),
            }
            continue;
        }
        let at = time(event, "ts").with_context(what)?;
        let track = tracks.entry((pid, tid)).or_default();
        ensure!(at >= track.last, "time goes back on a track {}", what());
        track.last = at;
        match kind {
            "X" => {
                let lasts = time(event, "dur").with_context(what)?;
                ensure!(at >= track.end, "two slices overlap on a track {}", what());
                track.end = at + lasts;
                summary.slices += 1;
                if processors == Some(pid) {
                    *summary.ran.entry(name.to_owned()).or_default() += 1;
                    summary.cpus.insert(tid);
                }
            }
            "B" => track.open.push(name.to_owned()),
            "E" => ensure!(track.open.pop().is_some(), "an end without a beginning {}", what()),
            "i" => ensure!(matches!(text(event, "s"), Ok("g" | "p" | "t")), "no scope {}", what()),
            "s" | "f" => {
                text(event, "cat").with_context(what)?;
                let id = event.get("id").with_context(what)?.to_string();
                let inside = at <= track.end;
                ensure!(inside, "an arrow hangs on no slice {}", what());
                if kind == "s" {
                    ensure!(arrows.insert(id, at).is_none(), "two arrows have one number {}", what());
                } else {
                    let start = arrows.remove(&id).with_context(|| format!("an arrow from nowhere {}", what()))?;
                    ensure!(start <= at, "an arrow goes back in time {}", what());
                    summary.wakes += 1;
                }
            }
            _ => bail!("unknown kind of event {}", what()),
        }
    }
    ensure!(arrows.is_empty(), "{} arrows lead nowhere", arrows.len());
    let open: Vec<&String> = tracks.values().flat_map(|track| &track.open).collect();
    ensure!(open.is_empty(), "these begin and do not end: {open:?}");
    Ok(summary)
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str> {
    value.get(field).and_then(Value::as_str).with_context(|| format!("`{field}` is no text"))
}

fn whole(value: &Value, field: &str) -> Result<i64> {
    value.get(field).and_then(Value::as_i64).with_context(|| format!("`{field}` is no whole number"))
}

/// A time in nanoseconds, of one written in microseconds.
fn time(value: &Value, field: &str) -> Result<i64> {
    let time = value.get(field).and_then(Value::as_f64).with_context(|| format!("`{field}` is no number"))?;
    ensure!(time.is_finite() && time >= 0.0, "`{field}` is negative");
    Ok((time * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::check;
    use serde_json::{Value, json};

    fn slice(at: f64, lasts: f64) -> Value {
        json!({ "ph": "X", "name": "a", "pid": 1, "tid": 2, "ts": at, "dur": lasts })
    }

    #[test]
    fn what_breaks_a_rule_is_found() {
        let file = |events: Value| json!({ "traceEvents": events });
        assert_eq!(check(&file(json!([slice(1.0, 2.5), slice(3.5, 0.0)]))).unwrap().slices, 2);
        let arrow =
            |kind: &str, at: f64| json!({ "ph": kind, "name": "w", "cat": "w", "id": 1, "pid": 1, "tid": 2, "ts": at });
        check(&file(json!([slice(1.0, 5.0), arrow("s", 2.0), arrow("f", 3.0)]))).unwrap();
        for wrong in [
            json!({}),
            json!([{ "ph": "X", "name": "a", "pid": 1, "tid": 2, "ts": 1.0 }]),
            json!([slice(1.0, -1.0)]),
            json!([slice(1.0, 2.0), slice(2.999, 1.0)]),
            json!([slice(2.0, 1.0), slice(1.0, 0.5)]),
            json!([{ "ph": "B", "name": "a", "pid": 1, "tid": 2, "ts": 1.0 }]),
            json!([{ "ph": "i", "name": "a", "pid": 1, "tid": 2, "ts": 1.0 }]),
            json!([{ "ph": "?", "name": "a", "pid": 1, "tid": 2, "ts": 1.0 }]),
            json!([slice(1.0, 5.0), arrow("f", 3.0)]),
            json!([slice(1.0, 5.0), arrow("s", 3.0)]),
            json!([slice(1.0, 5.0), arrow("s", 7.0), arrow("f", 7.0)]),
        ] {
            assert!(check(&file(wrong.clone())).is_err(), "{wrong}");
        }
    }
}
