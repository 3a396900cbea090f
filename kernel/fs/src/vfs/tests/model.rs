//! Path walking and name changes, against a model that keeps the tree in the plainest way and resolves by recursion.

use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::open;

use crate::testing::{Rng, World};
use crate::types::{FileType, RenameMode};
use crate::vfs::{OpenHow, WalkFlags};

#[derive(Clone, PartialEq, Debug)]
enum Thing {
    File(Vec<u8>),
    Link(String),
    Dir(BTreeMap<String, usize>),
}

struct Model {
    things: Vec<Thing>,
    parents: Vec<usize>,
}

/// A directory and what its last component names: a name, or one of the odd ones.
struct Spot {
    dir: usize,
    last: String,
    slash: bool,
}

impl Model {
    fn new() -> Model {
        Model { things: std::vec![Thing::Dir(BTreeMap::new())], parents: std::vec![0] }
    }

    fn names(&self, dir: usize) -> &BTreeMap<String, usize> {
        match &self.things[dir] {
            Thing::Dir(names) => names,
            _ => panic!("not a directory"),
        }
    }

    fn names_mut(&mut self, dir: usize) -> &mut BTreeMap<String, usize> {
        match &mut self.things[dir] {
            Thing::Dir(names) => names,
            _ => panic!("not a directory"),
        }
    }

    fn is_dir(&self, thing: usize) -> bool {
        matches!(self.things[thing], Thing::Dir(_))
    }

    fn spot(&self, from: usize, path: &str, links: &mut u32) -> Result<Spot, Errno> {
        let mut at = if path.starts_with('/') { 0 } else { from };
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let Some((last, before)) = parts.split_last() else {
            return if path.is_empty() {
                Err(Errno::ENOENT)
            } else {
                Ok(Spot { dir: at, last: String::new(), slash: false })
            };
        };
        for part in before {
            at = self.child(at, part, true, links)?;
            if !self.is_dir(at) {
                return Err(Errno::ENOTDIR);
            }
        }
        Ok(Spot { dir: at, last: (*last).into(), slash: path.ends_with('/') })
    }

    fn child(&self, dir: usize, name: &str, follow: bool, links: &mut u32) -> Result<usize, Errno> {
        match name {
            "" | "." => return Ok(dir),
            ".." => return Ok(self.parents[dir]),
            _ => {}
        }
        let child = *self.names(dir).get(name).ok_or(Errno::ENOENT)?;
        match &self.things[child] {
            Thing::Link(target) if follow => {
                *links += 1;
                if *links > 40 {
                    return Err(Errno::ELOOP);
                }
                self.resolve_from(dir, target, true, links)
            }
            _ => Ok(child),
        }
    }

    fn resolve_from(&self, from: usize, path: &str, follow: bool, links: &mut u32) -> Result<usize, Errno> {
        let spot = self.spot(from, path, links)?;
        let thing = self.child(spot.dir, &spot.last, follow || spot.slash, links)?;
        if spot.slash && !self.is_dir(thing) {
            return Err(Errno::ENOTDIR);
        }
        Ok(thing)
    }

    fn resolve(&self, path: &str, follow: bool) -> Result<usize, Errno> {
        self.resolve_from(0, path, follow, &mut 0)
    }

    fn make(&mut self, path: &str, thing: Thing) -> Result<(), Errno> {
        let spot = self.spot(0, path, &mut 0)?;
        if matches!(spot.last.as_str(), "" | "." | "..") || self.names(spot.dir).contains_key(&spot.last) {
            return Err(Errno::EEXIST);
        }
        if spot.slash && !matches!(thing, Thing::Dir(_)) {
            return Err(Errno::ENOENT);
        }
        self.things.push(thing);
        self.parents.push(spot.dir);
        let number = self.things.len() - 1;
        self.names_mut(spot.dir).insert(spot.last, number);
        Ok(())
    }

