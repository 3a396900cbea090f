//! The agent from its first start to its last end, with what its fault policy asks for in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use aios_abi::Errno;
use aios_abi::native::agent::{AgentExitRecord, AgentId, AgentState, ExitKind};
use aios_manifest::{FaultPolicy, Manifest};

use crate::cmdline::Cmdline;
use crate::control::Control;
use crate::error::Error;
use crate::report::End;
use crate::restart::{Advice, Backoff};
use crate::streams::Streams;
use crate::{frozen, native, reap, spawn};

/// How it ended at last.
pub struct Last {
    pub id: AgentId,
    pub end: End,
}

/// The agent that runs now, for those who want something of it.
pub struct Lives {
    name: String,
    /// 0 while there is none.
    id: AtomicU64,
}

impl Lives {
    pub fn of(manifest: &Manifest) -> Arc<Lives> {
        Arc::new(Lives { name: manifest.name.clone(), id: AtomicU64::new(0) })
    }

    fn set(&self, id: AgentId) {
        self.id.store(id.raw(), Ordering::Relaxed);
    }

    /// Stops it, or lets it go on, and tells the host.
    pub fn set_frozen(&self, frozen: bool) {
        let Some(id) = AgentId::from_raw(self.id.load(Ordering::Relaxed)) else { return };
        let mut control = Control::open();
        // What it had used when it went on, or has used now that it stopped.
        let before = native::info(id);
        let done = if frozen { native::freeze(id) } else { native::thaw(id) };
        let told = match (done, before) {
            (Ok(()), before) => {
                if frozen {
                    native::info(id)
                } else {
                    before
                }
            }
            // It was so before.
            (Err(Errno::EBUSY), Ok(before)) if (AgentState::from_u32(before.state) == AgentState::Frozen) == frozen => {
                Ok(before)
            }
            (Err(errno), _) => Err(errno),
        };
        match told {
            Ok(info) => control.state(&self.name, id, frozen, info.cpu_ns),
            Err(errno) => {
                let what = if frozen { "frozen" } else { "thawed" };
                control.log(&format!("aios: agent {} cannot be {what}: {errno}", self.name));
            }
        }
    }
}

/// Spawns the agent and stays with it.
pub fn live(manifest: &Manifest, cmdline: &Cmdline, streams: &mut Streams, lives: &Lives) -> Result<Last, Error> {
    let mut advice = match manifest.fault {
        FaultPolicy::Restart(rule) => Some(Backoff::new(rule)),
        FaultPolicy::Kill | FaultPolicy::Freeze => None,
    };
    let mut restarts = 0;
    loop {
        let id = spawn::spawn(manifest, cmdline, streams, restarts)?;
        lives.set(id);
        if advice.is_none() {
            streams.hand_over();
        }
        Control::open().spawned(&manifest.name, id);
        let record = attend(manifest, cmdline, id)?;
        let end = End { restarts: Some(restarts).filter(|restarts| *restarts > 0), ..End::of(&record) };
        let wait = match &mut advice {
            Some(advice) if ExitKind::from_u32(record.kind) == ExitKind::Faulted => {
                advice.after(Duration::from_nanos(record.wall_ns))
            }
            _ => None,
        };
        let Some(wait) = wait else {
            streams.hand_over();
            return Ok(Last { id, end });
        };
        restarts += 1;
        Control::open().restarting(&manifest.name, id, &end, restarts, wait);
        reap();
        thread::sleep(wait);
    }
}

/// Waits for the end of one life. An agent that its policy froze is shown, and ended, unless it is to be kept.
fn attend(manifest: &Manifest, cmdline: &Cmdline, id: AgentId) -> Result<AgentExitRecord, Error> {
    let failed = |what: &str| {
        let what = format!("cannot {what} agent {id}");
        move |errno| Error::new(format!("{what}: {errno}"))
    };
    loop {
        let record = native::wait(id).map_err(failed("wait for"))?;
        if ExitKind::from_u32(record.kind) != ExitKind::Frozen {
            return Ok(record);
        }
        let scene = frozen::look(id, &record).map_err(failed("look at"))?;
        Control::open().frozen(&manifest.name, id, &scene);
        if !cmdline.keep {
            native::kill(id).map_err(failed("end"))?;
        }
    }
}
