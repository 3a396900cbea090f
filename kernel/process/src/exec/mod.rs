//! Starting programs (`execve(2)`): `#!` scripts, ELF files, their interpreters, the vDSO, the first stack.
//!
//! A program is loaded into a new address space while the old one still runs, so whatever is wrong with it is an error
//! of the call. Only then does the process change ([`replace`]), and from there on nothing can fail but the ending of
//! its other threads.

mod elf;
mod load;
mod replace;
mod script;
mod stack;
mod strings;
#[cfg(test)]
mod tests;
mod vdso;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use aios_abi::Errno;
use aios_abi::linux::consts::persona::ADDR_NO_RANDOMIZE;
use aios_abi::linux::consts::resource::RLIMIT_STACK;
use kernel_fs::vfs::WalkFlags;
use kernel_fs::{Context, Credentials, File, Path};
use kernel_hal::addr::Virt;
use kernel_hal::task::UserState;
use kernel_hal::user::UserContext;
use kernel_mm::{Account, AddressSpace, Headroom, charge_kernel_bytes, gate};

use crate::fork::{PROCESS_BYTES, THREAD_BYTES, kernel_thread};
use crate::process::{self, Process};
use crate::signal::{Handlers, ThreadSignals};
use crate::thread::{self, Thread};
use crate::{Files, Pids, Place, ResourceLimits};
use load::{Loaded, Start};
use script::HEAD;

pub use elf::{HEADER, Header, Image};
pub use strings::{Budget, Strings, copy_in};
pub use vdso::{install_vdso, update_vdso};

/// Files that may be opened one for another, the last of them a program (Linux's limit in `exec_binprm`).
const MAX_SCRIPTS: usize = 5;

static RANDOMIZE: AtomicBool = AtomicBool::new(true);

/// Whether programs are put at random addresses, unless their personality says no.
pub fn set_randomize(on: bool) {
    RANDOMIZE.store(on, Ordering::Relaxed);
}

/// Whether they are.
pub fn is_random() -> bool {
    RANDOMIZE.load(Ordering::Relaxed)
}

/// Which program.
#[derive(Clone, Copy)]
pub struct Program<'a> {
    /// Where a relative path begins; the working directory for `None`.
    pub start: Option<&'a Path>,
    pub path: &'a [u8],
    pub flags: WalkFlags,
    /// What the program and, for a script, its interpreter are told as its name.
    pub name: &'a [u8],
    /// The name leads nowhere in the new program, so a script cannot be run by it: `ENOENT`.
    pub unreachable: bool,
}

impl<'a> Program<'a> {
    /// The program with that path.
    pub fn at(path: &'a [u8]) -> Program<'a> {
        Program { start: None, path, flags: WalkFlags::FOLLOW, name: path, unreachable: false }
    }
}

/// Why a program cannot be started, and by which of its files. `execve(2)` tells the error alone.
#[derive(Debug)]
pub struct Refusal {
    pub error: Errno,
    /// The interpreter that is to blame; the program itself is, or no file at all, where there is none.
    pub interpreter: Option<Interpreter>,
}

/// What runs a program: the one of a script's first line, or the one of an ELF file's `PT_INTERP`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interpreter {
    pub path: Vec<u8>,
    /// The file that asks for it.
    pub of: Vec<u8>,
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Refusal {
        Refusal { error, interpreter: None }
    }
}

impl Refusal {
    fn of_interpreter(error: Errno, path: &[u8], of: &[u8]) -> Refusal {
        Refusal { error, interpreter: Some(Interpreter { path: path.to_vec(), of: of.to_vec() }) }
    }
}

/// An open program file that is no script, with the arguments it gets.
struct Resolved {
    file: Arc<File>,
    head: [u8; HEAD],
    len: usize,
    arguments: Strings,
    /// Where it was found when a script led to it.
    interpreter: Option<Interpreter>,
}

/// Opens a program; while that is a script, opens what runs it and puts that before the arguments.
fn resolve(context: &Context<'_>, program: &Program<'_>, mut arguments: Strings) -> Result<Resolved, Refusal> {
    let mut file = context.open_program(program.start, program.path, program.flags)?;
    let mut interpreter: Option<Interpreter> = None;
    for _ in 0..=MAX_SCRIPTS {
        let mut head = [0; HEAD];
        let len = file.read_bytes(0, &mut head)?;
        let Some(line) = script::parse(head.get(..len).unwrap_or_default()) else {
            return Ok(Resolved { file, head, len, arguments, interpreter });
        };
        let line = line.map_err(|error| Refusal { error, interpreter: interpreter.clone() })?;
        if program.unreachable {
            return Err(Errno::ENOENT.into());
        }
        let script = interpreter.as_ref().map_or(program.name, |interpreter| &interpreter.path);
        arguments.replace_first([Some(line.interpreter), line.argument, Some(script)].into_iter().flatten())?;
        let opened = context.open_program(None, line.interpreter, WalkFlags::FOLLOW);
        file = opened.map_err(|error| Refusal::of_interpreter(error, line.interpreter, script))?;
        interpreter = Some(Interpreter { path: line.interpreter.to_vec(), of: script.to_vec() });
    }
    Err(Errno::ELOOP.into())
}

/// What a new program is made of, wherever it is to run.
struct Ingredients<'a> {
    program: &'a Program<'a>,
    arguments: Strings,
    environment: &'a Strings,
    limits: &'a ResourceLimits,
    account: &'a Arc<Account>,
    randomize: bool,
}