    fn link(&mut self, old: &str, new: &str) -> Result<(), Errno> {
        let thing = self.resolve(old, false)?;
        let spot = self.spot(0, new, &mut 0)?;
        if matches!(spot.last.as_str(), "" | "." | "..") || self.names(spot.dir).contains_key(&spot.last) {
            return Err(Errno::EEXIST);
        }
        if spot.slash {
            return Err(Errno::ENOENT);
        }
        if self.is_dir(thing) {
            return Err(Errno::EPERM);
        }
        self.names_mut(spot.dir).insert(spot.last, thing);
        Ok(())
    }

    fn unlink(&mut self, path: &str) -> Result<(), Errno> {
        let spot = self.spot(0, path, &mut 0)?;
        if matches!(spot.last.as_str(), "" | "." | "..") {
            return Err(Errno::EISDIR);
        }
        let thing = *self.names(spot.dir).get(&spot.last).ok_or(Errno::ENOENT)?;
        if self.is_dir(thing) {
            return Err(Errno::EISDIR);
        }
        if spot.slash {
            return Err(Errno::ENOTDIR);
        }
        self.names_mut(spot.dir).remove(&spot.last);
        Ok(())
    }

    fn rmdir(&mut self, path: &str) -> Result<(), Errno> {
        let spot = self.spot(0, path, &mut 0)?;
        match spot.last.as_str() {
            "" => return Err(Errno::EBUSY),
            "." => return Err(Errno::EINVAL),
            ".." => return Err(Errno::ENOTEMPTY),
            _ => {}
        }
        let thing = *self.names(spot.dir).get(&spot.last).ok_or(Errno::ENOENT)?;
        if !self.is_dir(thing) {
            return Err(Errno::ENOTDIR);
        }
        if !self.names(thing).is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.names_mut(spot.dir).remove(&spot.last);
        Ok(())
    }

    fn within(&self, mut inner: usize, outer: usize) -> bool {
        while inner != outer && inner != 0 {
            inner = self.parents[inner];
        }
        inner == outer
    }

    fn rename(&mut self, old: &str, new: &str, mode: RenameMode) -> Result<(), Errno> {
        let from = self.spot(0, old, &mut 0)?;
        let to = self.spot(0, new, &mut 0)?;
        let odd = |spot: &Spot| matches!(spot.last.as_str(), "" | "." | "..");
        if odd(&from) {
            return Err(Errno::EBUSY);
        }
        if odd(&to) {
            return Err(if mode == RenameMode::NoReplace { Errno::EEXIST } else { Errno::EBUSY });
        }
        let moved = *self.names(from.dir).get(&from.last).ok_or(Errno::ENOENT)?;
        let there = self.names(to.dir).get(&to.last).copied();
        match (mode, there) {
            (RenameMode::NoReplace, Some(_)) => return Err(Errno::EEXIST),
            (RenameMode::Exchange, None) => return Err(Errno::ENOENT),
            (RenameMode::Exchange, Some(there))
                if to.slash && !self.is_dir(there) || from.slash && !self.is_dir(moved) =>
            {
                return Err(Errno::ENOTDIR);
            }
            (RenameMode::Exchange, Some(_)) => {}
            _ if !self.is_dir(moved) && (from.slash || to.slash) => return Err(Errno::ENOTDIR),
            _ => {}
        }
        if self.is_dir(moved) && self.within(to.dir, moved) {
            return Err(Errno::EINVAL);
        }
        if let Some(there) = there {
            if self.is_dir(there) && self.within(from.dir, there) {
                return Err(if mode == RenameMode::Exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
            }
            if there == moved {
                return Ok(());
            }
            if mode == RenameMode::Replace {
                match (self.is_dir(moved), self.is_dir(there)) {
                    (true, false) => return Err(Errno::ENOTDIR),
                    (false, true) => return Err(Errno::EISDIR),
                    (true, true) if !self.names(there).is_empty() => return Err(Errno::ENOTEMPTY),
                    _ => {}
                }
            }
        }
        self.names_mut(from.dir).remove(&from.last);
        self.names_mut(to.dir).insert(to.last, moved);
        self.parents[moved] = to.dir;
        if let (RenameMode::Exchange, Some(there)) = (mode, there) {
            self.names_mut(from.dir).insert(from.last, there);
            self.parents[there] = from.dir;
        }
        Ok(())
    }
}

fn path(rng: &mut Rng) -> String {
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "a", "b", "..", "."];
    let mut path = String::new();
    if rng.below(3) == 0 {
        path.push('/');
    }
    let count = 1 + rng.below(4);
    for number in 0..count {
        path.push_str(NAMES[rng.below(NAMES.len())]);
        if number + 1 < count {
            path.push_str(if rng.below(8) == 0 { "//" } else { "/" });
        }
    }
    if rng.below(6) == 0 {
        path.push('/');
    }
    path
}

