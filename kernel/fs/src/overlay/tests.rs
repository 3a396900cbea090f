use std::collections::BTreeSet;
use std::vec::Vec;

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::open;

use super::*;
use crate::file::File;
use crate::testing::{World, account, read, write};
use crate::types::{DirEntry, RenameMode};
use crate::vfs::tests::model::{Quirks, Runner};
use crate::vfs::{OpenHow, WalkFlags};

fn over(lower: &World) -> World {
    World::on(create(&lower.root, &account()).expect("overlay"))
}

fn make(world: &World, path: &[u8], content: &[u8]) {
    let how =
        OpenHow { flags: open::O_CREAT | open::O_WRONLY | open::O_TRUNC, permissions: 0o644, ..OpenHow::default() };
    let file = world.context().open(None, path, how).expect("create");
    assert_eq!(write(&file, content), Ok(content.len()));
}

fn open_with(world: &World, path: &[u8], flags: u32) -> Result<Arc<File>, Errno> {
    world.context().open(None, path, OpenHow::flags(flags))
}

fn content(world: &World, path: &[u8]) -> Result<Vec<u8>, Errno> {
    read(&*open_with(world, path, open::O_RDONLY)?, 1 << 16)
}

fn number(world: &World, path: &[u8]) -> u64 {
    world.context().walk(None, path, WalkFlags::NO_FOLLOW).expect("walk").inode().metadata().expect("metadata").inode
}

fn names(world: &World, path: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut names = BTreeSet::new();
    open_with(world, path, open::O_RDONLY)
        .expect("open")
        .read_dir(&mut |entry: DirEntry<'_>| {
            assert!(names.insert(entry.name.to_vec()), "a name is listed twice");
            true
        })
        .expect("list");
    names
}

#[test]
fn an_overlay_behaves_like_a_copy_and_leaves_the_lower_tree_alone() {
    for seed in 0..60 {
        let lower = World::new();
        let mut runner = Runner::new(seed);
        runner.run(&lower, 300, Quirks::default());
        let before = snapshot(&lower);
        let upper = over(&lower);
        runner.run(&upper, 500, Quirks { layered: true, ..Quirks::default() });
        assert!(snapshot(&lower) == before, "seed {seed}: the lower tree has changed");
    }
}

#[test]
fn overlays_can_be_stacked_and_do_not_see_each_other() {
    for seed in 0..20 {
        let lower = World::new();
        let quirks = Quirks { layered: true, ..Quirks::default() };
        let mut runner = Runner::new(seed);
        runner.run(&lower, 200, Quirks::default());
        let middle = over(&lower);
        runner.run(&middle, 200, quirks);
        let sibling = over(&lower);
        let of_lower = snapshot(&lower);
        let top = over(&middle);
        runner.run(&top, 300, quirks);
        assert!(snapshot(&sibling) == of_lower, "seed {seed}: a sibling sees changes");
    }
}

/// All paths with kind and contents.
fn snapshot(world: &World) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut all = Vec::new();
    let mut pending: Vec<Vec<u8>> = std::vec![b"/".to_vec()];
    while let Some(directory) = pending.pop() {
        for name in names(world, &directory) {
            if name == b"." || name == b".." {
                continue;
            }
            let path = [&directory[..], b"/", &name].concat();
            let place = world.context().walk(None, &path, WalkFlags::NO_FOLLOW).expect("walk");
            let what = match place.kind() {
                FileType::Directory => {
                    pending.push(path.clone());
                    b"directory".to_vec()
                }
                FileType::Symlink => place.inode().read_link().expect("link"),
                _ => content(world, &path).expect("content"),
            };
            all.push((path, what));
        }
    }
    all
}

#[test]
fn numbers_stay_and_names_stay_together() {
    let lower = World::new();
    make(&lower, b"a", b"lower");
    lower.context().mkdir(None, b"d", 0o755).expect("mkdir");
    let place = lower.context().walk(None, b"a", WalkFlags::FOLLOW).expect("walk");
    lower.context().link(&place, None, b"d/b").expect("link");
    let world = over(&lower);
    let before = number(&world, b"a");
    assert_eq!(number(&world, b"d/b"), before);
    let reader = open_with(&world, b"a", open::O_RDONLY).expect("open");
    make(&world, b"d/b", b"changed");
    // Both names, and who had it open before, see the change; the number is the same.
    assert_eq!(content(&world, b"a"), Ok(b"changed".to_vec()));
    assert_eq!(read(&reader, 100), Ok(b"changed".to_vec()));
    assert_eq!((number(&world, b"a"), number(&world, b"d/b")), (before, before));
    world.context().rename((None, b"a"), (None, b"c"), RenameMode::Replace).expect("rename");
    assert_eq!(number(&world, b"c"), before);
    assert_eq!(reader.metadata().map(|meta| (meta.inode, meta.links)), Ok((before, 2)));
    world.context().unlink(None, b"d/b").expect("unlink");
    assert_eq!(reader.metadata().map(|meta| meta.links), Ok(1));
    assert_eq!(content(&lower, b"a"), Ok(b"lower".to_vec()));
    let directory = number(&world, b"d");
    make(&world, b"d/new", b"");
    assert_eq!(number(&world, b"d"), directory);
    let of_overlay = |path: &[u8]| {
        world.context().walk(None, path, WalkFlags::FOLLOW).expect("walk").inode().metadata().expect("metadata").device
    };
    assert_eq!(of_overlay(b"d"), of_overlay(b"d/new"));
}

