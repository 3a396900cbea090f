//! The texts, read back as programs read them, over processes that never run.

use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::open;
use kernel_fs::vfs::{OpenHow, WalkFlags};
use kernel_fs::{Credentials, File, procfs, tmpfs};
use kernel_hal::addr::Virt;
use kernel_hal::paging::Prot;
use kernel_mm::io::{Sink, Source};
use kernel_mm::{MapBacking, MapFlags, MapRequest};

use super::*;
use crate::exit::ExitReason;
use crate::process::{Departed, Layout, State};
use crate::testing::World;
use crate::{Process, exit};

/// A world with `/proc`, and in it one process with two threads.
struct Scene {
    world: World,
    process: Arc<Process>,
    threads: Vec<Arc<Thread>>,
}

impl Scene {
    fn new() -> Scene {
        let world = World::new();
        let process = world.process();
        let threads = world.threads(&process, 2);
        threads[0].set_tid(process.pid());
        threads[0].set_name(b"lea der)");
        threads[1].set_name(b"second");
        world.pids.publish_process(&process);
        for thread in &threads {
            world.pids.publish(thread);
            process.threads.lock().push(thread.clone());
        }
        world.context().mkdir(None, b"/proc", 0o755).expect("mkdir");
        let place = world.context().walk(None, b"/proc", WalkFlags::FOLLOW).expect("walk");
        let system = procfs::create(proc_view(&world.pids)).expect("proc");
        world.view.namespace.mount(system, b"proc", 0, place).expect("mount");
        Scene { world, process, threads }
    }

