use std::thread;
use std::vec::Vec;

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::open;

use super::*;
use crate::testing::{Rng, World, account, read, write};
use crate::types::DeviceNumber;
use crate::vfs::OpenHow;

fn pair(flags: u32) -> (Arc<File>, Arc<File>) {
    create(&account(), 0, 0, flags)
}

#[test]
fn bytes_come_out_in_order_whatever_the_sizes() {
    let (reader, writer) = pair(open::O_NONBLOCK);
    let mut rng = Rng::new(3);
    let (mut sent, mut received) = (0u8, 0u8);
    let mut inside = 0usize;
    for step in 0..2000 {
        let most = if rng.below(4) == 0 { 20000 } else { 300 };
        let len = 1 + rng.below(most);
        if rng.below(2) == 0 {
            let bytes: Vec<u8> = (0..len).map(|at| sent.wrapping_add(at as u8)).collect();
            match write(&writer, &bytes) {
                Ok(count) => {
                    assert!(count == len || len > PIPE_BUF && count > 0, "step {step}");
                    sent = sent.wrapping_add(count as u8);
                    inside += count;
                }
                Err(error) => assert_eq!((error, inside + len.min(PIPE_BUF) > 65536), (Errno::EAGAIN, true)),
            }
        } else {
            match read(&reader, len) {
                Ok(bytes) => {
                    assert_eq!(bytes.len(), len.min(inside));
                    inside -= bytes.len();
                    for byte in bytes {
                        assert_eq!(byte, received);
                        received = received.wrapping_add(1);
                    }
                }
                Err(error) => assert_eq!((error, inside), (Errno::EAGAIN, 0)),
            }
        }
        if rng.below(50) == 0 {
            let pipe = reader.ops().pipe().expect("pipe").clone();
            let wanted = 4096 << rng.below(6);
            let outcome = pipe.set_capacity(wanted);
            assert!(outcome == Ok(wanted) || outcome == Err(Errno::EBUSY));
            let _ = pipe.set_capacity(65536);
        }
    }
}

#[test]
fn ends_that_close_are_noticed() {
    let (reader, writer) = pair(0);
    assert_eq!(reader.poll(None), 0);
    assert_eq!(writer.poll(None), poll::WRITABLE);
    assert_eq!(write(&writer, b"last"), Ok(4));
    assert_eq!(reader.poll(None), poll::READABLE);
    drop(writer);
    assert_eq!(reader.poll(None), poll::READABLE | poll::HANGUP);
    assert_eq!(read(&reader, 10), Ok(b"last".to_vec()));
    assert_eq!(read(&reader, 10), Ok(Vec::new()));
    let (reader, writer) = pair(0);
    drop(reader);
    assert_eq!(writer.poll(None), poll::WRITABLE | poll::ERROR);
    assert_eq!(write(&writer, b"x"), Err(Errno::EPIPE));
    assert_eq!(write(&writer, b""), Ok(0));
    assert_eq!(read(&writer, 1), Err(Errno::EBADF));
    assert_eq!(writer.seek(0, 0), Err(Errno::ESPIPE));
}

#[test]
fn small_writes_of_many_writers_do_not_mix() {
    let (reader, writer) = pair(0);
    let threads: Vec<_> = (0..4u8)
        .map(|number| {
            let writer = writer.clone();
            thread::spawn(move || (0..200).for_each(|_| assert_eq!(write(&writer, &[number; 1000]), Ok(1000))))
        })
        .collect();
    drop(writer);
    let mut all = Vec::new();
    loop {
        let part = read(&reader, 7000).expect("read");
        if part.is_empty() {
            break;
        }
        all.extend(part);
    }
    threads.into_iter().for_each(|thread| thread.join().expect("writer"));
    assert_eq!(all.len(), 4 * 200 * 1000);
    assert!(all.chunks(1000).all(|chunk| chunk.iter().all(|byte| *byte == chunk[0])));
}

#[test]
fn a_large_write_waits_for_room() {
    let (reader, writer) = pair(0);
    let thread = thread::spawn(move || write(&writer, &[7; 300_000]));
    let mut count = 0;
    loop {
        match read(&reader, 10_000).expect("read").len() {
            0 => break,
            part => count += part,
        }
    }
    assert_eq!((count, thread.join().expect("writer")), (300_000, Ok(300_000)));
}

#[test]
fn fifos_wait_for_the_other_side() {
    let world = Arc::new(World::new());
    world.context().mknod(None, b"fifo", FileType::Fifo, 0o644, DeviceNumber::default()).expect("mknod");
    let open_with = |flags| world.context().open(None, b"fifo", OpenHow::flags(flags));
    assert_eq!(open_with(open::O_WRONLY | open::O_NONBLOCK).err(), Some(Errno::ENXIO));
    let early = open_with(open::O_RDONLY | open::O_NONBLOCK).expect("reader");
    assert_eq!(read(&early, 1), Ok(Vec::new()));
    assert_eq!(early.poll(None), 0);
    drop(early);
    let other = world.clone();
    let thread = thread::spawn(move || {
        let writer = other.context().open(None, b"fifo", OpenHow::flags(open::O_WRONLY)).expect("writer");
        write(&writer, b"through")
    });
    let reader = open_with(open::O_RDONLY).expect("reader");
    assert_eq!(read(&reader, 100), Ok(b"through".to_vec()));
    assert_eq!(thread.join().expect("writer"), Ok(7));
    assert!(open_with(open::O_RDWR).is_ok());
}
