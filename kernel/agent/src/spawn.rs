//! Spawn: a new agent from an image, all or nothing.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use aios_abi::Errno;
use aios_abi::linux::consts::open;
use aios_abi::native::AgentId;
use kernel_cap::{Domain, Limits, Rights};
use kernel_fs::tty::Tty;
use kernel_fs::vfs::{OpenHow, WalkFlags};
use kernel_fs::{Context, Credentials, File, Namespace, Path, device};
use kernel_process::{Files, Pids, Place, View, exec, jobs};

use crate::state::Event;
use crate::{Agent, Failure, image, memory, table};

/// A directory of the spawner that the new agent sees.
pub struct Bind {
    pub source: Path,
    /// Absolute, in the new agent.
    pub target: Vec<u8>,
    pub read_only: bool,
}

/// What to make.
pub struct SpawnRequest {
    pub name: String,
    /// The image's root directory.
    pub image: Path,
    pub binds: Vec<Bind>,
    pub argv: Vec<Vec<u8>>,
    /// `KEY=value` each.
    pub env: Vec<Vec<u8>>,
    /// Absolute, in the new agent; empty is `/`.
    pub cwd: Vec<u8>,
    /// Descriptors 0, 1 and 2.
    pub stdio: [Option<Arc<File>>; 3],
    /// The terminal that controls the session of the first process. `None` for that of descriptor 0, if it is one.
    pub terminal: Option<Arc<File>>,
    pub limits: Limits,
    /// A fault that no process handles stops the agent.
    pub freeze_on_fault: bool,
    /// What the new agent may do: only what the spawner may do too comes to it.
    pub rights: Rights,
}

/// A directory search goes where the environment says, or here.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes an agent and starts its first process.
pub fn spawn(parent: &Arc<Agent>, request: SpawnRequest) -> Result<AgentId, Failure> {
    parent.domain().check(Rights::SPAWN, "spawning an agent")?;
    let id = table::reserve()?;
    let limit = request.limits.frames;
    let made = make(id, parent, request).map_err(|failure| failure.within(limit));
    if let Err(failure) = &made {
        log::warn!("agent {id}: spawn failed: {}", failure.text);
        table::release(id);
    }
    made.map(|()| id)
}

fn make(id: AgentId, parent: &Arc<Agent>, request: SpawnRequest) -> Result<(), Failure> {
    let limits = memory::within_machine(request.limits);
    let domain = Domain::new(id, request.name, request.rights, limits, Some(parent.domain()))?;
    let pids = Pids::new(domain.clone());
    let namespace = image::namespace(&request.image, &request.binds, &domain, &pids)?;
    let agent = Agent::new(Some(parent.id()), domain, pids, namespace.clone())?;
    if request.freeze_on_fault {
        agent.freeze_on_fault();
    }
    let terminal = match &request.terminal {
        Some(file) => Some(terminal_behind(file).ok_or(Errno::ENOTTY)?),
        None => request.stdio[0].as_deref().and_then(terminal_behind),
    };
    let start = Start { cwd: request.cwd, argv: request.argv, env: request.env, stdio: request.stdio, terminal };
    start_first(&agent, &namespace, start)
}

struct Start {
    cwd: Vec<u8>,
    argv: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    stdio: [Option<Arc<File>>; 3],
    /// What controls the first process's session.
    terminal: Option<Arc<Tty>>,
}

/// The terminal that an open file is.
fn terminal_behind(file: &File) -> Option<Arc<Tty>> {
    let ops: Arc<dyn Any + Send + Sync> = file.ops().clone();
    ops.downcast().ok()
}

/// The same terminal, opened in the agent's own `/dev`: `ttyname` looks there for what descriptor 0 is. Any other file, and a
/// terminal without a device there, stays as it is.
fn at_home(context: &Context<'_>, file: Arc<File>) -> Result<Arc<File>, Errno> {
    if terminal_behind(&file).is_none() {
        return Ok(file);
    }
    let number = file.metadata()?.special;
    let Some(device) = device::registered().into_iter().find(|device| device.number == number) else { return Ok(file) };
    let path = [b"/dev/", device.name.as_bytes()].concat();
    // The caller's session must not get hold of it.
    let flags = file.flags() | open::O_NOCTTY;
    context.open(None, &path, OpenHow::flags(flags))
}

/// Standard streams as the agent has them. Those that were one open file stay one.
fn streams(context: &Context<'_>, given: [Option<Arc<File>>; 3]) -> Result<[Option<Arc<File>>; 3], Errno> {
    let mut made: [Option<Arc<File>>; 3] = [None, None, None];
    for (number, file) in given.iter().enumerate() {
        let Some(file) = file else { continue };
        let twin = given
            .iter()
            .zip(&made)
            .find_map(|(other, made)| other.as_ref().filter(|other| Arc::ptr_eq(other, file)).and(made.clone()));
        let opened = match twin {
            Some(twin) => twin,
            None => at_home(context, file.clone())?,
        };
        if let Some(place) = made.get_mut(number) {
            *place = Some(opened);
        }
    }
    Ok(made)
}

