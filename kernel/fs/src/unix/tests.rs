use std::vec::Vec;

use alloc::sync::Arc;

use super::*;
use crate::testing::{account, read, write};

const MAKER: Peer = Peer { pid: 1, uid: 0, gid: 0 };

fn two(kind: SocketKind) -> (Arc<File>, Arc<File>) {
    pair(&account(), kind, MAKER, open::O_NONBLOCK)
}

fn receive(file: &File, len: usize, how: Receive) -> Result<(Vec<u8>, usize), Errno> {
    let mut bytes = std::vec![0; len];
    let received = Socket::of(file)?.receive(&mut Sink::kernel(&mut bytes), how)?;
    bytes.truncate(received.count);
    Ok((bytes, received.whole))
}

#[test]
fn a_stream_has_no_edges() {
    let (one, other) = two(SocketKind::Stream);
    assert_eq!(write(&one, b"ping"), Ok(4));
    assert_eq!(write(&one, b"!"), Ok(1));
    let peek = Receive { peek: true, ..Receive::default() };
    assert_eq!(receive(&other, 2, peek).unwrap().0, b"pi");
    assert_eq!(receive(&other, 9, peek).unwrap().0, b"ping!");
    assert_eq!(receive(&other, 3, Receive::default()).unwrap().0, b"pin");
    assert_eq!(receive(&other, 9, Receive::default()).unwrap().0, b"g!");
    assert_eq!(read(&other, 1).err(), Some(Errno::EAGAIN));
}

#[test]
fn datagrams_keep_their_edges() {
    let (one, other) = two(SocketKind::Datagram);
    for message in [&b"one"[..], b"", b"three"] {
        assert_eq!(write(&one, message), Ok(message.len()));
    }
    assert_eq!(receive(&other, 2, Receive::default()), Ok((b"on".to_vec(), 3)));
    assert_eq!(receive(&other, 9, Receive::default()), Ok((Vec::new(), 0)));
    assert_eq!(receive(&other, 9, Receive::default()), Ok((b"three".to_vec(), 5)));
    let sent = (0..100).take_while(|_| write(&one, b"x").is_ok()).count();
    assert_eq!(sent, 11);
}

#[test]
fn a_closed_side_is_seen() {
    let (one, other) = two(SocketKind::Stream);
    assert_eq!(write(&one, b"last"), Ok(4));
    Socket::of(&one).unwrap().shut_down(false, true);
    assert_eq!(write(&one, b"x"), Err(Errno::EPIPE));
    assert_eq!(receive(&other, 9, Receive::default()).unwrap().0, b"last");
    assert_eq!(receive(&other, 9, Receive::default()).unwrap().0, b"");
    assert_eq!(write(&other, b"back"), Ok(4));
    drop(other);
    assert_eq!(receive(&one, 9, Receive::default()).unwrap().0, b"back");
    assert_ne!(one.poll(None) & poll::HANGUP, 0);
}

#[test]
fn everything_arrives_in_order_through_a_full_channel() {
    let (one, other) = pair(&account(), SocketKind::Stream, MAKER, 0);
    let bytes: Vec<u8> = (0..700_000u32).map(|at| ((at * 7) >> 3) as u8).collect();
    let sent = bytes.clone();
    let sender = std::thread::spawn(move || write(&one, &sent));
    let how = Receive { fill: true, ..Receive::default() };
    assert!(receive(&other, bytes.len(), how).unwrap().0 == bytes);
    assert_eq!(sender.join().unwrap(), Ok(bytes.len()));
}
