//! Sessions and their terminals: what terminals ask about processes.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use aios_abi::linux::consts::signal::{SIGCONT, SIGHUP};
use kernel_fs::tty::{self, Caller, JobControl, Session, Tty};
use kernel_sync::SpinLock;

use crate::{Pids, Process, Thread, signal};

struct Jobs;

/// Agents that have processes, by identity.
static AGENTS: SpinLock<BTreeMap<u64, Weak<Pids>>> = SpinLock::new(BTreeMap::new());
/// The controlling terminals of sessions.
static TERMINALS: SpinLock<BTreeMap<(u64, u32), Arc<Tty>>> = SpinLock::new(BTreeMap::new());

/// Lets terminals ask. Called once at start-up.
pub fn init() {
    tty::set_job_control(&Jobs);
}

pub(crate) fn add_agent(pids: &Arc<Pids>) {
    AGENTS.lock().insert(pids.domain().id().raw(), Arc::downgrade(pids));
}

pub(crate) fn remove_agent(agent: u64) {
    AGENTS.lock().remove(&agent);
}

/// All agents.
pub(crate) fn agents() -> Vec<Arc<Pids>> {
    AGENTS.lock().values().filter_map(Weak::upgrade).collect()
}

fn session(process: &Process) -> Session {
    Session { agent: process.domain().id().raw(), number: process.session() }
}

/// The controlling terminal of a process.
pub fn terminal_of(process: &Process) -> Option<Arc<Tty>> {
    let session = session(process);
    TERMINALS.lock().get(&(session.agent, session.number)).cloned()
}

/// Makes `terminal` the controlling terminal of a process that leads its session, as `login` would.
pub fn give_terminal(process: &Process, terminal: &Arc<Tty>) {
    let session = session(process);
    terminal.give_to(session, process.group());
    let before = TERMINALS.lock().insert((session.agent, session.number), terminal.clone());
    drop(before);
}

/// The leader of a session has ended: its terminal is free, and who was in the foreground hears of it.
pub(crate) fn leader_ended(process: &Process) {
    let session = session(process);
    if session.number != process.pid() {
        return;
    }
    let terminal = TERMINALS.lock().remove(&(session.agent, session.number));
    if let Some(group) = terminal.and_then(|terminal| terminal.release_session(session)) {
        Jobs.signal_group(session, group, SIGHUP);
        Jobs.signal_group(session, group, SIGCONT);
    }
}

impl JobControl for Jobs {
    fn caller(&self) -> Option<Caller> {
        let thread = Thread::current()?;
        let process = thread.process();
        let session = session(process);
        Some(Caller { group: process.group(), session, is_leader: session.number == process.pid() })
    }

    fn is_ignored(&self, number: u32) -> bool {
        Thread::current().is_some_and(|thread| signal::is_ignored_or_blocked(&thread, number))
    }

    fn is_orphaned(&self, group: u32) -> bool {
        let Some(thread) = Thread::current() else { return false };
        // A group is orphaned when no member's parent is in another group of the same session.
        !thread.process().pids().group(group).iter().any(|member| {
            member.parent().is_some_and(|parent| parent.group() != group && parent.session() == member.session())
        })
    }

    fn session_of(&self, group: u32) -> Option<Session> {
        let thread = Thread::current()?;
        thread.process().pids().group(group).first().map(|member| session(member))
    }

    fn signal_group(&self, session: Session, group: u32, number: u32) {
        let pids = AGENTS.lock().get(&session.agent).and_then(Weak::upgrade);
        if let Some(pids) = pids {
            for member in pids.group(group) {
                signal::send_from_terminal(&member, number);
            }
        }
    }

    fn terminal(&self) -> Option<Arc<Tty>> {
        Thread::current().and_then(|thread| terminal_of(thread.process()))
    }

    fn set_terminal(&self, terminal: Option<Arc<Tty>>) {
        let Some(thread) = Thread::current() else { return };
        let session = session(thread.process());
        let key = (session.agent, session.number);
        let before = match terminal {
            Some(terminal) => TERMINALS.lock().insert(key, terminal),
            None => TERMINALS.lock().remove(&key),
        };
        drop(before);
    }
}
