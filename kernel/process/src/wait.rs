//! Waiting for children (`wait4(2)`, `waitid(2)`).

use alloc::sync::Arc;

use aios_abi::Errno;
use kernel_sync::Interrupted;

use crate::exit::{ExitStatus, reap};
use crate::process::{State, StopEvent, Usage};
use crate::{Pid, Process};

/// Which children.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    Any,
    Process(Pid),
    Group(Pid),
}

/// What to wait for, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WaitFor {
    pub exited: bool,
    pub stopped: bool,
    pub continued: bool,
    /// Return at once when nothing has happened (`WNOHANG`).
    pub no_hang: bool,
    /// Leave the child as it is, to be waited for again (`WNOWAIT`).
    pub no_reap: bool,
    /// Children of either kind (`__WALL`), or only those that do not send `SIGCHLD` (`__WCLONE`).
    pub all: bool,
    pub clones: bool,
}

/// What happened to a child.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Exited(ExitStatus),
    Stop(StopEvent),
}

/// A child that something happened to.
pub struct Waited {
    pub pid: Pid,
    pub uid: u32,
    pub event: Event,
    pub usage: Usage,
}

/// Waits for a child. `ECHILD` when there is none to wait for; `None` with `no_hang` when nothing has happened.
pub fn wait(parent: &Arc<Process>, which: Which, wanted: WaitFor) -> Result<Option<Waited>, Errno> {
    let outcome = parent.child_events.wait_until(|| match look(parent, which, wanted) {
        Ok(Some(waited)) => Some(Ok(Some(waited))),
        Ok(None) if wanted.no_hang => Some(Ok(None)),
        Ok(None) => None,
        Err(error) => Some(Err(error)),
    });
    match outcome {
        Ok(result) => result,
        Err(Interrupted) => Err(Errno::ERESTARTSYS),
    }
}

fn look(parent: &Arc<Process>, which: Which, wanted: WaitFor) -> Result<Option<Waited>, Errno> {
    let mut candidates = false;
    for child in parent.children() {
        let matches = match which {
            Which::Any => true,
            Which::Process(pid) => child.pid() == pid,
            Which::Group(group) => child.group() == group,
        };
        let sends_sigchld =
            child.exit_signal.load(core::sync::atomic::Ordering::Relaxed) == aios_abi::linux::consts::signal::SIGCHLD;
        if !matches || !wanted.all && sends_sigchld == wanted.clones {
            continue;
        }
        // The dead have nothing to report but their end.
        let dead = matches!(child.state(), State::Zombie(_) | State::Reaped);
        candidates |= wanted.exited || !dead;
        if let Some(event) = happened(&child, wanted) {
            let mut usage = child.usage();
            usage.add(child.children_usage());
            let uid = child.credentials().map_or(0, |who| who.uid);
            let waited = Waited { pid: child.pid(), uid, event, usage };
            if matches!(event, Event::Exited(_)) && !wanted.no_reap {
                reap(&child);
            }
            return Ok(Some(waited));
        }
    }
    if candidates { Ok(None) } else { Err(Errno::ECHILD) }
}

fn happened(child: &Arc<Process>, wanted: WaitFor) -> Option<Event> {
    if wanted.exited {
        // Taken under the state's lock, so that of two waiting threads one gets it.
        let mut state = child.state.lock();
        if let State::Zombie(reason) = *state {
            if !wanted.no_reap {
                *state = State::Reaped;
            }
            return Some(Event::Exited(reason.status));
        }
    }
    let mut reported = child.reported.lock();
    let event = (*reported)?;
    let asked = match event {
        StopEvent::Stopped(_) => wanted.stopped,
        StopEvent::Continued => wanted.continued,
    };
    if !asked {
        return None;
    }
    if !wanted.no_reap {
        *reported = None;
    }
    Some(Event::Stop(event))
}
