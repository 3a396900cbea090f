//! The streams against a model of the device.

use std::sync::Arc;
use std::vec::Vec;

use aios_abi::Errno;

use super::SerialPorts;
use super::model::{self, Host};

fn machine() -> (Arc<Host>, SerialPorts) {
    let (host, function) = model::device();
    (host, SerialPorts::new(function).expect("a usable device"))
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Reads to the end.
fn read_all(ports: &SerialPorts, port: u32, piece: usize) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = std::vec![0; piece];
    loop {
        match ports.read(port, &mut buffer, false).expect("input") {
            0 => return all,
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

#[test]
fn input_waits_at_the_host_and_ends_after_its_last_byte() {
    for piece in [1000, 4096, 100_000] {
        let (host, ports) = machine();
        let sent = bytes(300_000);
        host.send(1, &sent);
        host.end_input(1);
        assert_eq!(host.waiting(1), sent.len(), "nobody has opened the port");
        ports.open(1, true, false).expect("a port");
        assert!(host.waiting(1) > 200_000, "no more is taken than there are buffers");
        assert!(read_all(&ports, 1, piece) == sent, "in pieces of {piece}");
        assert_eq!(ports.read(1, &mut [0; 10], false), Ok(0), "the end stays");
    }
}

#[test]
fn a_reader_is_woken_by_what_comes() {
    let (host, ports) = machine();
    ports.open(1, true, false).expect("a port");
    assert_eq!(ports.read(1, &mut [0; 10], true), Err(Errno::EAGAIN));
    assert!(!ports.readiness(1).readable);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_all(&ports, 1, 5));
        for part in ["one ", "two ", "three"] {
            std::thread::sleep(core::time::Duration::from_millis(2));
            host.send(1, part.as_bytes());
        }
        host.end_input(1);
        assert_eq!(reader.join().expect("the reader"), b"one two three");
    });
    assert!(ports.readiness(1).hung_up);
}

#[test]
fn a_write_returns_when_the_host_has_the_bytes() {
    let (host, ports) = machine();
    ports.open(2, false, true).expect("a port");
    let sent = bytes(200_000);
    assert_eq!(ports.write(2, &sent, false), Ok(sent.len()));
    assert!(host.received(2) == sent);
    host.stall(2, true);
    assert_eq!(ports.write(2, b"first", true), Ok(5));
    assert_eq!((ports.write(2, b"second", true), ports.readiness(2).writable), (Err(Errno::EAGAIN), false));
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| ports.write(2, b"third", false));
        std::thread::sleep(core::time::Duration::from_millis(5));
        assert!(!writer.is_finished(), "the host has not taken it");
        host.stall(2, false);
        assert_eq!(writer.join().expect("the writer"), Ok(5));
    });
    assert!(host.received(2).ends_with(b"firstthird"));
}

#[test]
fn writing_to_a_host_that_has_closed_is_a_broken_pipe() {
    let (host, ports) = machine();
    ports.open(2, false, true).expect("a port");
    host.end_input(2);
    assert_eq!(ports.write(2, b"x", false), Err(Errno::EPIPE));
}

/// QEMU keeps a buffer for good that it had taken a part of when its end was closed.
#[test]
fn a_host_that_closes_without_taking_all_ends_the_wait() {
    let (host, ports) = machine();
    ports.open(2, false, true).expect("a port");
    host.stall(2, true);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| ports.write(2, b"first", false));
        while ports.readiness(2).writable {
            std::thread::yield_now();
        }
        host.end_input(2);
        assert_eq!(writer.join().expect("the writer"), Ok(5));
    });
    assert_eq!(ports.write(2, b"second", false), Err(Errno::EPIPE));
    assert!(ports.readiness(2).writable, "an error is to be had");
}

#[test]
fn ports_that_the_host_does_not_have_cannot_be_opened() {
    let (_host, ports) = machine();
    assert_eq!((ports.last(), ports.open(0, true, true)), (3, Err(Errno::ENXIO)));
    assert_eq!(ports.open(4, true, true), Err(Errno::ENXIO));
    std::thread::scope(|scope| {
        let opener = scope.spawn(|| ports.open(3, true, true));
        while !opener.is_finished() {
            kernel_hal::hosted::advance(core::time::Duration::from_millis(100));
            std::thread::sleep(core::time::Duration::from_millis(1));
        }
        assert_eq!(opener.join().expect("the opener"), Err(Errno::ENXIO), "announced never");
    });
}

#[test]
fn a_device_that_lies_about_lengths_is_not_used_any_more() {
    let (host, ports) = machine();
    ports.open(1, true, true).expect("a port");
    host.lie();
    host.send(1, b"x");
    assert_eq!(ports.read(1, &mut [0; 10], false), Err(Errno::EIO));
    assert_eq!(ports.write(1, b"x", false), Err(Errno::EIO));
}
