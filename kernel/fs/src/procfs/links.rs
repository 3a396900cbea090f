//! Symbolic links: those of the machine, and those of processes, which lead to objects whatever their names are.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;

use super::entries::MachineLink;
use super::subject::owned;
use super::{Instance, Subject, SubjectLink, of_root, stat_fs};
use crate::types::{Changes, FileType, Metadata, Ownership, StatFs};
use crate::vfs::{Inode, LinkTarget};

/// A link that is a text.
pub(super) struct OwnLink {
    pub instance: Arc<Instance>,
    pub number: u64,
    pub link: MachineLink,
}

impl Inode for OwnLink {
    fn kind(&self) -> FileType {
        FileType::Symlink
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(self.instance.metadata(self.number, FileType::Symlink, self.ownership(), self.instance.made))
    }

    fn ownership(&self) -> Ownership {
        of_root(0o777)
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn set_attributes(&self, _changes: &Changes) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// `ENOENT` for who is not one of the processes shown.
    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        if let MachineLink::Fixed(target) = self.link {
            return Ok(target.as_bytes().to_vec());
        }
        let (process, thread) = self.instance.processes.current().ok_or(Errno::ENOENT)?;
        Ok(match self.link {
            MachineLink::CurrentThread => format!("{process}/task/{thread}"),
            _ => format!("{process}"),
        }
        .into_bytes())
    }

    fn stat_fs(&self) -> Result<StatFs, Errno> {
        Ok(stat_fs())
    }
}

/// A process's link to an object.
pub(super) struct ObjectLink {
    pub instance: Arc<Instance>,
    pub subject: Arc<dyn Subject>,
    pub number: u64,
    pub link: SubjectLink,
}

impl Inode for ObjectLink {
    fn kind(&self) -> FileType {
        FileType::Symlink
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        let started = self.subject.started();
        Ok(Metadata {
            // What Linux says, which programs size a buffer by.
            size: if let SubjectLink::Descriptor(_) = self.link { 64 } else { 0 },
            ..self.instance.metadata(self.number, FileType::Symlink, self.ownership(), started)
        })
    }

    /// The permissions of a descriptor's link say what it is open for.
    fn ownership(&self) -> Ownership {
        let permissions = match self.link {
            SubjectLink::Descriptor(number) => match self.subject.descriptor(number) {
                Ok((reads, writes)) => 0o100 | if reads { 0o400 } else { 0 } | if writes { 0o200 } else { 0 },
                Err(_) => 0,
            },
            _ => 0o777,
        };
        owned(&*self.subject, permissions)
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn set_attributes(&self, _changes: &Changes) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        let target = self.subject.follow(self.link)?;
        let root = self.instance.processes.root().unwrap_or_else(|| target.mount.root_path());
        Ok(target.display(&root))
    }

    fn follow(&self) -> Result<LinkTarget, Errno> {
        self.subject.follow(self.link).map(LinkTarget::Object)
    }

    fn stat_fs(&self) -> Result<StatFs, Errno> {
        Ok(stat_fs())
    }
}