fn kind(thing: &Thing) -> FileType {
    match thing {
        Thing::File(_) => FileType::Regular,
        Thing::Link(_) => FileType::Symlink,
        Thing::Dir(_) => FileType::Directory,
    }
}

/// What a file system under test cannot do, or shows otherwise.
#[derive(Clone, Copy, Default)]
pub(crate) struct Quirks {
    pub no_exchange: bool,
    /// Directories that existed before cannot be renamed, and their links are not counted.
    pub layered: bool,
}

/// A tree and its model, brought into ever new states.
pub(crate) struct Runner {
    model: Model,
    rng: Rng,
    seed: u64,
    step: usize,
}

impl Runner {
    pub(crate) fn new(seed: u64) -> Runner {
        Runner { model: Model::new(), rng: Rng::new(seed), seed, step: 0 }
    }

    /// Runs random calls on both, compares every outcome, and in the end the trees.
    pub(crate) fn run(&mut self, world: &World, steps: usize, quirks: Quirks) {
        for _ in 0..steps {
            self.step += 1;
            self.one(world, quirks);
        }
        check_tree(world, &self.model, 0, b"/", quirks);
    }

    fn one(&mut self, world: &World, quirks: Quirks) {
        let (rng, model) = (&mut self.rng, &mut self.model);
        let context = world.context();
        let (one, two) = (path(rng), path(rng));
        let bytes = one.as_bytes();
        let what = rng.below(14);
        let label = std::format!("seed {} step {}: call {what} on {one:?}, {two:?}", self.seed, self.step);
        match what {
            0 | 1 => {
                assert_eq!(context.mkdir(None, bytes, 0o777), model.make(&one, Thing::Dir(BTreeMap::new())), "{label}")
            }
            2 => {
                let made = context.mknod(None, bytes, FileType::Regular, 0o644, Default::default()).map(drop);
                assert_eq!(made, model.make(&one, Thing::File(Vec::new())), "{label}");
            }
            3 => {
                let made = context.symlink(two.as_bytes(), None, bytes);
                assert_eq!(made, model.make(&one, Thing::Link(two)), "{label}");
            }
            4 => assert_eq!(context.unlink(None, bytes), model.unlink(&one), "{label}"),
            5 => assert_eq!(context.rmdir(None, bytes), model.rmdir(&one), "{label}"),
            6 | 7 => {
                let modes = [RenameMode::Replace, RenameMode::NoReplace, RenameMode::Exchange];
                let mode = *rng.pick(if quirks.no_exchange { &modes[..2] } else { &modes });
                let renamed = context.rename((None, bytes), (None, two.as_bytes()), mode);
                if quirks.layered && renamed == Err(Errno::EXDEV) {
                    let is_dir = |path: &str| model.resolve(path, false).is_ok_and(|thing| model.is_dir(thing));
                    assert!(is_dir(&one) || mode == RenameMode::Exchange && is_dir(&two), "{label}");
                    return;
                }
                assert_eq!(renamed, model.rename(&one, &two, mode), "{label} {mode:?}");
            }
            8 => {
                let linked = context
                    .walk(None, bytes, WalkFlags::NO_FOLLOW)
                    .and_then(|from| context.link(&from, None, two.as_bytes()));
                assert_eq!(linked, model.link(&one, &two), "{label}");
            }
            9 => {
                let flags = open::O_RDONLY | open::O_DIRECTORY;
                let opened = context.open(None, bytes, OpenHow::flags(flags)).map(drop);
                let expected = model
                    .resolve(&one, true)
                    .and_then(|thing| if model.is_dir(thing) { Ok(()) } else { Err(Errno::ENOTDIR) });
                assert_eq!(opened, expected, "{label}");
            }
            10 | 11 => {
                let how = if what == 10 { open::O_TRUNC } else { open::O_APPEND };
                let written = context
                    .open(None, bytes, OpenHow::flags(open::O_WRONLY | how))
                    .and_then(|file| crate::testing::write(&file, label.as_bytes()));
                let expected = model.resolve(&one, true).and_then(|thing| match &mut model.things[thing] {
                    Thing::File(content) => {
                        if what == 10 {
                            content.clear();
                        }
                        content.extend_from_slice(label.as_bytes());
                        Ok(label.len())
                    }
                    _ => Err(Errno::EISDIR),
                });
                assert_eq!(written, expected, "{label}");
            }
            _ => {
                let follow = what == 12;
                let flags = if follow { WalkFlags::FOLLOW } else { WalkFlags::NO_FOLLOW };
                let found = context.walk(None, bytes, flags).map(|place| place.kind());
                assert_eq!(found, model.resolve(&one, follow).map(|thing| kind(&model.things[thing])), "{label}");
            }
        }
    }
}

