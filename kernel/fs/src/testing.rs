//! What the tests of this room share: a started machine, a generator of numbers, a tree to walk in.

use std::sync::Once;
use std::vec::Vec;

use alloc::sync::Arc;

use kernel_mm::Account;
use kernel_mm::io::{Sink, Source};

use crate::credentials::Credentials;
use crate::file::File;
use crate::tmpfs;
use crate::vfs::{Context, FileSystem, Inode, Namespace, Path, anonymous_path};

/// A generator that gives the same numbers for the same seed (xorshift64*, Vigna 2016).
pub(crate) struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        ((self.next() >> 16) % limit as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// An account without a limit, on a started machine.
pub(crate) fn account() -> Arc<Account> {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        kernel_hal::hosted::init(64 << 20);
        kernel_mm::init();
    });
    Account::new(usize::MAX / 2, None).expect("account")
}

/// A namespace and who looks at it.
pub(crate) struct World {
    pub namespace: Arc<Namespace>,
    pub root: Path,
    pub cwd: Path,
    pub credentials: Credentials,
}

impl World {
    /// A tmpfs as root, seen by root.
    pub fn new() -> World {
        let account = account();
        World::on(tmpfs::create(&account, tmpfs::Options::default()).expect("tmpfs"))
    }

    pub fn on(file_system: Arc<FileSystem>) -> World {
        let namespace = Namespace::new(file_system, b"none", 0);
        let root = namespace.root();
        World { namespace, cwd: root.clone(), root, credentials: Credentials::root() }
    }

    pub fn context(&self) -> Context<'_> {
        Context {
            namespace: &self.namespace,
            root: &self.root,
            cwd: &self.cwd,
            credentials: &self.credentials,
            umask: 0o022,
        }
    }
}

/// Reads at most `len` bytes from the file's position.
pub(crate) fn read(file: &File, len: usize) -> Result<Vec<u8>, aios_abi::Errno> {
    let mut bytes = std::vec![0; len];
    let count = file.read(&mut Sink::kernel(&mut bytes))?;
    bytes.truncate(count);
    Ok(bytes)
}

pub(crate) fn write(file: &File, bytes: &[u8]) -> Result<usize, aios_abi::Errno> {
    file.write(&mut Source::kernel(bytes))
}

/// The whole content of a regular file's inode.
pub(crate) fn read_inode(inode: &Arc<dyn Inode>) -> Vec<u8> {
    let request = crate::vfs::OpenRequest { read: true, ..Default::default() };
    let ops = inode.clone().open(&request).expect("open");
    let file = File::new(anonymous_path(inode.clone(), b"test"), ops, 0);
    let mut all = Vec::new();
    loop {
        let part = read(&file, 5000).expect("read");
        if part.is_empty() {
            return all;
        }
        all.extend(part);
    }
}
