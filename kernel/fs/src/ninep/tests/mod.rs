mod server;

use std::vec;
use std::vec::Vec;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;

use aios_abi::Errno;
use aios_abi::linux::consts::open;
use kernel_mm::io::{Sink, Source};

use super::*;
use crate::testing::{Rng, World, account, read, write};
use crate::types::FileType;
use crate::vfs::tests::model::{Quirks, Runner};
use crate::vfs::{OpenHow, WalkFlags};
use server::Server;

fn world(server: &Arc<Server>, mode: Mode) -> World {
    World::on(mount(server.clone(), mode, &account()).expect("mount"))
}

/// What the host does behind our back.
fn host_write(server: &Server, name: &[u8], content: &[u8]) {
    let inode = server.root.lookup(name).or_else(|_| {
        let special = DeviceNumber::default();
        let new = crate::types::NewInode { kind: FileType::Regular, permissions: 0o644, owner: 0, group: 0, special };
        server.root.create(name, &new)
    });
    let inode = inode.expect("host file");
    inode.set_size(0).expect("host truncate");
    let file = server::open(&inode).expect("host open");
    file.write_at(0, &mut Source::kernel(content)).expect("host write");
    static CLOCK: AtomicUsize = AtomicUsize::new(1);
    let later = crate::types::Timestamp { seconds: CLOCK.fetch_add(1, Ordering::Relaxed) as i64, nanoseconds: 1 };
    let changes = crate::types::Changes { modified: Some(later), ..Default::default() };
    inode.set_attributes(&changes).expect("host time");
}

fn read_all(world: &World, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let file = world.context().open(None, name, OpenHow::flags(open::O_RDONLY))?;
    read(&file, 1 << 20)
}

#[test]
fn a_share_behaves_like_a_local_tree() {
    for seed in 0..15 {
        let quirks = Quirks { no_exchange: true, ..Quirks::default() };
        Runner::new(seed).run(&world(&Server::new(8192), Mode::Share), 600, quirks);
    }
}

#[test]
fn contents_match_a_vector_and_reach_the_server() {
    let server = Server::new(8192);
    let world = world(&server, Mode::Share);
    let how = OpenHow { flags: open::O_CREAT | open::O_RDWR, permissions: 0o644, ..OpenHow::default() };
    let file = world.context().open(None, b"f", how).expect("create");
    let mut model: Vec<u8> = Vec::new();
    let mut rng = Rng::new(23);
    for step in 0..300 {
        let offset = rng.below(60_000);
        let len = 1 + rng.below(20_000);
        match rng.below(4) {
            0 | 1 => {
                let bytes: Vec<u8> = (0..len).map(|_| rng.next() as u8).collect();
                assert_eq!(file.write_at(offset as u64, &mut Source::kernel(&bytes)), Ok(len));
                model.resize(model.len().max(offset + len), 0);
                model[offset..offset + len].copy_from_slice(&bytes);
            }
            2 => {
                assert_eq!(file.set_size(offset as u64), Ok(()));
                model.resize(offset, 0);
            }
            _ => {
                let mut bytes = vec![0; len];
                let count = file.read_at(offset as u64, &mut Sink::kernel(&mut bytes)).expect("read");
                let expected = model.get(offset..model.len().min(offset + len)).unwrap_or_default();
                assert!(bytes[..count] == *expected, "step {step}");
            }
        }
        if step % 20 == 0 {
            let there = crate::testing::read_inode(&server.root.lookup(b"f").expect("served"));
            assert!(there == model, "step {step}: the server has something else");
        }
    }
}

#[test]
fn what_the_host_changes_is_seen_at_the_next_opening() {
    let server = Server::new(8192);
    host_write(&server, b"f", b"first");
    let world = world(&server, Mode::Share);
    assert_eq!(read_all(&world, b"f"), Ok(b"first".to_vec()));
    host_write(&server, b"f", b"second version");
    assert_eq!(read_all(&world, b"f"), Ok(b"second version".to_vec()));
    host_write(&server, b"f", b"SECOND version");
    assert_eq!(read_all(&world, b"f"), Ok(b"SECOND version".to_vec()));
    // A name that was not there is not remembered as missing.
    assert_eq!(read_all(&world, b"new"), Err(Errno::ENOENT));
    host_write(&server, b"new", b"here");
    assert_eq!(read_all(&world, b"new"), Ok(b"here".to_vec()));
    // A name that is gone is noticed after a second.
    server.root.unlink(b"new").expect("host unlink");
    kernel_hal::hosted::advance(Duration::from_secs(2));
    assert_eq!(read_all(&world, b"new"), Err(Errno::ENOENT));
}

