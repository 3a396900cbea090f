//! The virtual file system: names, mounts and the rules that hold for every file system.
//!
//! A program's call becomes a method of [`Context`], which knows who asks and from where. The context walks to a
//! [`Path`], checks what Linux checks, in Linux's order, and asks the [`Inode`]s.

mod anonymous;
mod attributes;
mod dentry;
mod hash;
mod inode;
mod mount;
mod names;
mod open;
mod path;
#[cfg(test)]
pub(crate) mod tests;
mod walk;

pub use anonymous::{anonymous_path, next_number, unplaced_metadata, unplaced_stat_fs};
pub use attributes::TimeChange;
pub use dentry::Dentry;
pub use hash::NameHash;
pub use inode::{AttributeMode, Caching, Inode, LinkTarget, OpenRequest};
pub use mount::{FileSystem, Mount, Namespace, Twin, anonymous_device, mount_flags};
pub use open::OpenHow;
pub use path::{Path, PathName};
pub use walk::{Context, Limits, WalkFlags};
