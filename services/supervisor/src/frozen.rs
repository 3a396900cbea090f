//! What there is to see of an agent that its fault policy stopped: reason, registers, memory map.

use std::fs;
use std::path::Path;

use aios_abi::Errno;
use aios_abi::native::agent::{AgentExitRecord, AgentId, field_text};
use serde::Serialize;

use crate::{mounts, native};

/// Most lines of a memory map that are told, and most characters of one.
const MAX_MAPS: usize = 512;
const MAX_LINE: usize = 200;

/// A stopped agent, for the host.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scene {
    pub signal: u32,
    pub reason: String,
    /// The thread that did it.
    pub thread: u32,
    /// How many there are.
    pub processes: u32,
    pub threads: u32,
    /// That thread's, by name.
    pub registers: Vec<(&'static str, String)>,
    /// Of its process, as `/proc/PID/maps` has it. Told before all else, in pieces.
    #[serde(skip)]
    pub maps: Vec<String>,
    /// Lines of it that are not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_maps: Option<usize>,
}

/// Looks at agent `id`, whose stop `record` told of.
pub fn look(id: AgentId, record: &AgentExitRecord) -> Result<Scene, Errno> {
    let info = native::info(id)?;
    let maps = read(id, &format!("{}/maps", info.fault_thread));
    let lines: Vec<&str> = maps.lines().collect();
    Ok(Scene {
        signal: info.fault_signal,
        reason: field_text(&record.reason).to_owned(),
        thread: info.fault_thread,
        processes: info.processes,
        threads: info.threads,
        registers: info.registers.named().map(|(name, value)| (name, format!("{value:#x}"))).to_vec(),
        maps: lines.iter().take(MAX_MAPS).map(|line| line.chars().take(MAX_LINE).collect()).collect(),
        more_maps: lines.len().checked_sub(MAX_MAPS).filter(|more| *more > 0),
    })
}

/// A file of the agent's `/proc`; why not, where it cannot be read: the rest is worth telling.
fn read(id: AgentId, path: &str) -> String {
    match mounts::processes_of(id) {
        Ok(mounted) => fs::read_to_string(Path::new(mounts::PROCESSES).join(path))
            .inspect(|_| drop(mounted))
            .unwrap_or_else(|error| format!("cannot read {path}: {error}")),
        Err(error) => error.to_string(),
    }
}
