//! Rules of path walking, opening and permissions that have a case of their own.

use std::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::open;

use crate::credentials::Credentials;
use crate::testing::{World, account, read, write};
use crate::tmpfs;
use crate::types::{DeviceNumber, DirEntry, FileType, NAME_MAX, PATH_MAX, RenameMode};
use crate::vfs::{Limits, OpenHow, TimeChange, WalkFlags, mount_flags};

fn make(world: &World, path: &[u8], content: &[u8]) {
    let how =
        OpenHow { flags: open::O_CREAT | open::O_WRONLY | open::O_TRUNC, permissions: 0o644, ..OpenHow::default() };
    let file = world.context().open(None, path, how).expect("create");
    assert_eq!(write(&file, content), Ok(content.len()));
}

fn kind(world: &World, path: &[u8]) -> Result<FileType, Errno> {
    world.context().walk(None, path, WalkFlags::FOLLOW).map(|place| place.kind())
}

#[test]
fn lengths_are_limited() {
    let world = World::new();
    let context = world.context();
    let longest = std::vec![b'x'; NAME_MAX];
    assert_eq!(context.mkdir(None, &longest, 0o755), Ok(()));
    let longer = std::vec![b'x'; NAME_MAX + 1];
    assert_eq!(context.mkdir(None, &longer, 0o755), Err(Errno::ENAMETOOLONG));
    assert_eq!(kind(&world, &longer), Err(Errno::ENAMETOOLONG));
    let mut path = b"/".repeat(PATH_MAX - 1);
    assert_eq!(kind(&world, &path), Ok(FileType::Directory));
    path.push(b'/');
    assert_eq!(kind(&world, &path), Err(Errno::ENAMETOOLONG));
    assert_eq!(kind(&world, b""), Err(Errno::ENOENT));
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let world = World::new();
    let context = world.context();
    make(&world, b"l0", b"");
    for number in 1..=41 {
        let target = std::format!("l{}", number - 1);
        let name = std::format!("l{number}");
        context.symlink(target.as_bytes(), None, name.as_bytes()).expect("symlink");
    }
    assert_eq!(kind(&world, b"l40"), Ok(FileType::Regular));
    assert_eq!(kind(&world, b"l41"), Err(Errno::ELOOP));
}

#[test]
fn open_makes_what_is_missing() {
    let world = World::new();
    let context = world.context();
    let create = OpenHow { flags: open::O_CREAT | open::O_RDWR, permissions: 0o666, ..OpenHow::default() };
    let file = context.open(None, b"f", create).expect("create");
    assert_eq!(file.metadata().map(|meta| meta.mode()), Ok(0o100_644));
    assert_eq!(write(&file, b"hello"), Ok(5));
    assert_eq!(file.seek(1, 0), Ok(1));
    assert_eq!(read(&file, 10), Ok(b"ello".to_vec()));
    let exclusive = OpenHow { flags: create.flags | open::O_EXCL, ..create };
    assert_eq!(context.open(None, b"f", exclusive).err(), Some(Errno::EEXIST));
    // Through a dangling link the target is made, unless the call is exclusive.
    context.symlink(b"made", None, b"link").expect("symlink");
    assert_eq!(context.open(None, b"link", exclusive).err(), Some(Errno::EEXIST));
    assert!(context.open(None, b"link", create).is_ok());
    assert_eq!(kind(&world, b"made"), Ok(FileType::Regular));
    assert_eq!(context.open(None, b"new/", create).err(), Some(Errno::EISDIR));
    assert_eq!(context.open(None, b".", create).err(), Some(Errno::EISDIR));
    assert_eq!(context.open(None, b"f/x", create).err(), Some(Errno::ENOTDIR));
    assert_eq!(context.open(None, b"no/x", create).err(), Some(Errno::ENOENT));
    let flags = |flags| OpenHow::flags(flags);
    assert_eq!(context.open(None, b"link", flags(open::O_NOFOLLOW)).err(), Some(Errno::ELOOP));
    assert_eq!(context.open(None, b"f", flags(open::O_DIRECTORY)).err(), Some(Errno::ENOTDIR));
    assert_eq!(context.open(None, b"/", flags(open::O_WRONLY)).err(), Some(Errno::EISDIR));
    let named = context.open(None, b"link", flags(open::O_PATH | open::O_NOFOLLOW)).expect("path");
    assert_eq!((named.kind(), read(&named, 1)), (FileType::Symlink, Err(Errno::EBADF)));
    let unnamed = OpenHow { flags: open::O_TMPFILE | open::O_RDWR, permissions: 0o600, ..OpenHow::default() };
    let unnamed = context.open(None, b"/", unnamed).expect("tmpfile");
    assert_eq!(unnamed.metadata().map(|meta| meta.links), Ok(0));
    assert_eq!(context.link(unnamed.path(), None, b"named"), Ok(()));
    assert_eq!(unnamed.metadata().map(|meta| meta.links), Ok(1));
}

