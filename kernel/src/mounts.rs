//! The file systems that `mount(2)` knows by name.

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::mount::MS_RDONLY;
use aios_abi::native::AgentId;
use kernel_cap::Rights;
use kernel_drivers::virtio::ninep::P9Channel;
use kernel_fs::ninep::{self, Mode, Transport};
use kernel_fs::tmpfs::Options;
use kernel_fs::{FileSystem, devfs, procfs, tmpfs};
use kernel_linux::mounts::Request;
use kernel_sync::Once;

use crate::hardware::Hardware;

static SHARES: Once<Vec<Arc<P9Channel>>> = Once::new();

/// A 9P device as the file system's client sees it.
struct Channel(Arc<P9Channel>);

impl Transport for Channel {
    fn max_message(&self) -> usize {
        self.0.max_message()
    }

    fn call(&self, parts: &[&[u8]], reply: &mut Vec<u8>) -> Result<(), Errno> {
        self.0.call(parts, reply)
    }
}

/// The processes of the agent that asks, or of another that it may look at: `agent=INDEX.GENERATION`.
fn proc_of(request: &Request<'_>) -> Result<Arc<FileSystem>, Errno> {
    let process = request.thread.process();
    let Some(name) = request.option("agent") else { return procfs::create(kernel_process::proc_view(process.pids())) };
    let id = core::str::from_utf8(name).ok().and_then(|name| name.parse::<AgentId>().ok()).ok_or(Errno::EINVAL)?;
    process.domain().check(Rights::INSPECT, "looking at another agent's processes")?;
    let me = kernel_agent::of_process(process).ok_or(Errno::ESRCH)?;
    let target = kernel_agent::find(id).ok_or(Errno::ESRCH)?;
    if !me.may_see(&target) {
        return Err(Errno::EPERM);
    }
    procfs::create(kernel_process::proc_view_for(target.pids(), process.domain().memory()))
}

/// Makes mountable what needs no device, paid by the agent that mounts it, and the host's shares.
pub fn register(hardware: Hardware) {
    for share in &hardware.shares {
        log::info!("the host shares '{}'", share.tag());
    }
    SHARES.set(hardware.shares);
    kernel_linux::mounts::register("proc", proc_of);
    kernel_linux::mounts::register("tmpfs", |request| {
        tmpfs::create(request.thread.process().domain().memory(), Options::parse(request.options)?)
    });
    kernel_linux::mounts::register("devtmpfs", |request| devfs::create(request.thread.process().domain().memory()));
    kernel_linux::mounts::register("9p", |request| {
        let shares = SHARES.get().ok_or(Errno::ENODEV)?;
        let share = shares.iter().find(|share| share.tag().as_bytes() == request.source).ok_or(Errno::ENOENT)?;
        let mode = if request.flags & MS_RDONLY != 0 { Mode::Image } else { Mode::Share };
        ninep::mount(Arc::new(Channel(share.clone())), mode, &kernel_mm::Account::kernel())
    });
}
