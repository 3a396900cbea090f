//! `mounts` and `mountinfo`: what is mounted, as the process sees it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use kernel_fs::Path;
use kernel_fs::procfs::Text;
use kernel_fs::vfs::{Dentry, Mount, mount_flags};

use super::subject::Found;

/// Bytes that would break up a line.
const SPECIAL: &[u8] = b" \t\n\\";
/// The same for what was mounted, where `#` would begin a comment.
const SPECIAL_IN_SOURCE: &[u8] = b" \t\n\\#";

/// Flags of a mount in Linux's words and order, after `rw` or `ro`.
const FLAGS: [(u32, &str); 5] = [
    (mount_flags::NO_SUID, ",nosuid"),
    (mount_flags::NO_DEV, ",nodev"),
    (mount_flags::NO_EXEC, ",noexec"),
    (mount_flags::NO_ACCESS_TIME, ",noatime"),
    (mount_flags::RELATIVE_ACCESS_TIME, ",relatime"),
];

fn access(mount: &Mount) -> &'static [u8] {
    if mount.is_read_only() { b"ro" } else { b"rw" }
}

fn flags(mount: &Mount, text: &mut Text) -> Result<(), Errno> {
    text.bytes(access(mount))?;
    let set = FLAGS.iter().filter(|(flag, _)| mount.flags() & flag != 0);
    set.into_iter().try_for_each(|(_, name)| text.bytes(name.as_bytes()))
}

/// A mount and the name of its place.
type Named = (Arc<Mount>, Vec<u8>);

/// The mounts that lie below the process's root.
fn visible(found: &Found) -> Result<Vec<Named>, Errno> {
    // Linux says so of zombies.
    let thread = found.thread.as_ref().ok_or(Errno::EINVAL)?;
    let view = thread.place().view();
    let named = |mount: Arc<Mount>| {
        let name = mount.root_path().name(&view.root);
        name.reachable.then_some((mount, name.bytes))
    };
    Ok(view.namespace.mounts().into_iter().filter_map(named).collect())
}

pub(super) fn table(found: &Found, text: &mut Text) -> Result<(), Errno> {
    for (mount, place) in visible(found)? {
        text.escaped(mount.source(), SPECIAL_IN_SOURCE)?;
        text.bytes(b" ")?;
        text.escaped(&place, SPECIAL)?;
        text.put(format_args!(" {} ", mount.file_system().kind()))?;
        flags(&mount, text)?;
        text.bytes(b" 0 0\n")?;
    }
    Ok(())
}

/// The name of a directory within its file system.
fn within(dentry: &Arc<Dentry>) -> Vec<u8> {
    let mut names = Vec::new();
    let mut at = dentry.clone();
    while let Some(parent) = at.parent() {
        names.push(at.name());
        at = parent;
    }
    if names.is_empty() {
        return b"/".to_vec();
    }
    names.iter().rev().flat_map(|name| [&b"/"[..], name].concat()).collect()
}

pub(super) fn information(found: &Found, text: &mut Text) -> Result<(), Errno> {
    for (mount, place) in visible(found)? {
        let parent = mount.place().map_or(0, |place: Path| place.mount.id());
        let device = mount.root().inode().metadata().map(|metadata| metadata.device).unwrap_or_default();
        text.put(format_args!("{} {parent} {}:{} ", mount.id(), device.major, device.minor))?;
        text.escaped(&within(mount.root()), SPECIAL)?;
        text.bytes(b" ")?;
        text.escaped(&place, SPECIAL)?;
        text.bytes(b" ")?;
        flags(&mount, text)?;
        text.put(format_args!(" - {} ", mount.file_system().kind()))?;
        text.escaped(mount.source(), SPECIAL_IN_SOURCE)?;
        text.bytes(b" ")?;
        text.bytes(access(&mount))?;
        text.bytes(b"\n")?;
    }
    Ok(())
}