#[test]
fn truncation_and_appending() {
    let world = World::new();
    let context = world.context();
    make(&world, b"f", b"0123456789");
    let file = context.open(None, b"f", OpenHow::flags(open::O_RDWR | open::O_APPEND)).expect("open");
    assert_eq!(write(&file, b"x"), Ok(1));
    assert_eq!((file.offset(), file.metadata().map(|meta| meta.size)), (11, Ok(11)));
    let place = context.walk(None, b"f", WalkFlags::FOLLOW).expect("walk");
    assert_eq!(context.truncate(&place, 3), Ok(()));
    assert_eq!(context.truncate(&place, 6), Ok(()));
    assert_eq!(file.seek(0, 0), Ok(0));
    assert_eq!(read(&file, 100), Ok(b"012\0\0\0".to_vec()));
    drop(context.open(None, b"f", OpenHow::flags(open::O_WRONLY | open::O_TRUNC)).expect("open"));
    assert_eq!(file.metadata().map(|meta| meta.size), Ok(0));
}

#[test]
fn rights_are_checked_before_names() {
    let mut world = World::new();
    make(&world, b"f", b"");
    let context = world.context();
    context.mkdir(None, b"closed", 0o700).expect("mkdir");
    context.mkdir(None, b"open", 0o777).expect("mkdir");
    let place = context.walk(None, b"open", WalkFlags::FOLLOW).expect("walk");
    context.set_permissions(&place, 0o1777).expect("chmod");
    make(&world, b"open/theirs", b"");
    world.credentials = Credentials::user(1000, 1000);
    let context = world.context();
    assert_eq!(kind(&world, b"closed/nothing"), Err(Errno::EACCES));
    assert_eq!(context.mkdir(None, b"new", 0o755), Err(Errno::EACCES));
    assert_eq!(context.open(None, b"f", OpenHow::flags(open::O_RDWR)).err(), Some(Errno::EACCES));
    assert!(context.open(None, b"f", OpenHow::flags(open::O_RDONLY)).is_ok());
    // Sticky: one's own names only.
    assert_eq!(context.unlink(None, b"open/theirs"), Err(Errno::EPERM));
    assert_eq!(context.mkdir(None, b"open/mine", 0o755), Ok(()));
    assert_eq!(context.rename((None, b"open/mine"), (None, b"open/theirs"), RenameMode::Replace), Err(Errno::EPERM));
    assert_eq!(context.rmdir(None, b"open/mine"), Ok(()));
    let place = context.walk(None, b"f", WalkFlags::FOLLOW).expect("walk");
    assert_eq!(context.set_permissions(&place, 0o777), Err(Errno::EPERM));
    assert_eq!(context.set_owner(&place, Some(1000), None), Err(Errno::EPERM));
    assert_eq!(context.set_times(&place, TimeChange::Now, TimeChange::Now), Err(Errno::EACCES));
    assert_eq!(context.set_times(&place, TimeChange::Keep, TimeChange::Now), Err(Errno::EPERM));
    let special = DeviceNumber::new(1, 3);
    assert_eq!(context.mknod(None, b"open/null", FileType::CharDevice, 0o666, special).err(), Some(Errno::EPERM));
}

#[test]
fn mounts_cover_and_uncover() {
    let world = World::new();
    let context = world.context();
    make(&world, b"below", b"");
    context.mkdir(None, b"mnt", 0o755).expect("mkdir");
    make(&world, b"mnt/hidden", b"");
    let place = context.walk(None, b"mnt", WalkFlags::FOLLOW).expect("walk");
    let inner = tmpfs::create(&account(), tmpfs::Options::default()).expect("tmpfs");
    let mount = world.namespace.mount(inner, b"inner", 0, place.clone()).expect("mount");
    assert_eq!(kind(&world, b"mnt/hidden"), Err(Errno::ENOENT));
    make(&world, b"mnt/seen", b"x");
    assert_eq!(kind(&world, b"mnt/../below"), Ok(FileType::Regular));
    assert_eq!(
        context.link(&context.walk(None, b"below", WalkFlags::FOLLOW).expect("walk"), None, b"mnt/l"),
        Err(Errno::EXDEV)
    );
    assert_eq!(context.rename((None, b"below"), (None, b"mnt/b"), RenameMode::Replace), Err(Errno::EXDEV));
    assert_eq!(context.rmdir(None, b"mnt"), Err(Errno::EBUSY));
    let seen = context.walk(None, b"/mnt/seen", WalkFlags::FOLLOW).expect("walk");
    assert_eq!(seen.name(&world.root).bytes, b"/mnt/seen");
    // `..` numbers across the mount.
    let mut up = None;
    let root = context.open(None, b"mnt", OpenHow::flags(open::O_RDONLY)).expect("open");
    root.read_dir(&mut |entry: DirEntry<'_>| {
        if entry.name == b".." {
            up = Some(entry.inode);
        }
        true
    })
    .expect("list");
    assert_eq!(up, Some(world.root.inode().number()));
    let one_mount = WalkFlags { limits: Limits { one_mount: true, ..Limits::NONE }, ..WalkFlags::FOLLOW };
    assert_eq!(context.walk(None, b"mnt/seen", one_mount).err(), Some(Errno::EXDEV));
    world.namespace.set_flags(&mount, mount_flags::READ_ONLY);
    assert_eq!(context.mkdir(None, b"mnt/new", 0o755), Err(Errno::EROFS));
    assert_eq!(context.mkdir(None, b"mnt/seen", 0o755), Err(Errno::EEXIST));
    assert_eq!(context.open(None, b"mnt/seen", OpenHow::flags(open::O_RDWR)).err(), Some(Errno::EROFS));

    // A twin has its own mounts.
    let twin = world.namespace.twin();
    let (copied, root_of_copy) = (twin.namespace.clone(), twin.path(&world.root));
    drop(twin);
    drop((root, seen));
    let top = mount.root_path();
    drop(mount);
    assert_eq!(world.namespace.unmount(&world.root, false), Err(Errno::EINVAL));
    let busy = context.walk(None, b"mnt/seen", WalkFlags::FOLLOW).expect("walk");
    assert_eq!(world.namespace.unmount(&top, false), Err(Errno::EBUSY));
    drop(busy);
    assert_eq!(world.namespace.unmount(&top, false), Ok(()));
    assert_eq!(kind(&world, b"mnt/hidden"), Ok(FileType::Regular));
    let other = crate::vfs::Context { namespace: &copied, root: &root_of_copy, cwd: &root_of_copy, ..context };
    assert!(other.walk(None, b"mnt/seen", WalkFlags::FOLLOW).is_ok());
}

