//! Directories of a process or thread: `/proc/PID`, `task`, `fd`, `fdinfo`.

use alloc::sync::Arc;

use aios_abi::Errno;

use super::links::ObjectLink;
use super::texts::{MemoryFile, SubjectText, TextFile};
use super::{Instance, Subject, SubjectFile, SubjectLink, parse_number, stat_fs};
use crate::types::{Changes, DirEntry, DirSink, FileType, Metadata, NewInode, Ownership, StatFs};
use crate::vfs::{Caching, Inode};

/// Which directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// `/proc/PID` or `/proc/PID/task/TID`
    Top,
    Threads,
    Descriptors,
    DescriptorFiles,
}

#[derive(Clone, Copy)]
enum What {
    Directory(Place),
    File(SubjectFile),
    Link(SubjectLink),
}

struct Name {
    name: &'static str,
    permissions: u16,
    what: What,
    /// In `/proc/PID`, in `/proc/PID/task/TID`.
    shown: (bool, bool),
}

const fn both(name: &'static str, permissions: u16, what: What) -> Name {
    Name { name, permissions, what, shown: (true, true) }
}

const fn process(name: &'static str, permissions: u16, what: What) -> Name {
    Name { name, permissions, what, shown: (true, false) }
}

const fn thread(name: &'static str, permissions: u16, what: What) -> Name {
    Name { name, permissions, what, shown: (false, true) }
}

/// The place in the list is part of inode numbers and cursors.
const NAMES: &[Name] = &[
    process("task", 0o555, What::Directory(Place::Threads)),
    both("fd", 0o500, What::Directory(Place::Descriptors)),
    both("fdinfo", 0o555, What::Directory(Place::DescriptorFiles)),
    both("environ", 0o400, What::File(SubjectFile::Environ)),
    both("auxv", 0o400, What::File(SubjectFile::Auxv)),
    both("status", 0o444, What::File(SubjectFile::Status)),
    both("personality", 0o400, What::File(SubjectFile::Personality)),
    both("limits", 0o444, What::File(SubjectFile::Limits)),
    both("comm", 0o644, What::File(SubjectFile::Comm)),
    both("cmdline", 0o444, What::File(SubjectFile::Cmdline)),
    both("stat", 0o444, What::File(SubjectFile::Stat)),
    both("statm", 0o444, What::File(SubjectFile::Statm)),
    both("maps", 0o444, What::File(SubjectFile::Maps)),
    thread("children", 0o444, What::File(SubjectFile::Children)),
    both("mem", 0o600, What::File(SubjectFile::Memory)),
    both("cwd", 0o777, What::Link(SubjectLink::WorkingDirectory)),
    both("root", 0o777, What::Link(SubjectLink::Root)),
    both("exe", 0o777, What::Link(SubjectLink::Executable)),
    both("mounts", 0o444, What::File(SubjectFile::Mounts)),
    both("mountinfo", 0o444, What::File(SubjectFile::MountInfo)),
    both("wchan", 0o444, What::File(SubjectFile::Wchan)),
    both("cgroup", 0o444, What::File(SubjectFile::Cgroup)),
    both("sched", 0o444, What::File(SubjectFile::Sched)),
    both("schedstat", 0o444, What::File(SubjectFile::SchedStat)),
    both("oom_score", 0o444, What::File(SubjectFile::OomScore)),
    both("oom_score_adj", 0o444, What::File(SubjectFile::OomScoreAdjust)),
];

/// Of the lists of threads and descriptors: the cursor of the first number.
const FIRST: u64 = 2;

/// User and group of a process's file. One whose process is gone is root's, and leads nowhere.
pub(super) fn owned(subject: &dyn Subject, permissions: u16) -> Ownership {
    let (owner, group) = subject.owner().unwrap_or((0, 0));
    Ownership { owner, group, permissions }
}

/// The inode number of an entry: the subject's number, whether it is a thread, the entry and, of descriptors, which.
fn number_of(subject: &dyn Subject, entry: usize, descriptor: u32) -> u64 {
    Directory::number_of(subject.number(), subject.is_thread()) | (entry as u64 + 1) << 22 | u64::from(descriptor)
}

pub(super) struct Directory {
    instance: Arc<Instance>,
    subject: Arc<dyn Subject>,
    place: Place,
    number: u64,
    permissions: u16,
}

impl Directory {
    /// `/proc/PID`, or `/proc/PID/task/TID` when `subject` is a thread.
    pub fn of(instance: Arc<Instance>, subject: Arc<dyn Subject>) -> Arc<Directory> {
        let number = Directory::number_of(subject.number(), subject.is_thread());
        Arc::new(Directory { instance, subject, place: Place::Top, number, permissions: 0o555 })
    }

    /// Its inode number; above all numbers of registered entries.
    pub fn number_of(subject: u32, is_thread: bool) -> u64 {
        u64::from(subject) << 32 | u64::from(is_thread) << 31
    }

