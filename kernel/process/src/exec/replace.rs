//! The point of no return: a process lets go of its old program and becomes the new one.

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use aios_abi::Errno;
use aios_abi::linux::consts::signal::SIGCHLD;
use kernel_hal::addr::Virt;
use kernel_hal::task::{self, FpuState};
use kernel_hal::user::UserContext;

use super::load::Loaded;
use crate::exit::ExitReason;
use crate::{Process, Thread, futex, signal};

/// Makes the calling thread the only one of its process, running what was loaded. Errors leave the old program:
/// `ENOMEM` when shared descriptors cannot be copied, `EAGAIN` when the process or the thread is being ended.
pub(super) fn replace(
    thread: &Arc<Thread>,
    context: &mut UserContext,
    loaded: Loaded,
    name: &[u8],
) -> Result<(), Errno> {
    let process = thread.process();
    let files = thread.files();
    // One use is the thread's, one is ours.
    let own = if Arc::strong_count(&files) > 2 { Some(files.duplicate()?) } else { None };
    drop(files);
    end_others(thread)?;

    // Words in the old memory that others may watch; locks there name the thread by its old number.
    futex::release_memory(thread);
    take_over_number(thread);
    thread.rseq.store(0, Ordering::Relaxed);
    thread.process().barriers.store(0, Ordering::Relaxed);
    // The copy is without peers, so it is the one to close files in; the shared table drops with the last of them.
    if let Some(own) = own {
        drop(thread.replace_files(own));
    }
    thread.files().close_on_exec();

    let root = loaded.space.root();
    let old = process.replace_space(Some(loaded.space));
    task::set_root(Some(root));
    if let Some(old) = &old {
        let peak = old.peak_resident() as u64;
        let mut past = process.past.lock();
        past.peak_resident = past.peak_resident.max(peak);
    }
    // The parent of a `vfork` goes on only now: until here this thread ran on its memory.
    thread.finish_vfork();
    drop(old);

    signal::exec(thread);
    *thread.restart.lock() = None;
    thread.set_name(name);
    let executable = process.executable.lock().replace(loaded.file);
    drop(executable);
    *process.layout.lock() = loaded.layout;
    process.dumpable.store(1, Ordering::Relaxed);
    process.exit_signal.store(SIGCHLD, Ordering::Relaxed);
    process.executed.store(true, Ordering::Release);

    task::load_fpu(FpuState::new());
    // Zero is a user address, so neither can be refused.
    task::set_fs_base(0);
    task::set_gs_base(0);
    *context = UserContext::new(Virt(loaded.entry), Virt(loaded.pointer));
    context.set_full_return();
    Ok(())
}

/// Ends all other threads and waits until they are gone. Of several threads that try, the first wins.
fn end_others(thread: &Arc<Thread>) -> Result<(), Errno> {
    let process = thread.process();
    process.thread_events.wait_uninterruptible(|| {
        if !process.is_alive() || thread.ending().is_some() {
            return Some(Err(Errno::EAGAIN));
        }
        mark_others(process, thread)
    })
}

/// Tells the others to end: again at each look, for one of them may just have made another. `Ok` when there are none.
fn mark_others(process: &Process, thread: &Arc<Thread>) -> Option<Result<(), Errno>> {
    let threads = process.threads.lock();
    // Under the lock of the list, so that two threads cannot end each other.
    if thread.ending().is_some() {
        return Some(Err(Errno::EAGAIN));
    }
    for other in threads.iter().filter(|other| !Arc::ptr_eq(other, thread)) {
        other.end(ExitReason::exited(0));
    }
    (threads.len() == 1).then_some(Ok(()))
}

/// The program goes on under the process's number, whichever thread started it. The old leader is gone.
fn take_over_number(thread: &Arc<Thread>) {
    if thread.is_leader() {
        return;
    }
    let pids = thread.process().pids();
    let _tree = pids.tree();
    let old = thread.tid();
    thread.set_tid(thread.process().pid());
    pids.publish(thread);
    pids.retire_thread(old);
}
