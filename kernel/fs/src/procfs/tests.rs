//! The tree over processes that exist only here.

use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::sync::Mutex as StdMutex;
use std::vec::Vec;

use aios_abi::linux::consts::open;

use super::*;
use crate::file::File;
use crate::testing::{World, account, read, write};
use crate::types::DirEntry;
use crate::vfs::{OpenHow, WalkFlags};

struct Fake {
    alive: StdMutex<BTreeMap<u32, u32>>,
    target: Path,
    reads: StdMutex<u32>,
    name: StdMutex<Vec<u8>>,
}

struct Shown(Arc<Fake>);

struct One {
    fake: Arc<Fake>,
    number: u32,
    is_thread: bool,
}

impl Processes for Shown {
    fn current(&self) -> Option<(u32, u32)> {
        Some((7, 8))
    }

    fn root(&self) -> Option<Path> {
        None
    }

    fn numbers(&self) -> Vec<u32> {
        self.0.alive.lock().expect("lock").keys().copied().collect()
    }

    fn find(&self, number: u32) -> Option<Arc<dyn Subject>> {
        let known = self.0.alive.lock().expect("lock").contains_key(&number);
        known.then(|| Arc::new(One { fake: self.0.clone(), number, is_thread: false }) as Arc<dyn Subject>)
    }

    fn statistics(&self) -> Statistics {
        Statistics::default()
    }

    fn account(&self) -> Arc<Account> {
        account()
    }
}

impl Subject for One {
    fn number(&self) -> u32 {
        self.number
    }

    fn is_thread(&self) -> bool {
        self.is_thread
    }

    fn owner(&self) -> Option<(u32, u32)> {
        let number = if self.is_thread { 7 } else { self.number };
        self.fake.alive.lock().expect("lock").get(&number).map(|user| (*user, 0))
    }

    fn started(&self) -> Timestamp {
        Timestamp::default()
    }

    fn threads(&self) -> Vec<u32> {
        std::vec![7, 8]
    }

    fn thread(&self, number: u32) -> Option<Arc<dyn Subject>> {
        let known = self.threads().contains(&number);
        known.then(|| Arc::new(One { fake: self.fake.clone(), number, is_thread: true }) as Arc<dyn Subject>)
    }

    fn descriptors(&self) -> Result<Vec<u32>, Errno> {
        Ok(std::vec![0, 3])
    }

    fn descriptor(&self, number: u32) -> Result<(bool, bool), Errno> {
        if number == 0 || number == 3 { Ok((true, number == 3)) } else { Err(Errno::ENOENT) }
    }

    fn check(&self, file: SubjectFile) -> Result<(), Errno> {
        if file == SubjectFile::Environ { Err(Errno::EACCES) } else { Ok(()) }
    }

    fn read(&self, file: SubjectFile) -> Result<Vec<u8>, Errno> {
        self.owner().ok_or(Errno::ESRCH)?;
        let mut reads = self.fake.reads.lock().expect("lock");
        *reads += 1;
        Ok(match file {
            SubjectFile::Comm => self.fake.name.lock().expect("lock").clone(),
            _ => std::format!("{file:?} {} {}", self.number, *reads).into_bytes(),
        })
    }

    fn write(&self, _file: SubjectFile, bytes: &[u8]) -> Result<(), Errno> {
        *self.fake.name.lock().expect("lock") = bytes.to_vec();
        Ok(())
    }

    fn read_memory(&self, address: u64, sink: &mut Sink) -> Result<(), Errno> {
        sink.put(&[address as u8, 1, 2])?;
        Err(Errno::EIO)
    }

    fn write_memory(&self, _address: u64, _source: &mut Source) -> Result<usize, Errno> {
        Err(Errno::EIO)
    }

    fn follow(&self, _link: SubjectLink) -> Result<Path, Errno> {
        Ok(self.fake.target.clone())
    }
}

/// A world with `/proc` showing processes 1 (of user 50), 7 (with thread 8), and a file that all links lead to.
fn world() -> (World, Arc<Fake>) {
    let world = World::new();
    let context = world.context();
    context.mkdir(None, b"/proc", 0o755).expect("mkdir");
    let how = OpenHow { permissions: 0o644, ..OpenHow::flags(open::O_CREAT | open::O_WRONLY) };
    let file = context.open(None, b"/target", how).expect("create");
    write(&file, b"what it leads to").expect("write");
    let fake = Arc::new(Fake {
        alive: StdMutex::new(BTreeMap::from([(1, 50), (7, 0)])),
        target: file.path().clone(),
        reads: StdMutex::new(0),
        name: StdMutex::new(b"name\n".to_vec()),
    });
    let place = context.walk(None, b"/proc", WalkFlags::FOLLOW).expect("walk");
    let file_system = create(Arc::new(Shown(fake.clone()))).expect("create");
    world.namespace.mount(file_system, b"proc", 0, place).expect("mount");
    (world, fake)
}

