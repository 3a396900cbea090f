use std::vec;
use std::vec::Vec;

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::{fallocate, open, seek};
use kernel_mm::io::{Sink, Source};

use super::*;
use crate::file::File;
use crate::testing::{Rng, World, account, read, write};
use crate::vfs::OpenHow;

fn file_on(world: &World) -> Arc<File> {
    let how = OpenHow { flags: open::O_CREAT | open::O_RDWR, permissions: 0o644, ..OpenHow::default() };
    world.context().open(None, b"f", how).expect("create")
}

#[test]
fn contents_match_a_vector() {
    let world = World::new();
    let file = file_on(&world);
    let mut model: Vec<u8> = Vec::new();
    let mut rng = Rng::new(11);
    for step in 0..800 {
        let offset = rng.below(40_000);
        let len = 1 + rng.below(9000);
        match rng.below(5) {
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
            3 => {
                let mode = fallocate::FALLOC_FL_PUNCH_HOLE | fallocate::FALLOC_FL_KEEP_SIZE;
                assert_eq!(file.allocate(mode, offset as u64, len as u64), Ok(()));
                let end = model.len().min(offset + len);
                if offset < end {
                    model[offset..end].fill(0);
                }
            }
            _ => {
                let mut bytes = vec![0; len];
                let count = file.read_at(offset as u64, &mut Sink::kernel(&mut bytes)).expect("read");
                let expected = model.get(offset..model.len().min(offset + len)).unwrap_or_default();
                assert_eq!(&bytes[..count], expected, "step {step}");
            }
        }
        assert_eq!(file.metadata().map(|meta| meta.size), Ok(model.len() as u64));
    }
}

#[test]
fn holes_can_be_found() {
    let world = World::new();
    let file = file_on(&world);
    file.write_at(8192, &mut Source::kernel(b"data")).expect("write");
    file.set_size(20_000).expect("size");
    assert_eq!(file.seek(0, seek::SEEK_DATA), Ok(8192));
    assert_eq!(file.seek(8192, seek::SEEK_HOLE), Ok(12288));
    assert_eq!(file.seek(12288, seek::SEEK_DATA), Err(Errno::ENXIO));
    assert_eq!(file.seek(12288, seek::SEEK_HOLE), Ok(12288));
    assert_eq!(file.seek(20_000, seek::SEEK_HOLE), Err(Errno::ENXIO));
    assert_eq!(file.metadata().map(|meta| meta.blocks), Ok(8));
}

#[test]
fn size_and_account_limits_are_told_apart() {
    let account = account();
    let small = create(&account, Options { size: Some(3 * 4096), ..Options::default() }).expect("tmpfs");
    let world = World::on(small);
    let file = file_on(&world);
    assert_eq!(write(&file, &[1; 5 * 4096]), Ok(3 * 4096));
    assert_eq!(write(&file, b"x"), Err(Errno::ENOSPC));
    assert_eq!(file.write_at(0, &mut Source::kernel(b"again")), Ok(5));
    file.set_size(0).expect("truncate");
    assert_eq!(file.write_at(0, &mut Source::kernel(&[2; 4096])), Ok(4096));

    let tight = kernel_mm::Account::new(40, Some(&account)).expect("account");
    let world = World::on(create(&tight, Options::default()).expect("tmpfs"));
    let file = file_on(&world);
    let mut written = 0;
    let error = loop {
        match write(&file, &[3; 4096]) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
    };
    assert_eq!(error, Errno::ENOSPC);
    assert!(written > 20 * 4096 && written <= 40 * 4096);
    file.set_size(0).expect("truncate");
    assert_eq!(write(&file, b"x"), Ok(1));
    drop(file);
    drop(world);
    assert_eq!(tight.used(), 0, "everything came back");
}

#[test]
fn reading_writes_the_time_seldom() {
    let world = World::new();
    let file = file_on(&world);
    write(&file, b"abc").expect("write");
    let before = file.metadata().expect("metadata");
    file.seek(0, 0).expect("seek");
    read(&file, 1).expect("read");
    assert!(file.metadata().expect("metadata").accessed >= before.modified);
}
