//! The initial file system: an archive that the loader left in memory, unpacked into a tmpfs.

pub mod cpio;
mod unpack;

pub use unpack::unpack;