    fn open(&self, name: &str) -> Result<Arc<File>, Errno> {
        let path = std::format!("/proc/{}/{name}", self.process.pid());
        self.world.context().open(None, path.as_bytes(), OpenHow::flags(open::O_RDONLY))
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, Errno> {
        let file = self.open(name)?;
        let mut bytes = std::vec![0; 1 << 16];
        let count = file.read(&mut Sink::kernel(&mut bytes))?;
        bytes.truncate(count);
        Ok(bytes)
    }

    fn text(&self, name: &str) -> String {
        String::from_utf8(self.bytes(name).expect(name)).expect("text")
    }

    fn status(&self) -> BTreeMap<String, String> {
        let text = self.text("status");
        let field = |line: &str| {
            let (name, value) = line.split_once(":\t").expect("a field");
            (name.to_string(), value.trim().to_string())
        };
        text.lines().map(field).collect()
    }

    fn link(&self, name: &str) -> Result<Vec<u8>, Errno> {
        let path = std::format!("/proc/{}/{name}", self.process.pid());
        self.world.context().walk(None, path.as_bytes(), WalkFlags::NO_FOLLOW)?.inode().read_link()
    }

    fn map(&self, at: u64, pages: u64, prot: Prot, backing: MapBacking, shared: bool, label: &'static str) {
        let flags = MapFlags { fixed: true, shared, ..MapFlags::default() };
        let request = MapRequest { hint: Virt(at), len: pages << 12, prot, flags, backing, label };
        self.process.space().expect("space").map(request).expect("map");
    }

    /// Ends the process as its threads would.
    fn end(&self) {
        *self.process.departed.lock() =
            Some(Departed { name: self.threads[0].name(), credentials: self.threads[0].credentials() });
        self.process.threads.lock().clear();
        drop(self.process.replace_space(None));
        *self.process.state.lock() = State::Zombie(ExitReason::exited(3));
    }
}

#[test]
fn stat_has_52_fields_whatever_the_name() {
    let scene = Scene::new();
    let text = scene.text("stat");
    let (name, rest) = text.rsplit_once(") ").expect("a name");
    assert_eq!(name, std::format!("{} (lea der)", scene.process.pid()));
    let fields: Vec<&str> = rest.trim_end().split(' ').collect();
    assert_eq!(fields.len(), 50);
    assert!(fields[1..].iter().all(|field| field.parse::<i128>().is_ok()), "{text}");
    // State, group, session, terminal's group, priority, nice, threads.
    assert_eq!((fields[0], fields[5], fields[15], fields[16], fields[17]), ("R", "-1", "20", "0", "2"));
    assert_eq!(fields[2], scene.process.group().to_string());
    assert_eq!(text.matches('\n').count(), 1);
}

#[test]
fn a_thread_tells_of_itself() {
    let scene = Scene::new();
    let tid = scene.threads[1].tid();
    let name = |file: &str| std::format!("task/{tid}/{file}");
    assert_eq!(scene.text(&name("comm")), "second\n");
    assert!(scene.text(&name("stat")).starts_with(&std::format!("{tid} (second) R ")));
    let status = scene.text(&name("status"));
    assert!(status.contains(&std::format!("\nTgid:\t{}\n", scene.process.pid())));
    assert!(status.contains(&std::format!("\nPid:\t{tid}\n")));
    // By its number alone it is found too, though not listed.
    let path = std::format!("/proc/{tid}/comm");
    assert!(scene.world.context().walk(None, path.as_bytes(), WalkFlags::FOLLOW).is_ok());
}

#[test]
fn status_tells_identity_memory_and_signals() {
    let scene = Scene::new();
    let groups = Arc::from([4u32, 24]);
    let who = Credentials { suid: 7, groups, ..Credentials::user(5, 6) };
    scene.threads[0].set_credentials(who);
    scene.map(0x10_0000, 4, Prot::RW, MapBacking::Anonymous, false, "");
    let space = scene.process.space().expect("space");
    space.write_bytes(Virt(0x10_0000), &[1; 5000]).expect("write");
    let status = scene.status();
    let expected = [
        ("Name", "lea der)"),
        ("Umask", "0000"),
        ("State", "R (running)"),
        ("PPid", "0"),
        ("Uid", "5\t5\t7\t5"),
        ("Gid", "6\t6\t6\t6"),
        ("Groups", "4 24"),
        ("FDSize", "64"),
        ("VmSize", "16 kB"),
        ("VmRSS", "8 kB"),
        ("RssAnon", "8 kB"),
        ("VmData", "16 kB"),
        ("Threads", "2"),
        ("SigQ", "0/32768"),
        ("SigBlk", "0000000000000000"),
        ("CapEff", "0000000000000000"),
        ("CapBnd", "000001ffffffffff"),
        ("voluntary_ctxt_switches", "0"),
    ];
    for (name, value) in expected {
        assert_eq!(status.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(scene.text("statm"), "4 2 0 0 0 4 0\n");
}

#[test]
fn maps_has_a_line_for_each_area_as_linux_writes_it() {
    let scene = Scene::new();
    scene.world.put(b"/lib with\nline", &[0; 0x3000]);
    let how = OpenHow::flags(open::O_RDONLY);
    let file = scene.world.context().open(None, b"/lib with\nline", how).expect("open");
    let object = file.map().expect("object");
    let backing = MapBacking::Object { object, offset: 0x1000, file: Some(file.clone()), max: Prot::RX };
    scene.map(0x40_0000, 2, Prot::RX, backing, false, "");
    scene.map(0x50_0000, 1, Prot::RW, MapBacking::Anonymous, true, "");
    scene.map(0x7fff_0000_0000, 1, Prot::RW, MapBacking::Anonymous, false, "[stack]");
    let metadata = file.metadata().expect("metadata");
    let device = std::format!("{:02x}:{:02x}", metadata.device.major, metadata.device.minor);
    let padded = |text: String, name: &str| std::format!("{text:<73}{name}\n");
    let expected = [
        padded(std::format!("00400000-00402000 r-xp 00001000 {device} {}", metadata.inode), "/lib with\\012line"),
        "00500000-00501000 rw-s 00000000 00:00 0 \n".to_string(),
        padded("7fff00000000-7fff00001000 rw-p 00000000 00:00 0".to_string(), "[stack]"),
    ];
    assert_eq!(scene.text("maps"), expected.concat());
    scene.world.context().unlink(None, b"/lib with\nline").expect("unlink");
    assert!(scene.text("maps").contains("/lib with\\012line (deleted)\n"));
}

#[test]
fn arguments_and_environment_are_read_where_they_lie() {
    let scene = Scene::new();
    scene.map(0x10_0000, 2, Prot::RW, MapBacking::Anonymous, false, "");
    let space = scene.process.space().expect("space");
    let at = 0x10_0ff8;
    space.write_bytes(Virt(at), b"prog\0-x\0\0A=1\0B=2\0").expect("write");
    let layout = Layout { arguments: (at, at + 9), environment: (at + 9, at + 17), ..Layout::default() };
    *scene.process.layout.lock() = layout;
    assert_eq!(scene.bytes("cmdline").expect("cmdline"), b"prog\0-x\0\0");
    assert_eq!(scene.bytes("environ").expect("environ"), b"A=1\0B=2\0");
    space.write_bytes(Virt(at), b"a title that is long").expect("write");
    assert_eq!(scene.bytes("cmdline").expect("cmdline"), b"a title that is l");
    // What is no longer there ends it.
    space.unmap(Virt(0x10_1000), 4096).expect("unmap");
    space.write_bytes(Virt(at), b"prog\0-x\0").expect("write");
    assert_eq!(scene.bytes("cmdline").expect("cmdline"), b"prog\0-x\0");
}

#[test]
fn memory_is_read_and_written_at_its_addresses() {
    let scene = Scene::new();
    scene.map(0x10_0000, 1, Prot::RW, MapBacking::Anonymous, false, "");
    let path = std::format!("/proc/{}/mem", scene.process.pid());
    let file = scene.world.context().open(None, path.as_bytes(), OpenHow::flags(open::O_RDWR)).expect("open");
    assert_eq!(file.write_at(0x10_0ffc, &mut Source::kernel(b"1234")), Ok(4));
    let mut bytes = [0; 8];
    assert_eq!(file.read_at(0x10_0ffc, &mut Sink::kernel(&mut bytes)), Ok(4));
    assert_eq!(&bytes, b"1234\0\0\0\0");
    assert_eq!(file.read_at(0x10_1000, &mut Sink::kernel(&mut bytes)), Err(Errno::EIO));
    assert_eq!(file.write_at(0x10_1000, &mut Source::kernel(b"1")), Err(Errno::EIO));
}

#[test]
fn descriptors_are_links_to_open_files() {
    let scene = Scene::new();
    scene.world.put(b"/data", b"content");
    let file = scene.world.context().open(None, b"/data", OpenHow::flags(open::O_RDWR)).expect("open");
    let files = scene.threads[0].files();
    files.put(file.clone(), 0, 64, false).expect("put");
    files.put(file.clone(), 5, 64, true).expect("put");
    assert_eq!(scene.link("fd/5"), Ok(b"/data".to_vec()));
    assert_eq!(scene.link("fd/1"), Err(Errno::ENOENT));
    scene.world.context().unlink(None, b"/data").expect("unlink");
    assert_eq!(scene.link("fd/0"), Ok(b"/data (deleted)".to_vec()));
    // The very file, with a position of its own.
    assert_eq!(scene.bytes("fd/0"), Ok(b"content".to_vec()));
    file.seek(3, 0).expect("seek");
    let inode = file.inode().number();
    let mount = file.path().mount.id();
    assert_eq!(scene.text("fdinfo/5"), std::format!("pos:\t3\nflags:\t02000002\nmnt_id:\t{mount}\nino:\t{inode}\n"));
    assert_eq!(scene.link("cwd"), Ok(b"/".to_vec()));
    assert_eq!(scene.link("exe"), Err(Errno::ENOENT));
}

#[test]
fn mounts_are_told_with_flags_and_escapes() {
    let scene = Scene::new();
    let context = scene.world.context();
    context.mkdir(None, b"/a b", 0o755).expect("mkdir");
    let place = context.walk(None, b"/a b", WalkFlags::FOLLOW).expect("walk");
    let system = tmpfs::create(scene.world.pids.domain().memory(), tmpfs::Options::default()).expect("tmpfs");
    let flags = kernel_fs::vfs::mount_flags::READ_ONLY | kernel_fs::vfs::mount_flags::NO_SUID;
    let mount = scene.world.view.namespace.mount(system, b"#src", flags, place).expect("mount");
    let text = scene.text("mounts");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, ["none / tmpfs rw 0 0", "proc /proc proc rw 0 0", "\\043src /a\\040b tmpfs ro,nosuid 0 0"]);
    let text = scene.text("mountinfo");
    let last = text.lines().last().expect("a line");
    let root = scene.world.view.root.mount.id();
    let minor = mount.root().inode().metadata().expect("metadata").device.minor;
    assert_eq!(last, std::format!("{} {root} 0:{minor} / /a\\040b ro,nosuid - tmpfs \\043src ro", mount.id()));
}

#[test]
fn limits_are_a_table() {
    let scene = Scene::new();
    let text = scene.text("limits");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 17);
    assert_eq!(lines[0], "Limit                     Soft Limit           Hard Limit           Units     ");
    assert_eq!(lines[4], "Max stack size            8388608              unlimited            bytes     ");
    assert_eq!(lines[14], "Max nice priority         0                    0                    ");
}

#[test]
fn a_zombie_keeps_name_and_owner_and_nothing_else() {
    let scene = Scene::new();
    scene.threads[0].set_credentials(Credentials::user(5, 6));
    scene.end();
    let status = scene.status();
    assert_eq!(status["State"], "Z (zombie)");
    assert_eq!((status["Name"].as_str(), status["Uid"].as_str()), ("lea der)", "5\t5\t5\t5"));
    assert!(!status.contains_key("VmSize"));
    assert!(scene.text("stat").trim_end().ends_with(" 768"));
    assert_eq!((scene.text("cmdline"), scene.text("maps")), (String::new(), String::new()));
    assert_eq!(scene.link("cwd"), Err(Errno::ENOENT));
    let directory = scene.open("fd").expect("fd");
    let mut names = 0;
    directory
        .read_dir(&mut |_: kernel_fs::types::DirEntry<'_>| {
            names += 1;
            true
        })
        .expect("list");
    assert_eq!(names, 2);
}

