//! Running other programs: `execve`, `execveat`.

use alloc::format;

use aios_abi::Errno;
use aios_abi::linux::consts::{AT_FDCWD, at};
use aios_abi::linux::table::nr;
use kernel_fs::vfs::WalkFlags;
use kernel_hal::addr::Virt;
use kernel_process::exec::{self, Program};

use crate::call::{Call, CallResult, Handler};
use crate::path;

pub(crate) const CALLS: &[(u32, Handler)] = &[(nr::EXECVE, execve), (nr::EXECVEAT, execveat)];

fn execve(call: &mut Call<'_>) -> CallResult {
    let path = call.path(0)?;
    run(call, &Program::at(&path), 1)
}

fn execveat(call: &mut Call<'_>) -> CallResult {
    let (fd, flags) = (call.int(0), call.uint(4));
    let path = call.path(1)?;
    if flags & !(at::AT_SYMLINK_NOFOLLOW | at::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let empty = flags & at::AT_EMPTY_PATH != 0;
    let start = path::start(call, 0, &path, empty)?;
    let walk = WalkFlags { follow: flags & at::AT_SYMLINK_NOFOLLOW == 0, empty, ..WalkFlags::NO_FOLLOW };
    // What the program is told as its name leads there through its descriptor, if that will still be open.
    let through = fd != AT_FDCWD && !path.starts_with(b"/");
    let mut name = path.clone();
    if through {
        name = format!("/dev/fd/{fd}").into_bytes();
        if !path.is_empty() {
            name.push(b'/');
            name.extend_from_slice(&path);
        }
    }
    let unreachable = through && call.thread.files().descriptor(fd)?.close_on_exec;
    let program = Program { start: start.as_ref(), path: &path, flags: walk, name: &name, unreachable };
    run(call, &program, 2)
}

/// Arguments and environment are the call's arguments from `first` on.
fn run(call: &mut Call<'_>, program: &Program<'_>, first: usize) -> CallResult {
    let mut budget = exec::budget(call.process());
    let arguments = exec::copy_in(Virt(call.arg(first)), &mut budget)?;
    let environment = exec::copy_in(Virt(call.arg(first + 1)), &mut budget)?;
    exec::exec(call.thread, call.context, program, arguments, &environment)?;
    Ok(0)
}
