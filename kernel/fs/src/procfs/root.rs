//! The root directory and the directories of what is registered.

use alloc::sync::Arc;

use aios_abi::Errno;

use super::entries::{self, Node};
use super::links::OwnLink;
use super::subject::Directory;
use super::texts::{MachineText, TextFile};
use super::{Instance, of_root, parse_number, stat_fs};
use crate::types::{Changes, DirEntry, DirSink, FileType, Metadata, NewInode, Ownership, StatFs};
use crate::vfs::{Caching, Inode};

/// Cursors of processes in the root's listing are their numbers and this; those of registered names lie below.
const PROCESSES: u64 = 1 << 16;

/// `/proc`, or a directory below it that no process owns.
pub(super) struct Root {
    instance: Arc<Instance>,
    /// Empty for `/proc` itself.
    path: &'static str,
    number: u64,
}

impl Root {
    pub fn new(instance: Arc<Instance>) -> Arc<Root> {
        Arc::new(Root { instance, path: "", number: 1 })
    }

    fn is_top(&self) -> bool {
        self.path.is_empty()
    }
}

fn kind(node: &Node) -> FileType {
    match node {
        Node::Directory => FileType::Directory,
        Node::File(_) => FileType::Regular,
        Node::Link(_) => FileType::Symlink,
    }
}

impl Inode for Root {
    /// Nothing can be made here; `ENOENT` is what Linux says.
    fn create(&self, _name: &[u8], _new: &NewInode) -> Result<Arc<dyn Inode>, Errno> {
        Err(Errno::ENOENT)
    }

    fn kind(&self) -> FileType {
        FileType::Directory
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(self.instance.metadata(self.number, FileType::Directory, self.ownership(), self.instance.made))
    }

    fn ownership(&self) -> Ownership {
        of_root(0o555)
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn set_attributes(&self, _changes: &Changes) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let instance = self.instance.clone();
        if let Some((path, number, node)) = entries::find(self.path, name) {
            return Ok(match node {
                Node::Directory => Arc::new(Root { instance, path, number }),
                Node::File(entry) => Arc::new(TextFile::new(instance, MachineText { number, entry })),
                Node::Link(link) => Arc::new(OwnLink { instance, number, link }),
            });
        }
        let number = parse_number(name).filter(|_| self.is_top()).ok_or(Errno::ENOENT)?;
        let subject = instance.processes.find(number).ok_or(Errno::ENOENT)?;
        Ok(Directory::of(instance, subject))
    }

    fn read_dir(&self, cursor: u64, sink: &mut dyn DirSink) -> Result<(), Errno> {
        if cursor < PROCESSES {
            for (number, name, node) in entries::list(self.path, cursor) {
                let next = number + 1;
                if !sink.entry(DirEntry { name: name.as_bytes(), inode: number, kind: kind(&node), next }) {
                    return Ok(());
                }
            }
        }
        if !self.is_top() {
            return Ok(());
        }
        let from = cursor.saturating_sub(PROCESSES);
        for process in self.instance.processes.numbers().into_iter().filter(|number| u64::from(*number) >= from) {
            let name = alloc::format!("{process}");
            let inode = Directory::number_of(process, false);
            let next = PROCESSES + u64::from(process) + 1;
            if !sink.entry(DirEntry { name: name.as_bytes(), inode, kind: FileType::Directory, next }) {
                break;
            }
        }
        Ok(())
    }

    fn caching(&self) -> Caching {
        Caching::None
    }

    fn stat_fs(&self) -> Result<StatFs, Errno> {
        Ok(stat_fs())
    }
}