fn start_first(agent: &Arc<Agent>, namespace: &Arc<Namespace>, start: Start) -> Result<(), Failure> {
    let root = namespace.cross(namespace.root());
    let credentials = Credentials::root();
    let context = Context { namespace, root: &root, cwd: &root, credentials: &credentials, umask: 0o022 };
    let cwd = if start.cwd.is_empty() {
        root.clone()
    } else {
        context
            .walk(None, &start.cwd, WalkFlags { directory: true, ..WalkFlags::FOLLOW })
            .map_err(|error| Failure::directory(&context, "the working directory", &start.cwd, error))?
    };
    let context = Context { cwd: &cwd, ..context };
    let program = find_program(&context, &start.argv, &start.env)?;
    let files = Files::new(agent.domain());
    for (number, file) in streams(&context, start.stdio)?.into_iter().enumerate() {
        if let Some(file) = file {
            files.put(file, number as i32, u64::MAX, false)?;
        }
    }
    let place = Place::new(View { namespace: namespace.clone(), root: root.clone(), cwd: cwd.clone(), umask: 0o022 });
    // Weak: the agent owns the numbers, and the hook hangs on them.
    let weak = Arc::downgrade(agent);
    agent.pids().on_end(alloc::boxed::Box::new(move |reason| {
        if let Some(agent) = weak.upgrade() {
            agent.first_process_ended(reason);
        }
    }));
    let first = exec::spawn_first(agent.pids(), files, place, Credentials::root(), &program, start.argv, start.env)
        .map_err(|refusal| Failure::program(&context, &program, refusal))?;
    agent.advance(Event::Start)?;
    table::publish(agent.clone());
    if let Some(terminal) = start.terminal {
        jobs::give_terminal(&first, &terminal);
    }
    exec::start_first(&first);
    Ok(())
}

/// Finds the program of `argv[0]`: as it is when it has a slash, else in the directories of `PATH`.
fn find_program(context: &Context<'_>, argv: &[Vec<u8>], env: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
    let name = argv.first().filter(|name| !name.is_empty()).ok_or(Errno::EINVAL)?;
    if name.contains(&b'/') {
        return Ok(name.clone());
    }
    let path = env.iter().find_map(|entry| entry.strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
    let mut denied = None;
    for directory in path.split(|byte| *byte == b':') {
        let mut candidate = if directory.is_empty() { b".".to_vec() } else { directory.to_vec() };
        candidate.push(b'/');
        candidate.extend_from_slice(name);
        match executable(context, &candidate) {
            Ok(()) => return Ok(candidate),
            Err(Errno::EACCES) => denied = denied.or(Some(candidate)),
            Err(_) => {}
        }
    }
    Err(match denied {
        Some(program) => Failure::program(context, &program, Errno::EACCES.into()),
        None => Failure::nowhere(name, path),
    })
}

fn executable(context: &Context<'_>, path: &[u8]) -> Result<(), Errno> {
    let found = context.walk(None, path, WalkFlags::FOLLOW)?;
    let metadata = found.inode().metadata()?;
    if metadata.kind != kernel_fs::FileType::Regular {
        return Err(Errno::EACCES);
    }
    context.credentials.check(metadata.kind, metadata.ownership(), kernel_fs::credentials::MAY_EXECUTE)
}

/// Makes the first agent, which has all rights, from the file tree the machine was started with. Its first process is
/// `program`, its standard descriptors are `console`, a path in that tree.
pub fn spawn_system(
    namespace: &Arc<Namespace>,
    program: &[u8],
    console: &[u8],
    env: Vec<Vec<u8>>,
) -> Result<Arc<Agent>, Failure> {
    let id = table::reserve()?;
    let domain = Domain::new(id, String::from("system"), Rights::all(), Limits::NONE, None)?;
    let pids = Pids::new(domain.clone());
    let agent = Agent::new(None, domain, pids, namespace.clone())?;
    let root = namespace.cross(namespace.root());
    let credentials = Credentials::root();
    let context = Context { namespace, root: &root, cwd: &root, credentials: &credentials, umask: 0o022 };
    let console = match context.open(None, console, OpenHow::flags(open::O_RDWR)) {
        Ok(file) => Some(file),
        Err(error) => {
            log::warn!("the first program starts without a console: {error}");
            None
        }
    };
    let stdio = [console.clone(), console.clone(), console];
    let start = Start { cwd: Vec::new(), argv: alloc::vec![program.to_vec()], env, stdio, terminal: None };
    start_first(&agent, namespace, start)?;
    Ok(agent)
}
