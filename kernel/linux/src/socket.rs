//! Sockets: local ones in connected pairs (`socketpair(2)`), and the calls that use them.
//!
//! There are no other sockets yet, so no names to bind or connect to: `socket(2)` and what belongs to it is refused.

use alloc::sync::Arc;

use aios_abi::Errno;
use aios_abi::linux::consts::signal::SIGPIPE;
use aios_abi::linux::consts::{SOCK_TYPE_MASK, open};
use aios_abi::linux::consts::{family, msg, shutdown as direction, sock_level, sock_opt, socket_type};
use aios_abi::linux::structs::{MsgHdr, Ucred};
use aios_abi::linux::table::nr;
use kernel_fs::File;
use kernel_fs::unix::{self, Peer, Receive, Received, Socket, SocketKind};
use kernel_hal::addr::{Virt, is_user_range};
use kernel_hal::usermem;
use kernel_mm::io::{Sink, Source};
use kernel_process::signal;

use crate::call::{CallResult, MAX_TRANSFER};
use crate::pipes::hand_out_pair;
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[
    (nr::SOCKETPAIR, socketpair),
    (nr::SENDTO, sendto),
    (nr::RECVFROM, recvfrom),
    (nr::SENDMSG, sendmsg),
    (nr::RECVMSG, recvmsg),
    (nr::SHUTDOWN, shutdown),
    (nr::GETSOCKOPT, getsockopt),
    (nr::SETSOCKOPT, setsockopt),
    (nr::GETSOCKNAME, getsockname),
    (nr::GETPEERNAME, getsockname),
];

