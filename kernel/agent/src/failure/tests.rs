//! Agents that cannot be spawned from a file tree in memory, and what is said of each.

use std::string::{String, ToString};
use std::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::open;
use aios_abi::native::AgentId;
use kernel_cap::{Domain, Limits, Rights};
use kernel_fs::vfs::OpenHow;
use kernel_fs::{Context, Credentials, Namespace, tmpfs};
use kernel_hal::addr::PAGE_SIZE;
use kernel_mm::io::Source;
use kernel_process::Pids;

use alloc::sync::Arc;

use crate::{Agent, Failure, SpawnRequest};

pub(crate) struct World {
    pub parent: Arc<Agent>,
    namespace: Arc<Namespace>,
}

impl World {
    pub fn new() -> World {
        static STARTED: std::sync::Once = std::sync::Once::new();
        STARTED.call_once(|| {
            kernel_hal::hosted::init(64 << 20);
            kernel_mm::init();
        });
        let name = String::from("parent");
        let domain = Domain::new(AgentId::new(1, 1), name, Rights::all(), Limits::NONE, None).expect("domain");
        let files = tmpfs::create(domain.memory(), tmpfs::Options::default()).expect("tmpfs");
        let namespace = Namespace::new(files, b"none", 0);
        let pids = Pids::new(domain.clone());
        World { parent: Agent::new(None, domain, pids, namespace.clone()).expect("agent"), namespace }
    }

    /// An agent that `parent` spawned.
    pub fn child_of(parent: &Arc<Agent>) -> Arc<Agent> {
        let (id, name) = (AgentId::new(2, 1), String::from("child"));
        let domain = Domain::new(id, name, Rights::NONE, Limits::NONE, Some(parent.domain())).expect("domain");
        let files = tmpfs::create(domain.memory(), tmpfs::Options::default()).expect("tmpfs");
        let pids = Pids::new(domain.clone());
        Agent::new(Some(parent.id()), domain, pids, Namespace::new(files, b"none", 0)).expect("agent")
    }

    fn inside<T>(&self, act: impl FnOnce(&Context<'_>) -> T) -> T {
        let (root, credentials) = (self.namespace.root(), Credentials::root());
        act(&Context { namespace: &self.namespace, root: &root, cwd: &root, credentials: &credentials, umask: 0 })
    }

    fn put(&self, path: &str, permissions: u16, bytes: &[u8]) {
        self.inside(|files| {
            let how = OpenHow { flags: open::O_CREAT | open::O_WRONLY, permissions, ..OpenHow::default() };
            let file = files.open(None, path.as_bytes(), how).expect("open");
            assert_eq!(file.write(&mut Source::kernel(bytes)), Ok(bytes.len()));
        });
    }

    fn spawn(&self, cwd: &str, command: &str, frames: u64) -> Failure {
        let request = SpawnRequest {
            name: "child".to_string(),
            image: self.namespace.root(),
            binds: Vec::new(),
            argv: std::vec![command.as_bytes().to_vec()],
            env: std::vec![b"PATH=/bin:/none".to_vec()],
            cwd: cwd.as_bytes().to_vec(),
            stdio: [None, None, None],
            terminal: None,
            limits: Limits { frames, ..Limits::NONE },
            freeze_on_fault: false,
            rights: Rights::INSPECT,
        };
        crate::spawn(&self.parent, request).expect_err("refused")
    }
}

#[test]
fn a_failure_names_the_path_at_fault_and_why() {
    let world = World::new();
    world.inside(|files| {
        files.mkdir(None, b"/bin", 0o755).expect("directory");
        files.symlink(b"/nowhere", None, b"/bin/dangling").expect("link");
    });
    world.put("/bin/plain", 0o644, b"#!/bin/sh\n");
    world.put("/bin/lost", 0o755, b"#!/bin/nosh\n");
    world.put("/bin/dos", 0o755, b"#!/bin/sh\r\n");
    world.put("/bin/over", 0o755, b"#!/bin/plain\n");
    world.put("/bin/text", 0o755, b"hello");
    for (cwd, command, error, text) in [
        ("/none", "lost", Errno::ENOENT, "the working directory /none does not exist"),
        ("/bin/text", "lost", Errno::ENOTDIR, "the working directory /bin/text is not a directory"),
        (
            "/bin/text/x",
            "lost",
            Errno::ENOTDIR,
            "the working directory /bin/text/x does not exist: a part of its path is not a directory",
        ),
        ("", "nothing", Errno::ENOENT, "there is no program nothing in PATH (/bin:/none)"),
        ("", "/bin/nothing", Errno::ENOENT, "the program /bin/nothing does not exist"),
        (
            "",
            "/bin/dangling",
            Errno::ENOENT,
            "the program /bin/dangling is a symbolic link to something that does not exist",
        ),
        ("", "plain", Errno::EACCES, "the program /bin/plain may not be executed: it has no x permission (chmod +x)"),
        (
            "/bin",
            "./plain",
            Errno::EACCES,
            "the program ./plain may not be executed: it has no x permission (chmod +x)",
        ),
        ("", "/bin", Errno::EACCES, "the program /bin is a directory"),
        ("", "lost", Errno::ENOENT, "the interpreter /bin/nosh of /bin/lost does not exist"),
        ("", "dos", Errno::ENOENT, "the interpreter /bin/sh\\r of /bin/dos does not exist"),
        (
            "",
            "over",
            Errno::EACCES,
            "the interpreter /bin/plain of /bin/over may not be executed: it has no x permission (chmod +x)",
        ),
        (
            "",
            "text",
            Errno::ENOEXEC,
            "the program /bin/text is neither an ELF program for x86-64 nor a script that begins with #!",
        ),
    ] {
        let failure = world.spawn(cwd, command, u64::MAX);
        assert_eq!((failure.error, failure.text.as_str()), (error, text));
    }
}

#[test]
fn a_limit_that_is_too_little_is_named() {
    let failure = World::new().spawn("", "x", 1);
    assert_eq!(failure.error, Errno::ENOMEM);
    assert_eq!(failure.text, std::format!("its memory limit of {} KiB is too little to start it", PAGE_SIZE / 1024));
}
