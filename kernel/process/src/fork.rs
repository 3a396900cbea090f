//! Making processes and threads (`fork`, `vfork`, `clone`, `clone3`).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use aios_abi::Errno;
use aios_abi::linux::consts::clone as flag;
use kernel_hal::addr::Virt;
use kernel_hal::task::{self, UserState};
use kernel_hal::user::UserContext;
use kernel_hal::usermem;
use kernel_mm::{AddressSpace, Headroom, charge_kernel_bytes, gate_for_bytes};
use kernel_sync::WaitQueue;

use crate::process::{self, Process};
use crate::thread::{self, Thread};
use crate::{Pid, run};

/// What a thread costs in kernel memory: stack, extended registers, the objects themselves, room for its calls.
pub(crate) const THREAD_BYTES: usize = (24 << 10) + Headroom::BYTES;
/// What a process costs besides its first thread.
pub(crate) const PROCESS_BYTES: usize = 4 << 10;

/// What `clone(2)` was asked for; the personality has checked which flags it knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct CloneRequest {
    /// `CLONE_*` without the signal.
    pub flags: u64,
    /// Sent to the parent when the child ends; 0 for none.
    pub exit_signal: u32,
    /// The child's stack pointer; 0 keeps the parent's.
    pub stack: u64,
    pub parent_tid: u64,
    pub child_tid: u64,
    pub tls: u64,
    /// Wanted number of the child; 0 for any.
    pub set_tid: Pid,
}

impl CloneRequest {
    pub(crate) fn has(&self, flags: u64) -> bool {
        self.flags & flags == flags
    }

    /// Combinations that make no sense (`clone(2)`, ERRORS): `EINVAL`.
    fn check(&self) -> Result<(), Errno> {
        let wrong = self.has(flag::CLONE_SIGHAND) && !self.has(flag::CLONE_VM)
            || self.has(flag::CLONE_THREAD) && !self.has(flag::CLONE_SIGHAND)
            || self.has(flag::CLONE_FS) && self.has(flag::CLONE_NEWNS)
            || self.has(flag::CLONE_CLEAR_SIGHAND) && self.has(flag::CLONE_SIGHAND)
            || self.exit_signal > 64;
        if wrong { Err(Errno::EINVAL) } else { Ok(()) }
    }
}

/// The child of a `vfork` has left its parent's memory.
#[derive(Default)]
pub(crate) struct VforkDone {
    done: AtomicBool,
    queue: WaitQueue,
}

impl VforkDone {
    pub(crate) fn finish(&self) {
        self.done.store(true, Ordering::Release);
        self.queue.wake_all();
    }

    /// Only the end of the waiting process cuts this short.
    fn wait(&self, parent: &Thread) {
        let _still = parent.process().pids().still();
        self.queue
            .wait_uninterruptible(|| (self.done.load(Ordering::Acquire) || !parent.process().is_alive()).then_some(()));
    }
}