#[test]
fn what_was_reaped_is_gone_even_for_who_has_it_open() {
    let scene = Scene::new();
    let file = scene.open("stat").expect("open");
    scene.end();
    exit::reap(&scene.process);
    assert_eq!(file.read(&mut Sink::kernel(&mut [0; 10])), Err(Errno::ESRCH));
    assert_eq!(scene.bytes("stat"), Err(Errno::ENOENT));
    assert!(proc_view(&scene.world.pids).numbers().is_empty());
}

#[test]
fn only_who_is_the_same_user_or_may_trace_looks_inside() {
    let scene = Scene::new();
    let other = scene.world.threads(&scene.world.process(), 1).remove(0);
    let found = View::process(&scene.process).found().expect("alive");
    let is_open_to = |reader: Credentials, target: Credentials| {
        scene.threads[0].set_credentials(target);
        other.set_credentials(reader);
        found.is_open_to(&other)
    };
    assert!(is_open_to(Credentials::root(), Credentials::user(5, 5)));
    assert!(is_open_to(Credentials::user(5, 5), Credentials::user(5, 5)));
    assert!(!is_open_to(Credentials::user(5, 5), Credentials::user(6, 5)));
    assert!(!is_open_to(Credentials::user(5, 5), Credentials { suid: 0, ..Credentials::user(5, 5) }));
    assert!(!is_open_to(Credentials::user(5, 5), Credentials::user(5, 6)));
    scene.process.dumpable.store(0, core::sync::atomic::Ordering::Relaxed);
    assert!(!is_open_to(Credentials::user(5, 5), Credentials::user(5, 5)));
    assert!(found.is_open_to(&scene.threads[1]));
}

