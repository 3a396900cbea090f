//! One process or thread, as long as it is there.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::time::Duration;

use aios_abi::Errno;
use kernel_fs::procfs::{Subject, SubjectFile, SubjectLink, Text};
use kernel_fs::{Path, Timestamp};
use kernel_hal::time;
use kernel_mm::io::{Sink, Source};

use super::{areas, descriptors, limits, memory, mounts, sched, stat, status};
use crate::process::State;
use crate::{Pid, Process, Thread};

/// Looking into any process (`capability.h`).
const CAP_SYS_PTRACE: u32 = 19;

/// A process, or with `thread` one of its threads.
pub(super) struct View {
    process: Weak<Process>,
    thread: Option<Weak<Thread>>,
    number: Pid,
}

/// The objects behind a [`View`], found alive.
pub(super) struct Found {
    pub process: Arc<Process>,
    /// The thread that was asked for; of a process its leader. `None` when the process has no threads left.
    pub thread: Option<Arc<Thread>>,
    pub is_thread: bool,
    pub number: Pid,
}

impl View {
    pub fn process(process: &Arc<Process>) -> View {
        View { process: Arc::downgrade(process), thread: None, number: process.pid() }
    }

    pub fn thread(thread: &Arc<Thread>) -> View {
        let process = Arc::downgrade(thread.process());
        View { process, thread: Some(Arc::downgrade(thread)), number: thread.tid() }
    }

    /// `ESRCH` once it is gone.
    pub fn found(&self) -> Result<Found, Errno> {
        let process = self.process.upgrade().filter(|process| process.state() != State::Reaped).ok_or(Errno::ESRCH)?;
        let thread = match &self.thread {
            None => process.leader(),
            Some(thread) => {
                let thread = thread.upgrade().ok_or(Errno::ESRCH)?;
                let listed = process.threads.lock().iter().any(|other| Arc::ptr_eq(other, &thread));
                Some(if listed { thread } else { return Err(Errno::ESRCH) })
            }
        };
        Ok(Found { process, thread, is_thread: self.thread.is_some(), number: self.number })
    }
}

impl Found {
    /// The thread. `ESRCH` of a zombie.
    pub fn task(&self) -> Result<&Arc<Thread>, Errno> {
        self.thread.as_ref().ok_or(Errno::ESRCH)
    }

    /// Whether the running thread may look into the process. The kernel may.
    pub fn may_inspect(&self) -> bool {
        Thread::current().is_none_or(|reader| self.is_open_to(&reader))
    }

    /// `ptrace(2)`, "access mode checking".
    pub fn is_open_to(&self, reader: &Thread) -> bool {
        if Arc::ptr_eq(reader.process(), &self.process) {
            return true;
        }
        let (me, target) = (reader.credentials(), self.process.credentials());
        let same = |target: &kernel_fs::Credentials| {
            [target.uid, target.euid, target.suid].iter().all(|user| *user == me.fsuid)
                && [target.gid, target.egid, target.sgid].iter().all(|group| *group == me.fsgid)
        };
        let dumpable = self.process.dumpable.load(Ordering::Relaxed) == 1;
        me.capable(CAP_SYS_PTRACE) || dumpable && target.is_some_and(|target| same(&target))
    }

    /// `EACCES` unless the running thread may look into the process.
    pub fn inspect(&self) -> Result<(), Errno> {
        if self.may_inspect() { Ok(()) } else { Err(Errno::EACCES) }
    }
}

impl Subject for View {
    fn number(&self) -> Pid {
        self.number
    }

    fn is_thread(&self) -> bool {
        self.thread.is_some()
    }

    fn owner(&self) -> Option<(u32, u32)> {
        let found = self.found().ok()?;
        let who = found.thread.map(|thread| thread.credentials()).or_else(|| found.process.credentials());
        Some(who.map_or((0, 0), |who| (who.euid, who.egid)))
    }

    fn started(&self) -> Timestamp {
        let Ok(found) = self.found() else { return Timestamp::default() };
        Duration::from_nanos(time::wall_offset_ns().saturating_add(found.process.started().0)).into()
    }

    fn threads(&self) -> Vec<Pid> {
        let Ok(found) = self.found() else { return Vec::new() };
        let mut numbers: Vec<Pid> = found.process.threads().iter().map(|thread| thread.tid()).collect();
        numbers.sort_unstable();
        numbers
    }

