//! Makes the system agent's tree: kernel file systems, and the directories that the host shares by 9p.

use std::ffi::CString;
use std::fs;

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