    fn is_alive(&self) -> Result<(), Errno> {
        self.subject.owner().map(|_| ()).ok_or(Errno::ENOENT)
    }

    fn names(&self) -> impl Iterator<Item = (usize, &'static Name)> {
        let is_thread = self.subject.is_thread();
        NAMES.iter().enumerate().filter(move |(_, name)| if is_thread { name.shown.1 } else { name.shown.0 })
    }

    fn named(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let (index, found) = self.names().find(|(_, entry)| entry.name.as_bytes() == name).ok_or(Errno::ENOENT)?;
        let (instance, subject) = (self.instance.clone(), self.subject.clone());
        let number = number_of(&*subject, index, 0);
        let permissions = found.permissions;
        Ok(match found.what {
            What::Directory(place) => Arc::new(Directory { instance, subject, place, number, permissions }),
            What::Link(link) => Arc::new(ObjectLink { instance, subject, number, link }),
            What::File(SubjectFile::Memory) => Arc::new(MemoryFile { instance, subject, number, permissions }),
            What::File(file) => Arc::new(TextFile::new(instance, SubjectText { subject, file, number, permissions })),
        })
    }

    /// The entry of a descriptor in `fd` or `fdinfo`.
    fn descriptor(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let descriptor = parse_number(name).ok_or(Errno::ENOENT)?;
        self.subject.descriptor(descriptor)?;
        let (instance, subject) = (self.instance.clone(), self.subject.clone());
        let number = self.number | u64::from(descriptor + 1);
        Ok(if self.place == Place::Descriptors {
            Arc::new(ObjectLink { instance, subject, number, link: SubjectLink::Descriptor(descriptor) })
        } else {
            let file = SubjectFile::Descriptor(descriptor);
            Arc::new(TextFile::new(instance, SubjectText { subject, file, number, permissions: 0o444 }))
        })
    }

    fn list_names(&self, cursor: u64, sink: &mut dyn DirSink) {
        for (index, name) in self.names() {
            let at = FIRST + index as u64;
            let kind = match name.what {
                What::Directory(_) => FileType::Directory,
                What::File(_) => FileType::Regular,
                What::Link(_) => FileType::Symlink,
            };
            let inode = number_of(&*self.subject, index, 0);
            if at >= cursor && !sink.entry(DirEntry { name: name.name.as_bytes(), inode, kind, next: at + 1 }) {
                return;
            }
        }
    }

    fn list_numbers(&self, cursor: u64, sink: &mut dyn DirSink) -> Result<(), Errno> {
        let numbers = match self.place {
            Place::Threads => self.subject.threads(),
            _ => self.subject.descriptors()?,
        };
        for number in numbers {
            let at = FIRST + u64::from(number);
            let name = alloc::format!("{number}");
            let (inode, kind) = match self.place {
                Place::Threads => (Directory::number_of(number, true), FileType::Directory),
                Place::Descriptors => (self.number | u64::from(number + 1), FileType::Symlink),
                _ => (self.number | u64::from(number + 1), FileType::Regular),
            };
            if at >= cursor && !sink.entry(DirEntry { name: name.as_bytes(), inode, kind, next: at + 1 }) {
                break;
            }
        }
        Ok(())
    }
}

impl Inode for Directory {
    /// Nothing can be made here; `ENOENT` is what Linux says.
    fn create(&self, _name: &[u8], _new: &NewInode) -> Result<Arc<dyn Inode>, Errno> {
        Err(Errno::ENOENT)
    }

    fn kind(&self) -> FileType {
        FileType::Directory
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        self.is_alive()?;
        let started = self.subject.started();
        Ok(self.instance.metadata(self.number, FileType::Directory, self.ownership(), started))
    }

    fn ownership(&self) -> Ownership {
        owned(&*self.subject, self.permissions)
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn set_attributes(&self, _changes: &Changes) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    fn lookup(&self, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        self.is_alive()?;
        match self.place {
            Place::Top => self.named(name),
            Place::Descriptors | Place::DescriptorFiles => self.descriptor(name),
            Place::Threads => {
                let number = parse_number(name).ok_or(Errno::ENOENT)?;
                let thread = self.subject.thread(number).ok_or(Errno::ENOENT)?;
                Ok(Directory::of(self.instance.clone(), thread))
            }
        }
    }

    fn read_dir(&self, cursor: u64, sink: &mut dyn DirSink) -> Result<(), Errno> {
        self.is_alive()?;
        if self.place == Place::Top {
            self.list_names(cursor, sink);
            return Ok(());
        }
        self.list_numbers(cursor, sink)
    }

    fn caching(&self) -> Caching {
        Caching::None
    }

    fn stat_fs(&self) -> Result<StatFs, Errno> {
        Ok(stat_fs())
    }
}
