//! The first file tree: what the loader left, unpacked into memory, with `/dev` on it.

use alloc::sync::Arc;

use kernel_fs::initramfs::{self, cpio::Archive};
use kernel_fs::{FileSystem, Namespace, devfs, tmpfs};
use kernel_hal::boot::Boot;
use kernel_mm::Account;

/// Where the build puts the kernel's symbol table.
const SYMBOLS: &[u8] = b"kernel.sym";

/// Unpacks the archive and mounts `/dev`.
pub fn make(boot: &Boot) -> Arc<Namespace> {
    let account = Account::kernel();
    let root = match tmpfs::root(&account, tmpfs::Options::default()) {
        Ok(root) => root,
        Err(error) => panic!("no root file system: {error}"),
    };
    match initramfs::unpack(boot.initramfs, &root) {
        Ok(entries) => log::info!("initial file system: {entries} entries, {} KiB", boot.initramfs.len() / 1024),
        Err(error) => log::error!("initial file system: {error}"),
    }
    let namespace = Namespace::new(FileSystem::new("rootfs", root), b"rootfs", 0);
    let mounted = devfs::create(&account).and_then(|dev| {
        let place = kernel_agent::make_directory(&namespace, b"/dev")?;
        namespace.mount(dev, b"devtmpfs", 0, place)
    });
    if let Err(error) = mounted {
        log::error!("/dev: {error}");
    }
    namespace
}

/// The symbol table, as it lies in the archive.
pub fn symbols(boot: &Boot) -> Option<&'static [u8]> {
    let mut archive = Archive::new(boot.initramfs);
    while let Some(Ok(entry)) = archive.next() {
        if entry.name == SYMBOLS {
            return Some(entry.content);
        }
    }
    None
}