#[test]
fn a_directory_made_again_is_empty() {
    let lower = World::new();
    lower.context().mkdir(None, b"d", 0o755).expect("mkdir");
    make(&lower, b"d/old", b"old");
    let world = over(&lower);
    let context = world.context();
    assert_eq!(context.rmdir(None, b"d"), Err(Errno::ENOTEMPTY));
    context.unlink(None, b"d/old").expect("unlink");
    context.rmdir(None, b"d").expect("rmdir");
    context.mkdir(None, b"d", 0o755).expect("mkdir");
    assert_eq!(names(&world, b"d").len(), 2);
    assert_eq!(content(&world, b"d/old"), Err(Errno::ENOENT));
    // So it is after a rename away and back, which a directory of the upper tree can do.
    context.rename((None, b"d"), (None, b"e"), RenameMode::Replace).expect("rename");
    assert_eq!(content(&world, b"d"), Err(Errno::ENOENT));
    context.rename((None, b"e"), (None, b"d"), RenameMode::Replace).expect("rename");
    assert_eq!(content(&world, b"d/old"), Err(Errno::ENOENT));
}

#[test]
fn a_removed_lower_file_can_still_be_read_and_changed() {
    let lower = World::new();
    make(&lower, b"f", b"content");
    let world = over(&lower);
    let file = open_with(&world, b"f", open::O_RDONLY).expect("open");
    world.context().unlink(None, b"f").expect("unlink");
    assert_eq!(file.metadata().map(|meta| meta.links), Ok(0));
    assert_eq!(read(&file, 3), Ok(b"con".to_vec()));
    assert_eq!(world.context().set_permissions(file.path(), 0o600), Ok(()));
    assert_eq!(read(&file, 100), Ok(b"tent".to_vec()));
    assert_eq!(file.metadata().map(|meta| (meta.permissions, meta.links)), Ok((0o600, 0)));
    assert_eq!(content(&world, b"f"), Err(Errno::ENOENT));
}

#[test]
fn copying_up_keeps_attributes_and_costs_only_what_is_kept() {
    let lower = World::new();
    lower.context().mkdir(None, b"d", 0o750).expect("mkdir");
    make(&lower, b"d/f", &[5; 300_000]);
    let account = kernel_mm::Account::new(30, Some(&account())).expect("account");
    let world = World::on(create(&lower.root, &account).expect("overlay"));
    let before =
        world.context().walk(None, b"d", WalkFlags::FOLLOW).expect("walk").inode().metadata().expect("metadata");
    // Its contents do not fit, so it cannot be copied; cut off first they need not be.
    assert_eq!(open_with(&world, b"d/f", open::O_RDWR).err(), Some(Errno::ENOSPC));
    assert_eq!(content(&world, b"d/f").map(|bytes| bytes.len()), Ok(1 << 16));
    let file = open_with(&world, b"d/f", open::O_RDWR | open::O_TRUNC).expect("open");
    assert_eq!(write(&file, b"small"), Ok(5));
    let after =
        world.context().walk(None, b"d", WalkFlags::FOLLOW).expect("walk").inode().metadata().expect("metadata");
    assert_eq!((after.mode(), after.modified, after.inode), (before.mode(), before.modified, before.inode));
    drop(file);
    drop(world);
    assert_eq!(account.used(), 0, "everything came back");
}

#[test]
fn trees_deeper_than_the_stack_are_dropped() {
    let lower = World::new();
    let mut at = lower.root.clone();
    for _ in 0..20_000 {
        lower.context().mkdir(Some(&at), b"d", 0o755).expect("mkdir");
        at = lower.context().walk(Some(&at), b"d", WalkFlags::FOLLOW).expect("walk");
    }
    let world = over(&lower);
    let mut at = world.root.clone();
    for _ in 0..20_000 {
        at = world.context().walk(Some(&at), b"d", WalkFlags::FOLLOW).expect("walk");
    }
    world.context().mkdir(Some(&at), b"new", 0o755).expect("copied up all the way");
    drop(at);
    drop(world);
}
