//! What `/proc` says of the machine: files by path, each registered by the room that knows its text.
//!
//! Directories are there as soon as a path goes through them. Numbers follow the order of registration and are inode
//! numbers and places in listings at once.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;

use aios_abi::Errno;
use kernel_sync::SpinLock;

use super::Processes;

type Read = dyn Fn(&dyn Processes) -> Result<Vec<u8>, Errno> + Send + Sync;
type Write = dyn Fn(&[u8]) -> Result<(), Errno> + Send + Sync;

/// A file of the machine's.
pub struct Entry {
    pub(super) permissions: u16,
    pub(super) read: Box<Read>,
    pub(super) write: Option<Box<Write>>,
    /// Refuses to be opened for writing (`/proc/sys`); else writing fails with `EIO`.
    pub(super) fixed: bool,
}

impl Entry {
    /// A file whose text is what `read` returns; it is told whose `/proc` it is read in.
    pub fn new(read: impl Fn(&dyn Processes) -> Result<Vec<u8>, Errno> + Send + Sync + 'static) -> Entry {
        Entry { permissions: 0o444, read: Box::new(read), write: None, fixed: false }
    }

    /// A line that never changes; not to be written to.
    pub fn constant(value: impl core::fmt::Display) -> Entry {
        let line = alloc::format!("{value}\n").into_bytes();
        Entry { fixed: true, ..Entry::new(move |_| Ok(line.clone())) }
    }

    /// Lets root write it. `write` gets what one call wrote.
    #[must_use]
    pub fn writable(self, write: impl Fn(&[u8]) -> Result<(), Errno> + Send + Sync + 'static) -> Entry {
        Entry { permissions: 0o644, write: Some(Box::new(write)), fixed: false, ..self }
    }

    /// Refuses to be opened for writing.
    #[must_use]
    pub fn fixed(self) -> Entry {
        Entry { fixed: true, ..self }
    }
}

/// A symbolic link of the machine's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MachineLink {
    /// To the reader's process.
    Current,
    /// To the reader's thread.
    CurrentThread,
    Fixed(&'static str),
}

#[derive(Clone)]
pub(super) enum Node {
    Directory,
    File(Arc<Entry>),
    Link(MachineLink),
}

struct Tree {
    nodes: BTreeMap<&'static str, (u64, Node)>,
    next: u64,
}

static TREE: SpinLock<Tree> = SpinLock::new(Tree { nodes: BTreeMap::new(), next: FIRST });

/// The root is number 1.
const FIRST: u64 = 2;

/// Shows `entry` at `path`, such as `sys/kernel/ostype`, in every `/proc`. The last one registered at a path counts.
pub fn register(path: &'static str, entry: Entry) {
    insert(path, Node::File(Arc::new(entry)));
}

pub(super) fn register_link(path: &'static str, link: MachineLink) {
    insert(path, Node::Link(link));
}

fn insert(path: &'static str, node: Node) {
    let mut tree = TREE.lock();
    for (end, _) in path.match_indices('/') {
        if let Some(directory) = path.get(..end) {
            tree.number(directory, Node::Directory);
        }
    }
    let before = tree.number(path, node);
    drop(tree);
    drop(before);
}

impl Tree {
    /// Puts a node at a path, which keeps its number when it has one. A directory stays what it was.
    fn number(&mut self, path: &'static str, node: Node) -> Option<Node> {
        match self.nodes.get_mut(path) {
            Some((_, known)) if !matches!(node, Node::Directory) => Some(core::mem::replace(known, node)),
            Some(_) => None,
            None => {
                self.nodes.insert(path, (self.next, node));
                self.next += 1;
                None
            }
        }
    }
}

/// The path of what is called `name` in the directory `path`.
fn below(path: &str, name: &str) -> String {
    if path.is_empty() { String::from(name) } else { alloc::format!("{path}/{name}") }
}

/// What is registered as `name` in the directory `path`: its path, number and node.
pub(super) fn find(path: &str, name: &[u8]) -> Option<(&'static str, u64, Node)> {
    let wanted = below(path, core::str::from_utf8(name).ok()?);
    let tree = TREE.lock();
    let (path, (number, node)) = tree.nodes.get_key_value(wanted.as_str())?;
    Some((path, *number, node.clone()))
}

/// Names in the directory `path` from a number on, in the order of their numbers.
pub(super) fn list(path: &str, from: u64) -> Vec<(u64, &'static str, Node)> {
    let prefix = below(path, "");
    let tree = TREE.lock();
    let mut found: Vec<_> = tree
        .nodes
        .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
        .take_while(|(path, _)| path.starts_with(&prefix))
        .filter_map(|(path, (number, node))| Some((*number, path.strip_prefix(prefix.as_str())?, node.clone())))
        .filter(|(number, name, _)| *number >= from && !name.contains('/'))
        .collect();
    drop(tree);
    found.sort_unstable_by_key(|(number, ..)| *number);
    found
}