fn open_at(world: &World, path: &str) -> Result<Arc<File>, Errno> {
    world.context().open(None, path.as_bytes(), OpenHow::flags(open::O_RDONLY))
}

fn text(world: &World, path: &str) -> String {
    let file = open_at(world, path).expect(path);
    String::from_utf8(read(&file, 1 << 16).expect(path)).expect("text")
}

fn names(world: &World, path: &str) -> Vec<String> {
    let file = open_at(world, path).expect(path);
    let mut names = Vec::new();
    // One at a time, so that every cursor is used.
    loop {
        let before = names.len();
        let mut taken = false;
        let mut sink = |entry: DirEntry<'_>| {
            if taken {
                return false;
            }
            taken = true;
            names.push(String::from_utf8_lossy(entry.name).to_string());
            true
        };
        file.read_dir(&mut sink).expect("list");
        if names.len() == before {
            return names;
        }
    }
}

#[test]
fn the_root_lists_what_is_registered_and_then_processes() {
    let (world, _) = world();
    let names = names(&world, "/proc");
    assert_eq!(names[..2], [".", ".."]);
    for expected in ["self", "thread-self", "mounts", "meminfo", "cpuinfo", "sys"] {
        assert_eq!(names.iter().filter(|name| *name == expected).count(), 1, "{expected}");
    }
    assert!(names.ends_with(&["1".to_string(), "7".to_string()]));
}

#[test]
fn every_listed_name_is_found_with_the_inode_number_listed() {
    let (world, _) = world();
    let mut numbers = Vec::new();
    for path in ["/proc", "/proc/sys", "/proc/7", "/proc/7/task", "/proc/7/task/8", "/proc/7/fd", "/proc/7/fdinfo"] {
        let file = open_at(&world, path).expect(path);
        let mut listed = Vec::new();
        let mut sink = |entry: DirEntry<'_>| {
            listed.push((entry.name.to_vec(), entry.inode, entry.kind));
            true
        };
        file.read_dir(&mut sink).expect("list");
        for (name, inode, kind) in listed.into_iter().filter(|(name, ..)| !name.starts_with(b".")) {
            let found = world.context().walk(Some(file.path()), &name, WalkFlags::NO_FOLLOW).expect("walk");
            let metadata = found.inode().metadata().expect("metadata");
            assert_eq!((metadata.inode, metadata.kind), (inode, kind), "{path} {name:?}");
            numbers.push(inode);
        }
    }
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count);
}

#[test]
fn self_is_who_looks() {
    let (world, _) = world();
    assert!(text(&world, "/proc/self/stat").starts_with("Stat 7 "));
    assert!(text(&world, "/proc/thread-self/stat").starts_with("Stat 8 "));
    assert!(text(&world, "/proc/mounts").starts_with("Mounts 7 "));
}

#[test]
fn a_text_is_made_anew_only_at_its_start() {
    let (world, _) = world();
    let file = open_at(&world, "/proc/7/stat").expect("open");
    assert_eq!(read(&file, 5).expect("read"), b"Stat ");
    assert_eq!(read(&file, 100).expect("read"), b"7 1");
    assert_eq!(read(&file, 100).expect("read"), b"");
    file.seek(0, 0).expect("seek");
    assert_eq!(read(&file, 100).expect("read"), b"Stat 7 2");
    let mut bytes = [0; 3];
    assert_eq!(file.read_at(5, &mut Sink::kernel(&mut bytes)), Ok(3));
    assert_eq!(&bytes, b"7 2");
}

#[test]
fn links_lead_to_the_object_and_not_to_its_name() {
    let (world, _) = world();
    assert_eq!(text(&world, "/proc/7/fd/3"), "what it leads to");
    world.context().unlink(None, b"/target").expect("unlink");
    assert_eq!(text(&world, "/proc/self/fd/3"), "what it leads to");
    let link = world.context().walk(None, b"/proc/7/exe", WalkFlags::NO_FOLLOW).expect("walk");
    assert_eq!(link.inode().read_link().expect("link"), b"/target (deleted)");
    assert_eq!(link.inode().ownership().permissions, 0o777);
    let link = world.context().walk(None, b"/proc/7/fd/0", WalkFlags::NO_FOLLOW).expect("walk");
    assert_eq!(link.inode().ownership().permissions, 0o500);
    assert_eq!(open_at(&world, "/proc/7/fd/2").err(), Some(Errno::ENOENT));
    assert_eq!(open_at(&world, "/proc/7/fd/03").err(), Some(Errno::ENOENT));
}