/// Every directory lists what the model has, with the right number of links and the right name.
fn check_tree(world: &World, model: &Model, dir: usize, name: &[u8], quirks: Quirks) {
    let context = world.context();
    let file = context.open(None, name, OpenHow::flags(open::O_RDONLY)).expect("open directory");
    let mut listed = BTreeMap::new();
    file.read_dir(&mut |entry: crate::types::DirEntry<'_>| {
        listed.insert(String::from_utf8(entry.name.into()).expect("name"), entry.kind);
        true
    })
    .expect("list");
    let mut expected: BTreeMap<String, FileType> =
        model.names(dir).iter().map(|(name, thing)| (name.clone(), kind(&model.things[*thing]))).collect();
    let directories = expected.values().filter(|kind| **kind == FileType::Directory).count() as u32;
    expected.insert(".".into(), FileType::Directory);
    expected.insert("..".into(), FileType::Directory);
    assert_eq!(listed, expected);
    let links = file.metadata().expect("metadata").links;
    assert!(quirks.layered || links == if dir == 0 { 1 } else { 2 } + directories);
    assert_eq!(file.path().name(&world.root).bytes, name);
    for (child, thing) in model.names(dir) {
        let mut below = name.to_vec();
        if name != b"/" {
            below.push(b'/');
        }
        below.extend_from_slice(child.as_bytes());
        match &model.things[*thing] {
            Thing::Dir(_) => check_tree(world, model, *thing, &below, quirks),
            Thing::Link(target) => assert_eq!(context.read_link(None, &below), Ok(target.clone().into_bytes())),
            Thing::File(content) => {
                let file = context.open(None, &below, OpenHow::flags(open::O_RDONLY)).expect("open file");
                assert!(
                    crate::testing::read(&file, 1 << 16) == Ok(content.clone()),
                    "{:?}",
                    std::str::from_utf8(&below)
                );
                let names = model.things.iter().filter_map(|other| match other {
                    Thing::Dir(names) => Some(names.values().filter(|named| *named == thing).count()),
                    _ => None,
                });
                let reachable = file.metadata().expect("metadata").links as usize;
                assert_eq!(reachable, names.sum::<usize>(), "links of {:?}", std::str::from_utf8(&below));
            }
        }
    }
}

#[test]
fn walks_and_changes_match_the_model() {
    for seed in 0..60 {
        Runner::new(seed).run(&World::new(), 700, Quirks::default());
    }
}

#[test]
fn eviction_of_names_changes_nothing() {
    let account = crate::testing::account();
    for seed in 100..130 {
        let root = crate::tmpfs::root(&account, Default::default()).expect("root");
        let world = World::on(crate::vfs::FileSystem::with_cache_limit("tmpfs", root, 3));
        Runner::new(seed).run(&world, 600, Quirks::default());
    }
}
