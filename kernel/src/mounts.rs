//! The file systems that `mount(2)` knows by name.

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::mount::MS_RDONLY;
use kernel_drivers::virtio::ninep::P9Channel;
use kernel_fs::ninep::{self, Mode, Transport};
use kernel_fs::tmpfs::Options;
use kernel_fs::{devfs, procfs, tmpfs};
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

/// Makes mountable what needs no device, paid by the agent that mounts it, and the host's shares.
pub fn register(hardware: Hardware) {
    for share in &hardware.shares {
        log::info!("the host shares '{}'", share.tag());
    }
    SHARES.set(hardware.shares);
    kernel_linux::mounts::register("proc", |request| {
        procfs::create(kernel_process::proc_view(request.thread.process().pids()))
    });
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
