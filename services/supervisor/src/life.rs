//! The agent from its first start to its last end, with what its fault policy asks for in between.

use std::thread;
use std::time::Duration;

use aios_abi::native::agent::{AgentExitRecord, AgentId, ExitKind};
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

/// Spawns the agent and stays with it.
pub fn live(manifest: &Manifest, cmdline: &Cmdline, streams: &mut Streams) -> Result<Last, Error> {
    let mut advice = match manifest.fault {
        FaultPolicy::Restart(rule) => Some(Backoff::new(rule)),
        FaultPolicy::Kill | FaultPolicy::Freeze => None,
    };
    let mut restarts = 0;
    loop {
        let id = spawn::spawn(manifest, cmdline, streams, restarts)?;
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