    fn thread(&self, number: Pid) -> Option<Arc<dyn Subject>> {
        let threads = self.found().ok()?.process.threads();
        let thread = threads.iter().find(|thread| thread.tid() == number)?;
        Some(Arc::new(View::thread(thread)))
    }

    fn descriptors(&self) -> Result<Vec<u32>, Errno> {
        let found = self.found()?;
        found.inspect()?;
        Ok(descriptors::list(&found))
    }

    fn descriptor(&self, number: u32) -> Result<(bool, bool), Errno> {
        descriptors::access(&self.found()?, number)
    }

    fn check(&self, file: SubjectFile) -> Result<(), Errno> {
        let found = self.found()?;
        match file {
            SubjectFile::Auxv
            | SubjectFile::Descriptor(_)
            | SubjectFile::Environ
            | SubjectFile::Maps
            | SubjectFile::Memory
            | SubjectFile::Personality => found.inspect(),
            _ => Ok(()),
        }
    }

    fn read(&self, file: SubjectFile) -> Result<Vec<u8>, Errno> {
        let found = self.found()?;
        let process = &found.process;
        let mut text = Text::new();
        match file {
            SubjectFile::Auxv => memory::auxiliary(process, &mut text)?,
            SubjectFile::Cgroup => text.bytes(b"0::/\n")?,
            SubjectFile::Children => stat::children(&found, &mut text)?,
            SubjectFile::Cmdline => memory::command_line(process, &mut text)?,
            SubjectFile::Comm => {
                text.bytes(stat::trimmed(&stat::name(&found)))?;
                text.bytes(b"\n")?;
            }
            SubjectFile::Descriptor(number) => descriptors::information(&found, number, &mut text)?,
            SubjectFile::Environ => memory::environment(process, &mut text)?,
            SubjectFile::Limits => limits::table(process, &mut text)?,
            SubjectFile::Maps => areas::maps(&found, &mut text)?,
            // Read piece by piece, never as a text.
            SubjectFile::Memory => return Err(Errno::EINVAL),
            SubjectFile::MountInfo => mounts::information(&found, &mut text)?,
            SubjectFile::Mounts => mounts::table(&found, &mut text)?,
            // Nothing is ever chosen to die for memory: who wants too much gets `ENOMEM`.
            SubjectFile::OomScore | SubjectFile::OomScoreAdjust => text.bytes(b"0\n")?,
            SubjectFile::Personality => {
                text.put(format_args!("{:08x}\n", process.persona.load(Ordering::Relaxed)))?;
            }
            SubjectFile::Sched => sched::table(&found, &mut text)?,
            SubjectFile::SchedStat => sched::line(&found, &mut text)?,
            SubjectFile::Stat => stat::stat(&found, &mut text)?,
            SubjectFile::Statm => stat::memory(&found, &mut text)?,
            SubjectFile::Status => status::status(&found, &mut text)?,
            SubjectFile::Wchan => text.bytes(b"0")?,
        }
        Ok(text.into_bytes())
    }

    /// Only names can be set, and only by threads of the same process: `EINVAL` otherwise.
    fn write(&self, file: SubjectFile, bytes: &[u8]) -> Result<(), Errno> {
        let found = self.found()?;
        if file != SubjectFile::Comm {
            return Err(Errno::EIO);
        }
        if Thread::current().is_some_and(|writer| !Arc::ptr_eq(writer.process(), &found.process)) {
            return Err(Errno::EINVAL);
        }
        let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        found.task()?.set_name(name);
        Ok(())
    }

    fn read_memory(&self, address: u64, sink: &mut Sink) -> Result<(), Errno> {
        memory::read(&self.found()?.process, address, sink)
    }

    fn write_memory(&self, address: u64, source: &mut Source) -> Result<usize, Errno> {
        memory::write(&self.found()?.process, address, source)
    }

    fn follow(&self, link: SubjectLink) -> Result<Path, Errno> {
        let found = self.found()?;
        found.inspect()?;
        // A zombie is nowhere.
        let thread = || found.task().map_err(|_| Errno::ENOENT);
        Ok(match link {
            SubjectLink::WorkingDirectory => thread()?.place().view().cwd.clone(),
            SubjectLink::Root => thread()?.place().view().root.clone(),
            SubjectLink::Executable => found.process.executable.lock().as_ref().ok_or(Errno::ENOENT)?.path().clone(),
            SubjectLink::Descriptor(number) => descriptors::file(&found, number)?.path().clone(),
        })
    }
}