#[test]
fn what_is_gone_cannot_be_found_listed_or_read() {
    let (world, fake) = world();
    let file = open_at(&world, "/proc/1/stat").expect("open");
    let directory = open_at(&world, "/proc/1").expect("open");
    fake.alive.lock().expect("lock").remove(&1);
    assert_eq!(read(&file, 10), Err(Errno::ESRCH));
    assert_eq!(directory.metadata().err(), Some(Errno::ENOENT));
    assert_eq!(world.context().walk(Some(directory.path()), b"stat", WalkFlags::FOLLOW).err(), Some(Errno::ENOENT));
    let mut rest = |entry: DirEntry<'_>| entry.name.starts_with(b".");
    assert_eq!(directory.read_dir(&mut rest), Err(Errno::ENOENT));
    assert_eq!(open_at(&world, "/proc/1/stat").err(), Some(Errno::ENOENT));
    assert!(!names(&world, "/proc").contains(&"1".to_string()));
}

#[test]
fn only_what_may_be_written_is() {
    let (mut world, fake) = world();
    let write_to = |world: &World, path: &str, bytes: &[u8]| {
        let how = OpenHow::flags(open::O_WRONLY | open::O_TRUNC);
        world.context().open(None, path.as_bytes(), how).and_then(|file| write(&file, bytes))
    };
    assert_eq!(write_to(&world, "/proc/7/comm", b"new"), Ok(3));
    assert_eq!(*fake.name.lock().expect("lock"), b"new");
    assert_eq!(write_to(&world, "/proc/meminfo", b"1"), Err(Errno::EIO));
    assert_eq!(write_to(&world, "/proc/sys/vm/max_map_count", b"1"), Err(Errno::EACCES));
    assert_eq!(open_at(&world, "/proc/7/environ").err(), Some(Errno::EACCES));
    world.credentials = crate::Credentials::user(50, 50);
    assert_eq!(write_to(&world, "/proc/7/comm", b"x"), Err(Errno::EACCES));
    assert_eq!(write_to(&world, "/proc/1/comm", b"x"), Ok(1));
    assert_eq!(open_at(&world, "/proc/7/fd/3").err(), Some(Errno::EACCES));
    assert_eq!(world.context().mkdir(None, b"/proc/x", 0o755), Err(Errno::ENOENT));
}

#[test]
fn memory_is_read_where_it_is() {
    let (world, _) = world();
    let file = open_at(&world, "/proc/7/mem").expect("open");
    let mut bytes = [9; 8];
    assert_eq!(file.read_at(0x1234, &mut Sink::kernel(&mut bytes)), Ok(3));
    assert_eq!(bytes[..4], [0x34, 1, 2, 9]);
}

#[test]
fn the_machine_is_told_in_the_form_that_programs_parse() {
    let (world, _) = world();
    let memory = text(&world, "/proc/meminfo");
    let field = |name: &str| -> u64 {
        let line = memory.lines().find(|line| line.starts_with(name)).expect(name);
        let rest = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')).expect(name);
        rest.trim().strip_suffix(" kB").expect("unit").parse().expect("number")
    };
    assert!(field("MemTotal") >= field("MemFree") && field("MemFree") >= field("MemAvailable"));
    assert!(field("MemAvailable") > 0);
    assert_eq!(field("SwapTotal"), 0);
    let processors = text(&world, "/proc/cpuinfo");
    let blocks = processors.split_terminator("\n\n").count();
    assert_eq!(blocks, kernel_hal::cpu::count());
    assert!(processors.lines().any(|line| line.starts_with("flags\t\t: fpu ") && line.ends_with(" sse2")));
    assert!(
        processors.contains("model name\t: Hosted machine\n") && processors.contains("vendor_id\t: HostedMa    \n")
    );
    let once = text(&world, "/proc/sys/kernel/random/uuid");
    assert_ne!(once, text(&world, "/proc/sys/kernel/random/uuid"));
    let parts: Vec<&str> = once.trim().split('-').collect();
    assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    assert!(parts[2].starts_with('4') && "89ab".contains(&parts[3][..1]));
    let boot = text(&world, "/proc/sys/kernel/random/boot_id");
    assert_eq!(boot, text(&world, "/proc/sys/kernel/random/boot_id"));
    assert_eq!(text(&world, "/proc/sys/fs/pipe-max-size"), "1048576\n");
}

#[test]
fn names_are_escaped_as_in_mount_tables() {
    let mut text = Text::new();
    text.escaped(b"/a b\\c\td", b" \t\n\\").expect("memory");
    assert_eq!(text.into_bytes(), b"/a\\040b\\134c\\011d");
}