/// Makes a thread, in this process or a new one, that returns 0 from the same call. Returns its number.
pub fn clone(parent: &Arc<Thread>, context: &UserContext, request: &CloneRequest) -> Result<Pid, Errno> {
    request.check()?;
    let reserves = parent.kernel().is_some_and(|kernel| matches!(kernel.class(), kernel_sched::Class::Deadline(_)));
    if reserves && !parent.reset_on_fork.load(Ordering::Relaxed) {
        // A reservation is one thread's.
        return Err(Errno::EAGAIN);
    }
    // Most of it is allocated in parts that cannot be refused.
    gate_for_bytes(THREAD_BYTES + PROCESS_BYTES)?;
    let old = parent.process();
    let space = old.space().ok_or(Errno::ESRCH)?;
    let account = old.domain().memory();
    let hold = old.domain().threads().take(1)?;
    let charge = charge_kernel_bytes(account, THREAD_BYTES)?;
    let headroom = Headroom::new()?;
    let files = if request.has(flag::CLONE_FILES) { parent.files() } else { parent.files().duplicate()? };
    let place = if request.has(flag::CLONE_FS) { parent.place() } else { parent.place().duplicate() };
    let tid = old.pids().allocate()?;
    // From here on the number must be given back when something fails.
    let made = (|| {
        let process =
            if request.has(flag::CLONE_THREAD) { old.clone() } else { new_process(old, &space, tid, request)? };
        let signals = parent.signals.lock().inherited(request.has(flag::CLONE_VM) && !request.has(flag::CLONE_VFORK));
        let thread = Thread::new(thread::Parts {
            tid,
            process: process.clone(),
            name: parent.name(),
            files,
            place,
            credentials: parent.credentials(),
            signals,
            clear_tid: if request.has(flag::CLONE_CHILD_CLEARTID) { request.child_tid } else { 0 },
            hold,
            charge,
            headroom,
        });
        if !request.has(flag::CLONE_VM) {
            thread.rseq.store(parent.rseq.load(Ordering::Relaxed), Ordering::Relaxed);
            thread.rseq_length.store(parent.rseq_length.load(Ordering::Relaxed), Ordering::Relaxed);
            thread.rseq_cpu.store(parent.rseq_cpu.load(Ordering::Relaxed), Ordering::Relaxed);
            thread.rseq_signature.store(parent.rseq_signature.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let mut child = context.clone();
        child.regs.rax = 0;
        child.set_full_return();
        if request.stack != 0 {
            child.regs.rsp = request.stack;
        }
        let mut user = task::user_state();
        if request.has(flag::CLONE_SETTLS) {
            if !Virt(request.tls).is_user() {
                return Err(Errno::EPERM);
            }
            user.fs_base = request.tls;
        }
        let child_space = process.space().ok_or(Errno::ESRCH)?;
        let params = child_params(parent, &thread);
        let kernel = kernel_thread(&thread, child, user, &child_space, params)?;
        Ok((process, thread, kernel))
    })();
    let (process, thread, kernel) = match made {
        Ok(made) => made,
        Err(error) => {
            old.pids().retire_thread(tid);
            return Err(error);
        }
    };
    if request.has(flag::CLONE_PARENT_SETTID) {
        // As on Linux, a bad address does not stop the child.
        let _ = usermem::store_u32(Virt(request.parent_tid), tid);
    }
    if request.has(flag::CLONE_CHILD_SETTID)
        && let Some(space) = process.space()
    {
        let _ = space.write_bytes(Virt(request.child_tid), &tid.to_ne_bytes());
    }
    let vfork = request.has(flag::CLONE_VFORK).then(Arc::<VforkDone>::default);
    thread.vfork.lock().clone_from(&vfork);
    join_family(parent, &process, &thread, &kernel, request)?;
    kernel.start();
    drop((thread, kernel));
    if let Some(vfork) = vfork {
        vfork.wait(parent);
    }
    Ok(tid)
}

fn new_process(
    old: &Arc<Process>,
    space: &Arc<AddressSpace>,
    pid: Pid,
    request: &CloneRequest,
) -> Result<Arc<Process>, Errno> {
    let charge = charge_kernel_bytes(old.domain().memory(), PROCESS_BYTES)?;
    let space = if request.has(flag::CLONE_VM) { space.clone() } else { space.fork()? };
    let handlers = old.handlers.lock().clone();
    let handlers = if request.has(flag::CLONE_SIGHAND) {
        handlers
    } else {
        handlers.duplicate(request.has(flag::CLONE_CLEAR_SIGHAND))
    };
    let parent =
        if request.has(flag::CLONE_PARENT) { old.parent().unwrap_or_else(|| old.clone()) } else { old.clone() };
    let process = Process::new(process::Parts {
        pid,
        pids: old.pids().clone(),
        parent: Arc::downgrade(&parent),
        group: old.group(),
        session: old.session(),
        exit_signal: request.exit_signal,
        space,
        handlers,
        limits: old.limits.duplicate(),
        executable: old.executable.lock().clone(),
        layout: *old.layout.lock(),
        charge,
    });
    process.persona.store(old.persona.load(Ordering::Relaxed), Ordering::Relaxed);
    process.barriers.store(old.barriers.load(Ordering::Relaxed), Ordering::Relaxed);
    process.timers.watch_limit()?;
    Ok(process)
}

/// What a new thread is scheduled by: as its parent, unless that said otherwise. Sets its nice level.
fn child_params(parent: &Thread, child: &Thread) -> kernel_sched::Params {
    let Some(kernel) = parent.kernel() else { return process::first_params(parent.process().domain()) };
    let mut params = kernel.params();
    let mut nice = parent.nice.load(Ordering::Relaxed);
    if parent.reset_on_fork.load(Ordering::Relaxed) {
        nice = nice.max(0);
        if !params.class.is_fair() || params.class.nice() < 0 {
            params.class = kernel_sched::Class::Normal { nice: nice as i8, slice: 0 };
        }
    }
    child.nice.store(nice, Ordering::Relaxed);
    params
}

/// The kernel thread that a thread is to run on. The thread does not know it yet: until it does, dropping this undoes all.
pub(crate) fn kernel_thread(
    thread: &Arc<Thread>,
    context: UserContext,
    user: UserState,
    space: &Arc<AddressSpace>,
    params: kernel_sched::Params,
) -> Result<Arc<kernel_sched::Thread>, Errno> {
    let owner = thread.clone();
    let entry = Box::new(move || run::run(owner, context));
    let name = String::from_utf8_lossy(&thread.name()).into_owned();
    kernel_sched::Thread::new(name, Some(thread.clone()), Some(user), Some(space.root()), params, entry)
}

/// Makes the child visible: in the tree, in its process, under its number.
fn join_family(
    parent: &Arc<Thread>,
    process: &Arc<Process>,
    thread: &Arc<Thread>,
    kernel: &Arc<kernel_sched::Thread>,
    request: &CloneRequest,
) -> Result<(), Errno> {
    let pids = process.pids();
    let tree = pids.tree();
    // The process, or all of the agent, may have been ended meanwhile: nothing new starts in it.
    if !parent.process().is_alive() || pids.is_closed() {
        pids.retire_thread(thread.tid());
        return Err(Errno::ERESTARTNOINTR);
    }
    thread.set_kernel(kernel.clone());
    pids.publish(thread);
    process.threads.lock().push(thread.clone());
    if !request.has(flag::CLONE_THREAD) {
        pids.publish_process(process);
        if let Some(ancestor) = process.parent() {
            ancestor.children.lock().push(process.clone());
        }
    }
    drop(tree);
    // Ended before the thread was in its list: it was not told.
    if !process.is_alive() {
        thread.call_to_boundary();
    }
    Ok(())
}
