//! Tells the host what happens: one JSON object a line, on the second serial port, after the mark `@aios `.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::Duration;

use aios_abi::native::AgentId;
use serde::Serialize;

use crate::frozen::Scene;
use crate::report::End;

const PORT: &str = "/dev/ttyS1";

/// Lines of a memory map in one of ours, which the kernel takes as a whole up to 4 KiB.
const MAPS_A_LINE: usize = 12;

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event<'a> {
    AgentSpawned {
        agent: &'a str,
        id: String,
    },
    /// Lines of its memory map; those of all such events together belong to the next `agent-frozen`.
    AgentMap {
        agent: &'a str,
        maps: &'a [String],
    },
    /// Its fault policy stopped it.
    AgentFrozen {
        agent: &'a str,
        id: String,
        #[serde(flatten)]
        scene: &'a Scene,
    },
    /// The host asked for it: it stands still, or goes on.
    AgentState {
        agent: &'a str,
        id: String,
        /// `frozen` or `running`.
        state: &'static str,
        /// Processor time that it has used until it stopped.
        cpu_ns: u64,
    },
    /// It ended by a fault, and will be started anew.
    AgentRestarting {
        agent: &'a str,
        id: String,
        #[serde(flatten)]
        end: &'a End,
        /// What is waited before, milliseconds.
        wait_ms: u64,
    },
    AgentExited {
        agent: &'a str,
        id: String,
        #[serde(flatten)]
        end: &'a End,
    },
    Error {
        message: &'a str,
    },
}

/// The way to the host.
pub struct Control {
    port: Option<File>,
}

impl Control {
    /// Opens the port. Without one the lines go to standard error: there is no better place.
    pub fn open() -> Control {
        Control { port: OpenOptions::new().write(true).open(PORT).ok() }
    }

    pub fn spawned(&mut self, agent: &str, id: AgentId) {
        self.send(&Event::AgentSpawned { agent, id: id.to_string() });
    }

    pub fn frozen(&mut self, agent: &str, id: AgentId, scene: &Scene) {
        scene.maps.chunks(MAPS_A_LINE).for_each(|maps| self.send(&Event::AgentMap { agent, maps }));
        self.send(&Event::AgentFrozen { agent, id: id.to_string(), scene });
    }

    pub fn state(&mut self, agent: &str, id: AgentId, frozen: bool, cpu_ns: u64) {
        let state = if frozen { "frozen" } else { "running" };
        self.send(&Event::AgentState { agent, id: id.to_string(), state, cpu_ns });
    }

    /// `restarts` counts the start that is to come.
    pub fn restarting(&mut self, agent: &str, id: AgentId, end: &End, restarts: u32, wait: Duration) {
        let end = &End { restarts: Some(restarts), ..end.clone() };
        let wait_ms = wait.as_millis() as u64;
        self.send(&Event::AgentRestarting { agent, id: id.to_string(), end, wait_ms });
    }

    pub fn exited(&mut self, agent: &str, id: AgentId, end: &End) {
        self.send(&Event::AgentExited { agent, id: id.to_string(), end });
    }

    pub fn error(&mut self, message: &str) {
        self.send(&Event::Error { message });
    }

    /// A line for people, between those of the kernel's log.
    pub fn log(&mut self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    fn send(&mut self, event: &Event<'_>) {
        self.write(&line(event));
    }

    fn write(&mut self, line: &str) {
        // In one write, so that no line of the kernel's log comes between.
        let sent = self.port.as_mut().is_some_and(|port| port.write_all(line.as_bytes()).is_ok());
        if !sent {
            eprint!("{line}");
        }
    }
}

fn line(event: &Event<'_>) -> String {
    // Texts and integers always have a JSON form.
    let json = serde_json::to_string(event).unwrap_or_else(|_| "{\"event\":\"error\"}".into());
    format!("@aios {json}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The host reads exactly these.
    #[test]
    fn lines_have_the_form_that_the_host_reads() {
        let id = AgentId::new(1, 1).to_string();
        assert_eq!(
            line(&Event::AgentSpawned { agent: "digest", id: id.clone() }),
            "@aios {\"event\":\"agent-spawned\",\"agent\":\"digest\",\"id\":\"1.1\"}\n"
        );
        let end = End { status: "exited", code: Some(0), ..End::default() };
        assert_eq!(
            line(&Event::AgentExited { agent: "digest", id: id.clone(), end: &end }),
            "@aios {\"event\":\"agent-exited\",\"agent\":\"digest\",\"id\":\"1.1\",\"status\":\"exited\",\"code\":0}\n"
        );
        let scene = Scene {
            signal: 11,
            reason: "null".into(),
            thread: 2,
            processes: 1,
            threads: 3,
            registers: vec![("rax", "0x0".into())],
            maps: vec!["0-1 r".into()],
            more_maps: None,
        };
        assert_eq!(
            line(&Event::AgentFrozen { agent: "x", id: id.clone(), scene: &scene }),
            "@aios {\"event\":\"agent-frozen\",\"agent\":\"x\",\"id\":\"1.1\",\"signal\":11,\"reason\":\"null\",\
             \"thread\":2,\"processes\":1,\"threads\":3,\"registers\":[[\"rax\",\"0x0\"]]}\n"
        );
        assert_eq!(
            line(&Event::AgentMap { agent: "x", maps: &scene.maps }),
            "@aios {\"event\":\"agent-map\",\"agent\":\"x\",\"maps\":[\"0-1 r\"]}\n"
        );
        let end = End { status: "killed", signal: Some(11), reason: Some("x\ny".into()), ..End::default() };
        let again = End { restarts: Some(2), ..end.clone() };
        assert_eq!(
            line(&Event::AgentRestarting { agent: "x", id: id.clone(), end: &again, wait_ms: 200 }),
            "@aios {\"event\":\"agent-restarting\",\"agent\":\"x\",\"id\":\"1.1\",\"status\":\"killed\",\
             \"signal\":11,\"reason\":\"x\\ny\",\"restarts\":2,\"wait_ms\":200}\n"
        );
        assert_eq!(
            line(&Event::AgentExited { agent: "x", id, end: &end }),
            "@aios {\"event\":\"agent-exited\",\"agent\":\"x\",\"id\":\"1.1\",\"status\":\"killed\",\"signal\":11,\"reason\":\"x\\ny\"}\n"
        );
        assert_eq!(
            line(&Event::Error { message: "no \"x\"" }),
            "@aios {\"event\":\"error\",\"message\":\"no \\\"x\\\"\"}\n"
        );
    }
}
