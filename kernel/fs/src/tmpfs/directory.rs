//! Directories in memory: names by hash, and in the order they were made.
//!
//! An entry keeps its place for as long as it exists, so a listing that goes on after entries were removed or added
//! neither repeats nor loses any of those that stayed.
//!
//! Lock order: one directory's lock, or two in the order of inode numbers; then attributes.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use aios_abi::Errno;
use hashbrown::HashMap;
use kernel_mm::{Account, KernelCharge, charge_kernel_bytes};

use super::node::Node;
use crate::types::{DirEntry, DirSink, FileType, RenameMode};
use crate::vfs::{Inode, NameHash};

/// What a name costs that does not come with its inode.
const LINK_BYTES: usize = 256;

/// Who pays for a name.
pub(crate) enum LinkCharge {
    /// The inode's own charge covers its first name.
    WithInode,
    Extra {
        _charge: KernelCharge,
    },
}

impl LinkCharge {
    pub(crate) fn of_its_own(account: &Arc<Account>) -> Result<LinkCharge, Errno> {
        Ok(LinkCharge::Extra { _charge: charge_kernel_bytes(account, LINK_BYTES)? })
    }
}

struct Entry {
    name: Arc<[u8]>,
    node: Arc<Node>,
    charge: LinkCharge,
}

pub(super) struct Directory {
    names: HashMap<Arc<[u8]>, u64, NameHash>,
    entries: BTreeMap<u64, Entry>,
    next: u64,
    /// Removed: nothing can be made in it any more.
    dead: bool,
    /// As the upper directory of an overlay: hides the lower one.
    opaque: bool,
}

impl Default for Directory {
    fn default() -> Directory {
        // 0 and 1 are the cursors of `.` and `..`.
        Directory { names: HashMap::default(), entries: BTreeMap::new(), next: 2, dead: false, opaque: false }
    }
}

impl Directory {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    fn get(&self, name: &[u8]) -> Option<&Arc<Node>> {
        let place = self.names.get(name)?;
        self.entries.get(place).map(|entry| &entry.node)
    }

    /// Adds a name that is not there; room was [reserved](Directory::reserve), or another name has just gone.
    fn put(&mut self, name: &[u8], node: Arc<Node>, charge: LinkCharge) {
        let name: Arc<[u8]> = Arc::from(name);
        let place = self.next;
        self.next += 1;
        self.names.insert(name.clone(), place);
        self.entries.insert(place, Entry { name, node, charge });
    }

    fn take(&mut self, name: &[u8]) -> Option<Entry> {
        let place = self.names.remove(name)?;
        self.entries.remove(&place)
    }

    /// Empties the directory of an inode that goes.
    pub fn take_all(&mut self) -> Below {
        Below { entries: core::mem::take(&mut self.entries), up: None }
    }

    /// Makes sure that a name can be put.
    fn reserve(&mut self) -> Result<(), Errno> {
        self.names.try_reserve(1).map_err(|_| Errno::ENOMEM)
    }

    pub fn list(&self, cursor: u64, sink: &mut dyn DirSink) {
        for (place, entry) in self.entries.range(cursor..) {
            let taken = sink.entry(DirEntry {
                name: &entry.name,
                inode: entry.node.number(),
                kind: entry.node.kind(),
                next: place + 1,
            });
            if !taken {
                break;
            }
        }
    }
}

/// What was in a directory that goes, and, above it, what is left of those that led to it.
#[derive(Default)]
pub(super) struct Below {
    entries: BTreeMap<u64, Entry>,
    up: Option<Box<Below>>,
}

impl Below {
    /// Drops everything one by one: the tree may be deeper than the stack, and no list of it is made, since there may be
    /// no memory for one. What a level takes here is less than its directory gave back before.
    pub fn drop_all(mut self) {
        loop {
            if let Some((_, entry)) = self.entries.pop_first() {
                let below = Arc::into_inner(entry.node).and_then(|mut node| node.take_children());
                if let Some(below) = below.filter(|below| !below.entries.is_empty()) {
                    let up = core::mem::replace(&mut self, below);
                    self.up = Some(Box::new(up));
                }
            } else if let Some(up) = self.up.take() {
                self = *up;
            } else {
                return;
            }
        }
    }
}

impl Node {
    /// The child of that name: `ENOENT` when there is none.
    pub(crate) fn entry(&self, name: &[u8]) -> Result<Arc<Node>, Errno> {
        self.directory()?.lock().get(name).cloned().ok_or(Errno::ENOENT)
    }