fn socketpair(call: &mut Call<'_>) -> CallResult {
    let (kind, flags) = (call.uint(1) & SOCK_TYPE_MASK, call.uint(1) & !SOCK_TYPE_MASK);
    if flags & !(socket_type::SOCK_CLOEXEC | socket_type::SOCK_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    match call.uint(0) {
        family::AF_UNIX => {}
        family::AF_INET | family::AF_INET6 => return Err(Errno::EOPNOTSUPP),
        _ => return Err(Errno::EAFNOSUPPORT),
    }
    // The one protocol of the family goes by two numbers.
    if !matches!(call.uint(2), 0 | family::AF_UNIX) {
        return Err(Errno::EPROTONOSUPPORT);
    }
    let kind = SocketKind::from_type(kind)?;
    let credentials = call.thread.credentials();
    let maker = Peer { pid: call.process().pid(), uid: credentials.euid, gid: credentials.egid };
    let files = unix::pair(call.process().domain().memory(), kind, maker, flags & open::O_NONBLOCK);
    hand_out_pair(call, call.ptr(3), files, flags & socket_type::SOCK_CLOEXEC != 0)
}

/// The socket of a descriptor argument.
fn socket(call: &Call<'_>, index: usize) -> Result<(Arc<File>, Arc<Socket>), Errno> {
    let file = call.fd(index)?;
    let socket = Socket::of(&file)?;
    Ok((file, socket))
}

fn buffer(call: &Call<'_>) -> Result<(Virt, usize), Errno> {
    let len = usize::try_from(call.arg(2)).unwrap_or(usize::MAX).min(MAX_TRANSFER);
    if is_user_range(call.ptr(1), len) { Ok((call.ptr(1), len)) } else { Err(Errno::EFAULT) }
}

fn send(call: &Call<'_>, file: &File, socket: &Socket, source: &mut Source<'_>, flags: u32) -> CallResult {
    if flags & msg::MSG_OOB != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let nonblocking = file.is_nonblocking() || flags & msg::MSG_DONTWAIT != 0;
    socket.send(source, nonblocking).inspect_err(|error| {
        if *error == Errno::EPIPE && flags & msg::MSG_NOSIGNAL == 0 {
            signal::send_to_self(call.thread, SIGPIPE);
        }
    })
}

/// What naming a receiver brings on a socket that is connected.
fn refuse_address(socket: &Socket, length: u32) -> Result<(), Errno> {
    match socket.kind() {
        _ if length == 0 => Ok(()),
        SocketKind::Stream => Err(Errno::EISCONN),
        // Nothing has a name to be found under.
        SocketKind::Datagram | SocketKind::Packets => Err(Errno::ENOENT),
    }
}

fn sendto(call: &mut Call<'_>) -> CallResult {
    let (at, len) = buffer(call)?;
    let (file, socket) = socket(call, 0)?;
    if call.ptr(4).0 != 0 {
        refuse_address(&socket, call.uint(5))?;
    }
    send(call, &file, &socket, &mut Source::user(at, len), call.uint(3))
}

fn receive(file: &File, socket: &Socket, sink: &mut Sink<'_>, flags: u32) -> Result<Received, Errno> {
    if flags & msg::MSG_OOB != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    let how = Receive {
        peek: flags & msg::MSG_PEEK != 0,
        nonblocking: file.is_nonblocking() || flags & msg::MSG_DONTWAIT != 0,
        fill: flags & msg::MSG_WAITALL != 0,
    };
    socket.receive(sink, how)
}

/// What a receiving call returns: with `MSG_TRUNC`, the length that the message had.
fn length(socket: &Socket, received: Received, flags: u32) -> usize {
    let edges = socket.kind() != SocketKind::Stream;
    if edges && flags & msg::MSG_TRUNC != 0 { received.whole } else { received.count }
}

fn recvfrom(call: &mut Call<'_>) -> CallResult {
    let (at, len) = buffer(call)?;
    let (file, socket) = socket(call, 0)?;
    let flags = call.uint(3);
    let received = receive(&file, &socket, &mut Sink::user(at, len), flags)?;
    if call.ptr(4).0 != 0 {
        // Senders have no name.
        call.write(call.ptr(5), &0u32)?;
    }
    Ok(length(&socket, received, flags))
}

fn sendmsg(call: &mut Call<'_>) -> CallResult {
    let (file, socket) = socket(call, 0)?;
    let header: MsgHdr = call.read(call.ptr(1))?;
    if header.iovlen > aios_abi::linux::consts::IOV_MAX as u64 {
        return Err(Errno::EMSGSIZE);
    }
    let parts = call.iovecs(Virt(header.iov), header.iovlen)?;
    if header.controllen != 0 {
        // Descriptors and credentials do not travel: said, not lost.
        return Err(Errno::EOPNOTSUPP);
    }
    if header.name != 0 {
        refuse_address(&socket, header.namelen)?;
    }
    send(call, &file, &socket, &mut Source::user_iovecs(parts), call.uint(2))
}

fn recvmsg(call: &mut Call<'_>) -> CallResult {
    let (file, socket) = socket(call, 0)?;
    let at = call.ptr(1);
    let mut header: MsgHdr = call.read(at)?;
    if header.iovlen > aios_abi::linux::consts::IOV_MAX as u64 {
        return Err(Errno::EMSGSIZE);
    }
    let parts = call.iovecs(Virt(header.iov), header.iovlen)?;
    let flags = call.uint(2);
    let received = receive(&file, &socket, &mut Sink::user_iovecs(parts), flags)?;
    header.namelen = 0;
    header.controllen = 0;
    header.flags = if received.whole > received.count { msg::MSG_TRUNC } else { 0 };
    if socket.kind() == SocketKind::Packets {
        header.flags |= msg::MSG_EOR;
    }
    call.write(at, &header)?;
    Ok(length(&socket, received, flags))
}

fn shutdown(call: &mut Call<'_>) -> CallResult {
    let (_, socket) = socket(call, 0)?;
    let (read, write) = match call.uint(1) {
        direction::SHUT_RD => (true, false),
        direction::SHUT_WR => (false, true),
        direction::SHUT_RDWR => (true, true),
        _ => return Err(Errno::EINVAL),
    };
    socket.shut_down(read, write);
    Ok(0)
}

/// Writes an option's value, as much as the caller has room for, and how long it is.
fn hand_out(call: &Call<'_>, value: &[u8]) -> CallResult {
    let (at, length_at) = (call.ptr(3), call.ptr(4));
    let room = usize::try_from(call.read::<i32>(length_at)?).map_err(|_| Errno::EINVAL)?;
    let shown = value.get(..room).unwrap_or(value);
    usermem::copy_out(at, shown).map_err(|_| Errno::EFAULT)?;
    call.write(length_at, &(shown.len() as u32))?;
    Ok(0)
}

fn getsockopt(call: &mut Call<'_>) -> CallResult {
    let (_, socket) = socket(call, 0)?;
    if call.uint(1) != sock_level::SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    let number = match call.uint(2) {
        sock_opt::SO_TYPE => socket.kind().number(),
        sock_opt::SO_DOMAIN => family::AF_UNIX,
        sock_opt::SO_SNDBUF | sock_opt::SO_RCVBUF => unix::CAPACITY as u32,
        sock_opt::SO_RCVLOWAT | sock_opt::SO_SNDLOWAT => 1,
        sock_opt::SO_ERROR
        | sock_opt::SO_PROTOCOL
        | sock_opt::SO_ACCEPTCONN
        | sock_opt::SO_KEEPALIVE
        | sock_opt::SO_REUSEADDR
        | sock_opt::SO_REUSEPORT
        | sock_opt::SO_BROADCAST
        | sock_opt::SO_PASSCRED
        | sock_opt::SO_PRIORITY => 0,
        sock_opt::SO_PEERCRED => {
            let Peer { pid, uid, gid } = socket.peer();
            return hand_out(call, aios_abi::linux::structs::IntoBytes::as_bytes(&Ucred { pid: pid as i32, uid, gid }));
        }
        _ => return Err(Errno::ENOPROTOOPT),
    };
    hand_out(call, &number.to_ne_bytes())
}

/// Options that may be set without anything coming of it on a local socket.
fn setsockopt(call: &mut Call<'_>) -> CallResult {
    let (_, _socket) = socket(call, 0)?;
    if call.uint(1) != sock_level::SOL_SOCKET {
        return Err(Errno::EOPNOTSUPP);
    }
    match call.uint(2) {
        sock_opt::SO_SNDBUF
        | sock_opt::SO_RCVBUF
        | sock_opt::SO_KEEPALIVE
        | sock_opt::SO_REUSEADDR
        | sock_opt::SO_REUSEPORT
        | sock_opt::SO_BROADCAST
        | sock_opt::SO_PRIORITY => {}
        _ => return Err(Errno::ENOPROTOOPT),
    }
    if call.int(4) < size_of::<i32>() as i32 {
        return Err(Errno::EINVAL);
    }
    call.read::<i32>(call.ptr(3))?;
    Ok(0)
}

/// Both sides of a pair have a family and no name.
fn getsockname(call: &mut Call<'_>) -> CallResult {
    let (_, _socket) = socket(call, 0)?;
    let room = usize::try_from(call.read::<i32>(call.ptr(2))?).map_err(|_| Errno::EINVAL)?;
    let name = (family::AF_UNIX as u16).to_ne_bytes();
    usermem::copy_out(call.ptr(1), name.get(..room).unwrap_or(&name)).map_err(|_| Errno::EFAULT)?;
    call.write(call.ptr(2), &(name.len() as u32))?;
    Ok(0)
}
