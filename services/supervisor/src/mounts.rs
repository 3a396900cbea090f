//! Makes the system agent's tree: kernel file systems, and the directories that the host shares by 9p.

use std::ffi::CString;
use std::fs;

use aios_abi::native::AgentId;
use rustix::mount::MountFlags;

use crate::error::{Context, Error};

/// Root directory of the image.
pub const IMAGE: &str = "/mnt/image";
/// The agent's own directory.
pub const AGENT: &str = "/mnt/agent";
/// The directory that the user shares.
pub const SHARE: &str = "/mnt/share";
/// The agent's manifest.
pub const MANIFEST: &str = "/mnt/agent/agent.toml";

/// The processes of an agent that is looked at.
pub const PROCESSES: &str = "/mnt/processes";

/// Mounts what every program expects to find.
pub fn basic() -> Result<(), Error> {
    for (kind, target) in [("proc", "/proc"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp")] {
        mount(kind, target, kind, MountFlags::empty(), "")?;
    }
    Ok(())
}

/// Mounts the host directory with that mount tag.
pub fn shared(tag: &str, target: &str, read_only: bool) -> Result<(), Error> {
    let flags = if read_only { MountFlags::RDONLY } else { MountFlags::empty() };
    mount(tag, target, "9p", flags, "trans=virtio,version=9p2000.L")
}

/// Unmounts [`PROCESSES`] when it goes.
pub struct Mounted;

impl Drop for Mounted {
    fn drop(&mut self) {
        // One that stays shows an agent that is gone: empty.
        let _ = rustix::mount::unmount(PROCESSES, rustix::mount::UnmountFlags::DETACH);
    }
}

/// Mounts the processes of agent `id` at [`PROCESSES`].
pub fn processes_of(id: AgentId) -> Result<Mounted, Error> {
    mount("proc", PROCESSES, "proc", MountFlags::RDONLY, &format!("agent={id}")).map(|()| Mounted)
}

fn mount(source: &str, target: &str, kind: &str, flags: MountFlags, options: &str) -> Result<(), Error> {
    let what = || format!("cannot mount {source} ({kind}) on {target}");
    fs::create_dir_all(target).context(&what())?;
    let options = CString::new(options).context(&what())?;
    match rustix::mount::mount(source, target, kind, flags, options.as_c_str()) {
        // The kernel had it mounted already.
        Err(rustix::io::Errno::BUSY) => Ok(()),
        result => result.context(&what()),
    }
}