    /// Calls `each` with every name and node.
    pub(crate) fn for_each_entry(&self, each: &mut dyn FnMut(&[u8], &Arc<Node>)) -> Result<(), Errno> {
        for entry in self.directory()?.lock().entries.values() {
            each(&entry.name, &entry.node);
        }
        Ok(())
    }

    pub(crate) fn is_opaque(&self) -> bool {
        self.directory().is_ok_and(|directory| directory.lock().opaque)
    }

    pub(crate) fn set_opaque(&self) -> Result<(), Errno> {
        self.directory()?.lock().opaque = true;
        Ok(())
    }

    /// Names `node`. `EEXIST` when the name is taken, `ENOENT` when this directory was removed.
    pub(crate) fn insert(&self, name: &[u8], node: &Arc<Node>, charge: LinkCharge) -> Result<(), Errno> {
        let mut directory = self.directory()?.lock();
        if directory.dead {
            return Err(Errno::ENOENT);
        }
        if directory.names.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        directory.reserve()?;
        directory.put(name, node.clone(), charge);
        drop(directory);
        node.add_links(1);
        if node.kind() == FileType::Directory {
            self.add_links(1);
        }
        self.touch();
        Ok(())
    }

    /// Names `node` in place of what has the name now, which goes. For overlays: kinds are not looked at.
    pub(crate) fn insert_over(&self, name: &[u8], node: &Arc<Node>) -> Result<(), Errno> {
        self.put_over(name, node, LinkCharge::WithInode)?;
        self.touch();
        Ok(())
    }

    /// The same with one more name of a node.
    pub(crate) fn insert_link_over(&self, name: &[u8], node: &Arc<Node>) -> Result<(), Errno> {
        let charge = LinkCharge::of_its_own(&self.shared().account)?;
        self.put_over(name, node, charge)?;
        self.touch();
        Ok(())
    }

    /// Names a copy of what an overlay's lower layer has here: nothing changes for who looks.
    pub(crate) fn insert_copy(&self, name: &[u8], node: &Arc<Node>) -> Result<(), Errno> {
        let links = node.links();
        self.put_over(name, node, LinkCharge::WithInode)?;
        if node.kind() != FileType::Directory {
            node.set_links(links);
        }
        Ok(())
    }

    fn put_over(&self, name: &[u8], node: &Arc<Node>, charge: LinkCharge) -> Result<(), Errno> {
        let mut directory = self.directory()?.lock();
        if directory.dead {
            return Err(Errno::ENOENT);
        }
        directory.reserve()?;
        let before = directory.take(name);
        directory.put(name, node.clone(), charge);
        drop(directory);
        node.add_links(1);
        self.add_links(i32::from(node.kind() == FileType::Directory));
        self.forget(before);
        Ok(())
    }

    /// Takes a name out, whatever it is and whatever is in it.
    pub(crate) fn discard(&self, name: &[u8]) -> Result<(), Errno> {
        let before = self.directory()?.lock().take(name);
        self.forget(before);
        self.touch();
        Ok(())
    }

    /// Counts that an entry of this directory has gone.
    fn forget(&self, entry: Option<Entry>) {
        if let Some(entry) = entry {
            self.add_links(-i32::from(entry.node.kind() == FileType::Directory));
            entry.node.let_go();
        }
    }

    /// Moves a name to one that is free.
    pub(crate) fn move_node(&self, name: &[u8], target: &Node, new_name: &[u8]) -> Result<(), Errno> {
        self.move_entry(name, target, new_name, RenameMode::NoReplace)
    }

    /// Counts that the node lost a name for good.
    fn let_go(&self) {
        match self.directory() {
            Ok(directory) => {
                directory.lock().dead = true;
                self.add_links(-2);
            }
            Err(_) => self.add_links(-1),
        }
    }

    /// Removes a name. `ENOTEMPTY` for a directory with entries.
    pub(crate) fn remove(&self, name: &[u8], directory_wanted: bool) -> Result<Arc<Node>, Errno> {
        let mut directory = self.directory()?.lock();
        let node = directory.get(name).cloned().ok_or(Errno::ENOENT)?;
        let is_directory = node.kind() == FileType::Directory;
        if is_directory != directory_wanted {
            return Err(if is_directory { Errno::EISDIR } else { Errno::ENOTDIR });
        }
        if is_directory {
            node.close_empty()?;
        }
        let entry = directory.take(name);
        drop(directory);
        drop(entry);
        if is_directory {
            self.add_links(-1);
            node.add_links(-2);
        } else {
            node.add_links(-1);
        }
        self.touch();
        Ok(node)
    }