#[test]
fn walks_can_be_confined() {
    let world = World::new();
    let context = world.context();
    context.mkdir(None, b"box", 0o755).expect("mkdir");
    make(&world, b"box/in", b"");
    make(&world, b"out", b"");
    context.symlink(b"/out", None, b"box/absolute").expect("symlink");
    context.symlink(b"../out", None, b"box/relative").expect("symlink");
    let start = context.walk(None, b"box", WalkFlags::FOLLOW).expect("walk");
    let walk =
        |path: &[u8], limits| context.walk(Some(&start), path, WalkFlags { limits, ..WalkFlags::FOLLOW }).map(drop);
    let beneath = Limits { beneath: true, ..Limits::NONE };
    assert_eq!(walk(b"in", beneath), Ok(()));
    for path in [&b"../out"[..], b"/box/in", b"absolute", b"relative"] {
        assert_eq!(walk(path, beneath), Err(Errno::EXDEV));
    }
    let in_root = Limits { in_root: true, ..Limits::NONE };
    assert_eq!(walk(b"/in", in_root), Ok(()));
    assert_eq!(walk(b"../../in", in_root), Ok(()));
    assert_eq!(walk(b"absolute", in_root), Err(Errno::ENOENT));
    assert_eq!(walk(b"relative", Limits { no_links: true, ..Limits::NONE }), Err(Errno::ELOOP));
    // A changed root is a root: nothing above it can be reached.
    let jail = crate::vfs::Context { root: &start, cwd: &start, ..context };
    assert_eq!(jail.walk(None, b"/../../out", WalkFlags::FOLLOW).err(), Some(Errno::ENOENT));
    assert!(!world.root.name(&start).reachable);
}

#[test]
fn a_removed_directory_is_empty_and_stays_so() {
    let world = World::new();
    let context = world.context();
    context.mkdir(None, b"d", 0o755).expect("mkdir");
    let inside = context.walk(None, b"d", WalkFlags::FOLLOW).expect("walk");
    context.rmdir(None, b"d").expect("rmdir");
    assert_eq!(context.mkdir(Some(&inside), b"new", 0o755), Err(Errno::ENOENT));
    assert_eq!(context.walk(Some(&inside), b"..", WalkFlags::FOLLOW).map(|up| up.is_same(&world.root)), Ok(true));
    assert_eq!(inside.display(&world.root), b"/d (deleted)");
}

#[test]
fn listings_survive_removal() {
    let world = World::new();
    let context = world.context();
    for number in 0..50 {
        make(&world, std::format!("f{number}").as_bytes(), b"");
    }
    let directory = context.open(None, b"/", OpenHow::flags(open::O_RDONLY)).expect("open");
    let mut seen: Vec<Vec<u8>> = Vec::new();
    loop {
        // Two entries at a time; each is removed before the listing goes on, as `rm -r` does.
        let mut batch: Vec<Vec<u8>> = Vec::new();
        directory
            .read_dir(&mut |entry: DirEntry<'_>| {
                if batch.len() == 2 {
                    return false;
                }
                batch.push(entry.name.to_vec());
                true
            })
            .expect("list");
        if batch.is_empty() {
            break;
        }
        for name in batch {
            if !name.starts_with(b".") {
                context.unlink(None, &name).expect("unlink");
                seen.push(name);
            }
        }
    }
    assert_eq!(seen.len(), 50);
}