#[test]
fn an_image_is_asked_once_and_in_large_pieces() {
    let server = Server::new(64 << 10);
    let content: Vec<u8> = (0..300_000u32).map(|at| (at / 7) as u8).collect();
    host_write(&server, b"f", &content);
    let world = world(&server, Mode::Image);
    let before = server.calls.load(Ordering::Relaxed);
    assert!(read_all(&world, b"f") == Ok(content.clone()));
    // Walk, attributes, two for opening, five pieces of fifteen pages and one empty read at the end.
    assert!(server.calls.load(Ordering::Relaxed) - before <= 11);
    let before = server.calls.load(Ordering::Relaxed);
    assert!(read_all(&world, b"f") == Ok(content));
    assert_eq!(read_all(&world, b"missing"), Err(Errno::ENOENT));
    assert_eq!(read_all(&world, b"missing"), Err(Errno::ENOENT));
    assert_eq!(server.calls.load(Ordering::Relaxed) - before, 1, "only the first missing name is asked for");
    let how = OpenHow { flags: open::O_CREAT | open::O_WRONLY, ..OpenHow::default() };
    assert_eq!(world.context().open(None, b"new", how).err(), Some(Errno::EROFS));
}

#[test]
fn an_unlinked_file_can_still_be_used() {
    let server = Server::new(8192);
    let world = world(&server, Mode::Share);
    let how = OpenHow { flags: open::O_CREAT | open::O_RDWR, permissions: 0o644, ..OpenHow::default() };
    let file = world.context().open(None, b"f", how).expect("create");
    assert_eq!(write(&file, b"before"), Ok(6));
    world.context().unlink(None, b"f").expect("unlink");
    assert_eq!(write(&file, b" after"), Ok(6));
    file.seek(0, 0).expect("seek");
    assert_eq!(read(&file, 100), Ok(b"before after".to_vec()));
}

#[test]
fn files_are_let_go_of() {
    let server = Server::new(8192);
    {
        let world = world(&server, Mode::Share);
        for number in 0..20 {
            host_write(&server, std::format!("f{number}").as_bytes(), b"x");
            assert_eq!(read_all(&world, std::format!("f{number}").as_bytes()), Ok(b"x".to_vec()));
            world.context().unlink(None, std::format!("f{number}").as_bytes()).expect("unlink");
        }
        let _ = world.context().walk(None, b"nothing", WalkFlags::FOLLOW);
        assert!(server.held() <= 3, "{} files are held", server.held());
    }
}

/// A server that breaks its replies in one place once it is armed.
struct Liar {
    server: Arc<Server>,
    rng: std::sync::Mutex<Rng>,
    armed: AtomicBool,
}

impl Transport for Liar {
    fn max_message(&self) -> usize {
        8192
    }

    fn call(&self, parts: &[&[u8]], reply: &mut Vec<u8>) -> Result<(), Errno> {
        self.server.call(parts, reply)?;
        if self.armed.load(Ordering::Relaxed) {
            let mut rng = self.rng.lock().expect("generator");
            let place = rng.below(reply.len());
            reply[place] ^= 1 << rng.below(8);
            if rng.below(4) == 0 {
                let len = rng.below(reply.len());
                reply.truncate(len);
            }
        }
        Ok(())
    }
}

#[test]
fn a_lying_server_gets_errors_and_nothing_worse() {
    for seed in 0..300 {
        let server = Server::new(8192);
        host_write(&server, b"f", b"content");
        let armed = AtomicBool::new(seed % 3 == 0);
        let liar = Arc::new(Liar { server: server.clone(), rng: std::sync::Mutex::new(Rng::new(seed)), armed });
        let Ok(file_system) = mount(liar.clone(), Mode::Share, &account()) else { continue };
        liar.armed.store(true, Ordering::Relaxed);
        let world = World::on(file_system);
        let context = world.context();
        for _ in 0..10 {
            let _ = read_all(&world, b"f");
            let _ = context.mkdir(None, b"d", 0o755);
            if let Ok(root) = context.open(None, b"/", OpenHow::flags(open::O_RDONLY)) {
                let mut count = 0;
                let _ = root.read_dir(&mut |_: crate::types::DirEntry<'_>| {
                    count += 1;
                    count < 1000
                });
            }
            let _ = context.open(None, b"f", OpenHow::flags(open::O_RDWR)).map(|file| write(&file, &[1; 9000]));
            let _ = context.unlink(None, b"f");
        }
    }
}
