//! What the tests of this room share: a started machine with a file tree, programs in it, processes that never run.

use alloc::sync::{Arc, Weak};
use std::string::String;
use std::vec::Vec;

use aios_abi::linux::consts::open;
use aios_abi::native::AgentId;
use kernel_cap::{Domain, Limits, Rights};
use kernel_fs::vfs::OpenHow;
use kernel_fs::{Context, Credentials, Namespace, tmpfs};
use kernel_mm::io::Source;
use kernel_mm::{AddressSpace, Headroom, charge_kernel_bytes};

use crate::signal::{Handlers, ThreadSignals};
use crate::{Files, Pids, Place, Process, ResourceLimits, Thread, View, process, thread};

/// Starts the machine, once for all tests.
pub(crate) fn start() {
    static STARTED: std::sync::Once = std::sync::Once::new();
    STARTED.call_once(|| {
        kernel_hal::hosted::init(64 << 20);
        kernel_mm::init();
    });
}

/// An agent with an empty file tree, where it is the superuser.
pub(crate) struct World {
    pub pids: Arc<Pids>,
    pub view: View,
    pub credentials: Credentials,
}

impl World {
    pub fn new() -> World {
        start();
        let domain =
            Domain::new(AgentId::new(1, 1), String::from("test"), Rights::all(), Limits::NONE, None).expect("domain");
        let files = tmpfs::create(domain.memory(), tmpfs::Options::default()).expect("tmpfs");
        let namespace = Namespace::new(files, b"none", 0);
        let root = namespace.root();
        let view = View { namespace, cwd: root.clone(), root, umask: 0 };
        World { pids: Pids::new(domain), view, credentials: Credentials::root() }
    }

    pub fn context(&self) -> Context<'_> {
        let View { namespace, root, cwd, umask } = &self.view;
        Context { namespace, root, cwd, credentials: &self.credentials, umask: *umask }
    }

    /// Makes an executable file.
    pub fn put(&self, path: &[u8], bytes: &[u8]) {
        let how =
            OpenHow { flags: open::O_CREAT | open::O_WRONLY | open::O_TRUNC, permissions: 0o755, ..OpenHow::default() };
        let file = self.context().open(None, path, how).expect("open");
        assert_eq!(file.write(&mut Source::kernel(bytes)), Ok(bytes.len()));
    }

    /// A process that has memory and no threads.
    pub fn process(&self) -> Arc<Process> {
        let account = self.pids.domain().memory();
        let pid = self.pids.allocate().expect("a number");
        Process::new(process::Parts {
            pid,
            pids: self.pids.clone(),
            parent: Weak::new(),
            group: pid,
            session: pid,
            exit_signal: 0,
            space: AddressSpace::new(account).expect("space"),
            handlers: Handlers::new(),
            limits: ResourceLimits::initial(),
            executable: None,
            layout: process::Layout::default(),
            charge: charge_kernel_bytes(account, 0).expect("charge"),
        })
    }

    /// Threads of a process that nothing runs.
    pub fn threads(&self, process: &Arc<Process>, count: usize) -> Vec<Arc<Thread>> {
        let domain = self.pids.domain();
        (0..count)
            .map(|_| {
                Thread::new(thread::Parts {
                    tid: self.pids.allocate().expect("a number"),
                    process: process.clone(),
                    name: [0; 16],
                    files: Files::new(domain),
                    place: Place::new(self.view.clone()),
                    credentials: Arc::new(self.credentials.clone()),
                    signals: ThreadSignals::default(),
                    clear_tid: 0,
                    hold: domain.threads().take(1).expect("thread"),
                    charge: charge_kernel_bytes(domain.memory(), 0).expect("charge"),
                    headroom: Headroom::new().expect("headroom"),
                })
            })
            .collect()
    }
}