#[test]
fn the_machine_tells_its_times() {
    let scene = Scene::new();
    register_machine();
    let read = |path: &[u8]| {
        let file = scene.world.context().open(None, path, OpenHow::flags(open::O_RDONLY)).expect("open");
        let mut bytes = std::vec![0; 4096];
        let count = file.read(&mut Sink::kernel(&mut bytes)).expect("read");
        bytes.truncate(count);
        String::from_utf8(bytes).expect("text")
    };
    let stat = read(b"/proc/stat");
    let processors = stat.lines().filter(|line| line.starts_with("cpu")).collect::<Vec<_>>();
    assert_eq!(processors.len(), kernel_hal::cpu::count() + 1);
    assert!(processors.iter().all(|line| line.split_whitespace().count() == 11));
    assert!(stat.contains("\nbtime 17672256"));
    let uptime = read(b"/proc/uptime");
    assert!(uptime.trim_end().split(' ').all(|number| number.parse::<f64>().is_ok()), "{uptime}");
    // Two numbers were given out: to the process and to its second thread, whose own became the process's.
    scene.world.pids.load().sample(6);
    assert_eq!(read(b"/proc/loadavg"), "0.48 0.10 0.03 2/2 3\n");
    assert!(stat.contains("\nprocesses 3\nprocs_running 2\nprocs_blocked 0\n"), "{stat}");
    let statistics = read(b"/proc/schedstat");
    let (head, processors) = statistics.split_at(statistics.find("cpu0 ").expect("a processor"));
    assert!(head.starts_with("version 16\ntimestamp ") && head.lines().count() == 2, "{statistics}");
    assert_eq!(processors.lines().count(), kernel_hal::cpu::count());
    assert!(
        processors.lines().all(|line| line.split(' ').skip(1).filter(|word| word.parse::<u64>().is_ok()).count() == 9)
    );
    assert_eq!(read(b"/proc/sys/kernel/pid_max"), "4194304\n");
}

#[test]
fn a_thread_tells_how_it_was_scheduled() {
    let scene = Scene::new();
    let tid = scene.threads[1].tid();
    // These threads never ran.
    assert_eq!(scene.text("schedstat"), "0 0 0\n");
    assert_eq!(scene.text(&std::format!("task/{tid}/schedstat")), "0 0 0\n");
    let table = scene.text(&std::format!("task/{tid}/sched"));
    assert_eq!(table, std::format!("second ({tid}, #threads: 2)\n{}\n", "-".repeat(67)));
    scene.end();
    assert_eq!(scene.text("schedstat"), "0 0 0\n");
    assert!(scene.text("sched").starts_with(&std::format!("lea der) ({}, #threads: ", scene.process.pid())));
}
