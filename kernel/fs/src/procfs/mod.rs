//! `/proc`: directories, links and files that are made up when somebody looks (`proc(5)`).
//!
//! Nothing here is remembered: a name is looked up anew each time, since processes come and go. A file's text is made
//! when it is read at its start and kept with the open file, so that a reader who goes on in pieces sees one state.
//!
//! The tree has two sources. What is the machine's is registered by path ([`register`]), by whichever room knows it.
//! What is a process's comes from the process room through [`Processes`] and [`Subject`]; an instance of the file
//! system shows the processes of one agent.

mod cpuinfo;
mod entries;
mod links;
mod machine;
mod root;
mod subject;
#[cfg(test)]
mod tests;
mod text;
mod texts;

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::fs_magic;
use kernel_mm::Account;
use kernel_mm::io::{Sink, Source};

use crate::types::{DeviceNumber, FileType, Metadata, Ownership, StatFs, Timestamp};
use crate::vfs::{FileSystem, Path, anonymous_device};

pub use entries::{Entry, register};
pub use text::Text;

/// The processes of one agent, as `/proc` asks for them.
pub trait Processes: Send + Sync {
    /// Process and thread number of the reader; `None` when the reader is not one of these processes.
    fn current(&self) -> Option<(u32, u32)>;

    /// The reader's root directory: names of open files are shown as seen from there.
    fn root(&self) -> Option<Path>;

    /// Numbers of all processes, zombies included, ascending.
    fn numbers(&self) -> Vec<u32>;

    /// The process with that number, or the thread.
    fn find(&self, number: u32) -> Option<Arc<dyn Subject>>;

    /// What the processes are up to, all together.
    fn statistics(&self) -> Statistics;

    /// Who pays for texts that are kept, and whose memory is shown.
    fn account(&self) -> Arc<Account>;
}

/// The processes of one agent, counted.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Threads; those that run or wait for a processor; those that wait and cannot be interrupted.
    pub threads: usize,
    pub running: usize,
    pub blocked: usize,
    /// The process or thread number given out last, and how many were given out so far.
    pub last: u32,
    pub made: u64,
    /// Averages of active threads over 1, 5 and 15 minutes, in hundredths.
    pub load: [u64; 3],
}

/// A process or one of its threads. It stays the same one when its number is given to another.
///
/// Methods that fail say `ESRCH` once it is gone and `EACCES` when the reader may not look.
pub trait Subject: Send + Sync {
    /// The process's number, or the thread's.
    fn number(&self) -> u32;

    fn is_thread(&self) -> bool;

    /// User and group its files belong to; `None` once it is gone.
    fn owner(&self) -> Option<(u32, u32)>;

    fn started(&self) -> Timestamp;

    /// Numbers of its process's threads, ascending.
    fn threads(&self) -> Vec<u32>;

    /// The thread of its process with that number.
    fn thread(&self, number: u32) -> Option<Arc<dyn Subject>>;

    /// Its open descriptors, ascending.
    fn descriptors(&self) -> Result<Vec<u32>, Errno>;

    /// Whether an open descriptor reads and writes. `ENOENT` when it is not open.
    fn descriptor(&self, number: u32) -> Result<(bool, bool), Errno>;

    /// Whether the reader may open the file: asked once, when it does.
    fn check(&self, file: SubjectFile) -> Result<(), Errno>;

    fn read(&self, file: SubjectFile) -> Result<Vec<u8>, Errno>;

    fn write(&self, file: SubjectFile, bytes: &[u8]) -> Result<(), Errno>;

    /// Copies its memory from an address on. `EIO` when nothing is there.
    fn read_memory(&self, address: u64, sink: &mut Sink) -> Result<(), Errno>;

    /// Copies into its memory, where it may write itself, and returns the bytes written. `EIO` when there are none.
    fn write_memory(&self, address: u64, source: &mut Source) -> Result<usize, Errno>;

    /// The object that a link leads to.
    fn follow(&self, link: SubjectLink) -> Result<Path, Errno>;
}

/// Files of a process or thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SubjectFile {
    Auxv,
    Cgroup,
    Children,
    Cmdline,
    Comm,
    Environ,
    /// `fdinfo/N`
    Descriptor(u32),
    Limits,
    Maps,
    Memory,
    MountInfo,
    Mounts,
    OomScore,
    OomScoreAdjust,
    Personality,
    Sched,
    SchedStat,
    Stat,
    Statm,
    Status,
    Wchan,
}

/// Links of a process or thread to objects.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SubjectLink {
    WorkingDirectory,
    Executable,
    Root,
    /// `fd/N`
    Descriptor(u32),
}

/// What all inodes of one instance share.
struct Instance {
    device: DeviceNumber,
    made: Timestamp,
    processes: Arc<dyn Processes>,
}

impl Instance {
    fn metadata(&self, number: u64, kind: FileType, ownership: Ownership, made: Timestamp) -> Metadata {
        Metadata {
            device: self.device,
            inode: number,
            kind,
            permissions: ownership.permissions,
            links: if kind == FileType::Directory { 2 } else { 1 },
            owner: ownership.owner,
            group: ownership.group,
            special: DeviceNumber::default(),
            size: 0,
            block_size: 1024,
            blocks: 0,
            accessed: made,
            modified: made,
            changed: made,
            created: None,
        }
    }
}

fn stat_fs() -> StatFs {
    StatFs { magic: fs_magic::PROC_SUPER_MAGIC as u32, block_size: 4096, name_max: 255, ..StatFs::default() }
}

/// Something of the machine's: root owns it.
fn of_root(permissions: u16) -> Ownership {
    Ownership { owner: 0, group: 0, permissions }
}

/// A number in a name: decimal, without sign or leading zeros, as `/proc` shows it.
fn parse_number(name: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(name).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

/// A new `/proc` that shows `processes`.
pub fn create(processes: Arc<dyn Processes>) -> Result<Arc<FileSystem>, Errno> {
    machine::register_once();
    let instance = Instance { device: anonymous_device(), made: Timestamp::now(), processes };
    Ok(FileSystem::new("proc", root::Root::new(Arc::new(instance))))
}
