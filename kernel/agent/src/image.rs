//! The file tree an agent sees: its image under a private layer, the kernel's own file systems, and binds.

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::mount::{MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY};
use kernel_cap::Domain;
use kernel_fs::vfs::WalkFlags;
use kernel_fs::{Context, Credentials, FileSystem, Namespace, Path, devfs, overlay, procfs, tmpfs};
use kernel_process::{Pids, proc_view};

use crate::Bind;

/// The namespace of a new agent.
pub(crate) fn namespace(
    image: &Path,
    binds: &[Bind],
    domain: &Arc<Domain>,
    pids: &Arc<Pids>,
) -> Result<Arc<Namespace>, Errno> {
    let account = domain.memory();
    let root = overlay::create(image, account)?;
    let namespace = Namespace::new(root, b"image", 0);
    mount(&namespace, b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, procfs::create(proc_view(pids))?)?;
    mount(&namespace, b"/dev", b"devtmpfs", MS_NOSUID, devfs::create(account)?)?;
    let open_to_all = tmpfs::Options { permissions: 0o1777, ..tmpfs::Options::default() };
    mount(&namespace, b"/dev/shm", b"tmpfs", MS_NOSUID | MS_NODEV, tmpfs::create(account, open_to_all)?)?;
    mount(&namespace, b"/tmp", b"tmpfs", MS_NOSUID | MS_NODEV, tmpfs::create(account, open_to_all)?)?;
    for bind in binds {
        let place = make_directory(&namespace, &bind.target)?;
        let bound = namespace.bind(&bind.source, place)?;
        if bind.read_only {
            namespace.set_flags(&bound, bound.flags() | MS_RDONLY as u32);
        }
    }
    Ok(namespace)
}

fn mount(
    namespace: &Arc<Namespace>,
    at: &[u8],
    source: &[u8],
    flags: u64,
    system: Arc<FileSystem>,
) -> Result<(), Errno> {
    let place = make_directory(namespace, at)?;
    namespace.mount(system, source, flags as u32, place)?;
    Ok(())
}

/// The directory at `path`, made with its parents where the image lacks it.
pub fn make_directory(namespace: &Arc<Namespace>, path: &[u8]) -> Result<Path, Errno> {
    let root = namespace.cross(namespace.root());
    let credentials = Credentials::root();
    let context = Context { namespace, root: &root, cwd: &root, credentials: &credentials, umask: 0o022 };
    if !path.starts_with(b"/") {
        return Err(Errno::EINVAL);
    }
    let mut made: Vec<u8> = Vec::new();
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
        made.push(b'/');
        made.extend_from_slice(name);
        match context.mkdir(None, &made, 0o755) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error),
        }
    }
    context.walk(None, path, WalkFlags { directory: true, ..WalkFlags::FOLLOW })
}
