//! Files: the virtual file system, and the file systems and files that need no hardware.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod credentials;
pub mod devfs;
pub mod device;
pub mod event;
pub mod file;
pub mod initramfs;
pub mod locks;
pub mod ninep;
pub mod overlay;
pub mod pipe;
pub mod poll;
pub mod procfs;
#[cfg(test)]
mod testing;
pub mod tmpfs;
pub mod tty;
pub mod types;
pub mod unix;
pub mod vfs;

pub use credentials::Credentials;
pub use file::{File, FileOps};
pub use types::{DeviceNumber, FileType, Metadata, Timestamp};
pub use vfs::{Context, FileSystem, Inode, Namespace, Path};