    /// Lets nothing be made in a directory any more. `ENOTEMPTY` when it has entries.
    fn close_empty(&self) -> Result<(), Errno> {
        let mut directory = self.directory()?.lock();
        if !directory.entries.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        directory.dead = true;
        Ok(())
    }

    pub(super) fn move_entry(
        &self,
        name: &[u8],
        target: &Node,
        new_name: &[u8],
        mode: RenameMode,
    ) -> Result<(), Errno> {
        if core::ptr::eq(self, target) {
            let mut directory = self.directory()?.lock();
            let outcome = move_within(&mut directory, name, new_name, mode)?;
            drop(directory);
            self.after_move(&outcome, target);
            return Ok(());
        }
        let (first, second) = if self.number < target.number { (self, target) } else { (target, self) };
        let mut first = first.directory()?.lock();
        let mut second = second.directory()?.lock();
        let (here, there) =
            if self.number < target.number { (&mut first, &mut second) } else { (&mut second, &mut first) };
        let outcome = move_between(here, there, name, new_name, mode)?;
        drop(second);
        drop(first);
        self.after_move(&outcome, target);
        Ok(())
    }

    /// Corrects counts and times once the names are where they belong.
    fn after_move(&self, outcome: &Moved, target: &Node) {
        let is_directory = |node: &Arc<Node>| node.kind() == FileType::Directory;
        let moved = i32::from(is_directory(&outcome.moved));
        outcome.moved.add_links(0);
        match &outcome.replaced {
            Some(other) if outcome.exchanged => {
                other.add_links(0);
                let other = i32::from(is_directory(other));
                self.add_links(other - moved);
                target.add_links(moved - other);
            }
            replaced => {
                if let Some(other) = replaced {
                    other.let_go();
                    target.add_links(-i32::from(is_directory(other)));
                }
                self.add_links(-moved);
                target.add_links(moved);
            }
        }
        self.touch();
        target.touch();
    }
}

struct Moved {
    moved: Arc<Node>,
    replaced: Option<Arc<Node>>,
    exchanged: bool,
}

/// What a move may not do, whatever the VFS has checked before.
fn check(replaced: Option<&Arc<Node>>, dead: bool, mode: RenameMode) -> Result<(), Errno> {
    match (mode, replaced) {
        _ if dead => Err(Errno::ENOENT),
        (RenameMode::NoReplace, Some(_)) => Err(Errno::EEXIST),
        (RenameMode::Exchange, None) => Err(Errno::ENOENT),
        (RenameMode::Replace, Some(node)) if node.kind() == FileType::Directory => node.close_empty(),
        _ => Ok(()),
    }
}

fn move_within(directory: &mut Directory, name: &[u8], new_name: &[u8], mode: RenameMode) -> Result<Moved, Errno> {
    let moved = directory.get(name).cloned().ok_or(Errno::ENOENT)?;
    let replaced = directory.get(new_name).cloned();
    check(replaced.as_ref(), directory.dead, mode)?;
    let exchanged = mode == RenameMode::Exchange;
    if let Some(entry) = directory.take(name) {
        let before = directory.take(new_name);
        directory.put(new_name, entry.node, entry.charge);
        if let (true, Some(before)) = (exchanged, before) {
            directory.put(name, before.node, before.charge);
        }
    }
    Ok(Moved { moved, replaced, exchanged })
}

fn move_between(
    here: &mut Directory,
    there: &mut Directory,
    name: &[u8],
    new_name: &[u8],
    mode: RenameMode,
) -> Result<Moved, Errno> {
    let moved = here.get(name).cloned().ok_or(Errno::ENOENT)?;
    let replaced = there.get(new_name).cloned();
    there.reserve()?;
    check(replaced.as_ref(), there.dead, mode)?;
    let exchanged = mode == RenameMode::Exchange;
    if let Some(entry) = here.take(name) {
        let before = there.take(new_name);
        there.put(new_name, entry.node, entry.charge);
        if let (true, Some(before)) = (exchanged, before) {
            here.put(name, before.node, before.charge);
        }
    }
    Ok(Moved { moved, replaced, exchanged })
}