fn prepare(context: &Context<'_>, ingredients: Ingredients<'_>) -> Result<Loaded, Refusal> {
    let Ingredients { program, mut arguments, environment, limits, account, randomize } = ingredients;
    // A program may count on having a name; Linux gives it an empty one.
    if arguments.count() == 0 {
        arguments.push(b"")?;
    }
    let resolved = resolve(context, program, arguments)?;
    let start = Start {
        file: resolved.file,
        head: resolved.head.get(..resolved.len).unwrap_or_default(),
        name: program.name,
        path: resolved.interpreter.as_ref().map_or(program.name, |interpreter| &interpreter.path),
        arguments: &resolved.arguments,
        environment,
        credentials: context.credentials,
        limits,
        randomize: randomize && RANDOMIZE.load(Ordering::Relaxed),
    };
    let open = |name: &[u8]| context.open_program(None, name, WalkFlags::FOLLOW);
    load::load(AddressSpace::new(account)?, start, open)
        .map_err(|refusal| Refusal { interpreter: refusal.interpreter.or(resolved.interpreter), ..refusal })
}

/// The name a process gets: the last part of the program's.
fn short_name(name: &[u8]) -> &[u8] {
    name.rsplit(|byte| *byte == b'/').next().unwrap_or(name)
}

/// What arguments and environment of a program that this process starts may take together.
pub fn budget(process: &Process) -> Budget {
    Budget::new(process.limits.current(RLIMIT_STACK))
}

/// Makes the calling thread's process run another program, and `context` its first registers. An error leaves
/// everything as it was. Errors are those of `execve(2)`; also `EAGAIN` when another thread does the same.
pub fn exec(
    thread: &Arc<Thread>,
    context: &mut UserContext,
    program: &Program<'_>,
    arguments: Strings,
    environment: &Strings,
) -> Result<(), Errno> {
    gate()?;
    let process = thread.process();
    // The strings are in kernel memory twice while the first stack is built.
    let strings = arguments.bytes().len() + environment.bytes().len();
    let _charge = charge_kernel_bytes(process.domain().memory(), 2 * strings)?;
    let ingredients = Ingredients {
        program,
        arguments,
        environment,
        limits: &process.limits,
        account: process.domain().memory(),
        randomize: process.persona.load(Ordering::Relaxed) & ADDR_NO_RANDOMIZE == 0,
    };
    let loaded = thread.in_files(|files| prepare(files, ingredients)).map_err(|refusal| refusal.error)?;
    replace::replace(thread, context, loaded, short_name(program.name))
}

/// Makes process 1 of an agent, which [`start_first`] starts. Called by a kernel thread; errors are those of
/// `execve(2)`, and `EAGAIN` when the agent may have no thread.
pub fn spawn_first(
    pids: &Arc<Pids>,
    files: Arc<Files>,
    place: Arc<Place>,
    credentials: Credentials,
    path: &[u8],
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
) -> Result<Arc<Process>, Refusal> {
    gate()?;
    let domain = pids.domain();
    let hold = domain.threads().take(1)?;
    let charge = charge_kernel_bytes(domain.memory(), THREAD_BYTES)?;
    let headroom = Headroom::new()?;
    let process_charge = charge_kernel_bytes(domain.memory(), PROCESS_BYTES)?;
    let limits = ResourceLimits::initial();
    let view = place.view();
    let context = Context {
        namespace: &view.namespace,
        root: &view.root,
        cwd: &view.cwd,
        credentials: &credentials,
        umask: view.umask,
    };
    let ingredients = Ingredients {
        program: &Program::at(path),
        arguments: Strings::from_slices(arguments.iter().map(Vec::as_slice))?,
        environment: &Strings::from_slices(environment.iter().map(Vec::as_slice))?,
        limits: &limits,
        account: domain.memory(),
        randomize: true,
    };
    let loaded = prepare(&context, ingredients)?;
    let pid = pids.allocate()?;
    let process = Process::new(process::Parts {
        pid,
        pids: pids.clone(),
        parent: Weak::new(),
        group: pid,
        session: pid,
        exit_signal: 0,
        space: loaded.space.clone(),
        handlers: Handlers::new(),
        limits,
        executable: Some(loaded.file),
        layout: loaded.layout,
        charge: process_charge,
    });
    process.executed.store(true, Ordering::Relaxed);
    let thread = Thread::new(thread::Parts {
        tid: pid,
        process: process.clone(),
        name: [0; 16],
        files,
        place,
        credentials: Arc::new(credentials),
        signals: ThreadSignals::default(),
        clear_tid: 0,
        hold,
        charge,
        headroom,
    });
    thread.set_name(short_name(path));
    let registers = UserContext::new(Virt(loaded.entry), Virt(loaded.pointer));
    let params = process::first_params(domain);
    match kernel_thread(&thread, registers, UserState::default(), &loaded.space, params) {
        Ok(kernel) => thread.set_kernel(kernel),
        Err(error) => {
            pids.retire_thread(pid);
            return Err(error.into());
        }
    }
    let _tree = pids.tree();
    pids.publish(&thread);
    process.threads.lock().push(thread);
    pids.publish_process(&process);
    Ok(process)
}

/// Lets the program run.
pub fn start_first(process: &Process) {
    for thread in process.threads() {
        if let Some(kernel) = thread.kernel() {
            kernel.start();
        }
    }
}
