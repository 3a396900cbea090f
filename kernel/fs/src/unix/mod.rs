//! Local sockets, in connected pairs (`socketpair(2)`, `unix(7)`).

mod channel;
#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use core::any::Any;

use aios_abi::Errno;
use aios_abi::linux::consts::{fs_magic, ioctl, open, poll as event, socket_type};
use kernel_hal::addr::Virt;
use kernel_hal::usermem;
use kernel_mm::Account;
use kernel_mm::io::{Sink, Source};
use kernel_sync::Poller;

use crate::file::{File, FileOps, Position};
use crate::poll;
use crate::types::{Changes, FileType, Metadata, Ownership, StatFs, Timestamp};
use crate::vfs::{self, Inode};
use channel::Channel;

pub use channel::{CAPACITY, Receive, Received};

/// Who made a socket (`SO_PEERCRED`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    pub pid: u32,
    pub uid: u32,
    pub gid: u32,
}

/// Whether the edges of messages are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SocketKind {
    Stream,
    Datagram,
    /// Messages with an end.
    Packets,
}

impl SocketKind {
    /// From `SOCK_*`: `ESOCKTNOSUPPORT` for others.
    pub fn from_type(number: u32) -> Result<SocketKind, Errno> {
        match number {
            socket_type::SOCK_STREAM => Ok(SocketKind::Stream),
            // As Linux does, raw sockets are taken for datagrams.
            socket_type::SOCK_DGRAM | socket_type::SOCK_RAW => Ok(SocketKind::Datagram),
            socket_type::SOCK_SEQPACKET => Ok(SocketKind::Packets),
            _ => Err(Errno::ESOCKTNOSUPPORT),
        }
    }

    /// The number of the type, as `SO_TYPE` tells it.
    pub fn number(self) -> u32 {
        match self {
            SocketKind::Stream => socket_type::SOCK_STREAM,
            SocketKind::Datagram => socket_type::SOCK_DGRAM,
            SocketKind::Packets => socket_type::SOCK_SEQPACKET,
        }
    }

    fn has_edges(self) -> bool {
        self != SocketKind::Stream
    }
}

/// One of two connected sockets.
pub struct Socket {
    kind: SocketKind,
    incoming: Arc<Channel>,
    outgoing: Arc<Channel>,
    peer: Peer,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.shut_down(true, true);
    }
}

impl Socket {
    /// The socket behind an open file: `ENOTSOCK` for any other file.
    pub fn of(file: &File) -> Result<Arc<Socket>, Errno> {
        let ops: Arc<dyn Any + Send + Sync> = file.ops().clone();
        ops.downcast().map_err(|_| Errno::ENOTSOCK)
    }

    pub fn kind(&self) -> SocketKind {
        self.kind
    }

    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// `shutdown(2)`.
    pub fn shut_down(&self, read: bool, write: bool) {
        if read {
            self.incoming.refuse();
        }
        if write {
            self.outgoing.end();
        }
    }

    pub fn send(&self, source: &mut Source, nonblocking: bool) -> Result<usize, Errno> {
        // The other side of datagrams that are no longer wanted is gone, not closed.
        let gone =
            |error| if error == Errno::EPIPE && self.is_datagram_without_peer() { Errno::ECONNREFUSED } else { error };
        self.outgoing.send(source, self.kind.has_edges(), nonblocking).map_err(gone)
    }

    fn is_datagram_without_peer(&self) -> bool {
        self.kind == SocketKind::Datagram
            && self.outgoing.is_refused()
            && self.incoming.is_ended()
            && !self.outgoing.is_ended()
    }

    pub fn receive(&self, sink: &mut Sink, how: Receive) -> Result<Received, Errno> {
        self.incoming.receive(sink, self.kind.has_edges(), how)
    }
}

impl FileOps for Socket {
    fn read(&self, file: &File, _offset: &mut u64, sink: &mut Sink) -> Result<usize, Errno> {
        let how = Receive { nonblocking: file.is_nonblocking(), ..Receive::default() };
        self.receive(sink, how).map(|received| received.count)
    }

    fn write(&self, file: &File, _offset: &mut u64, source: &mut Source) -> Result<usize, Errno> {
        self.send(source, file.is_nonblocking())
    }

    fn position(&self) -> Position {
        Position::Stream
    }

    fn poll(&self, _file: &File, poller: Option<&mut Poller>) -> u32 {
        if let Some(poller) = poller {
            for channel in [&self.incoming, &self.outgoing] {
                poller.watch(&channel.data);
                poller.watch(&channel.space);
            }
        }
        let mut ready = 0;
        let at_end = self.incoming.is_ended() || self.incoming.is_refused();
        let shut = self.outgoing.is_ended() || self.outgoing.is_refused();
        if self.incoming.has_message() || at_end {
            ready |= poll::READABLE;
        }
        if at_end {
            ready |= u32::from(event::POLLRDHUP);
        }
        if at_end && shut {
            ready |= poll::HANGUP;
        }
        if shut || self.outgoing.is_writable(self.kind.has_edges()) {
            ready |= poll::WRITABLE | u32::from(event::POLLWRBAND);
        }
        ready
    }

    fn ioctl(&self, _file: &File, command: u32, argument: Virt) -> Result<usize, Errno> {
        let count = match command {
            ioctl::FIONREAD if self.kind.has_edges() => self.incoming.first_len(),
            ioctl::FIONREAD => self.incoming.len(),
            ioctl::TIOCOUTQ => self.outgoing.len(),
            _ => return Err(Errno::ENOTTY),
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        usermem::copy_out(argument, &count.to_ne_bytes()).map_err(|_| Errno::EFAULT)?;
        Ok(0)
    }
}

/// The inode of a socket without a name.
struct SocketInode {
    number: u64,
    owner: u32,
    group: u32,
    made: Timestamp,
}

impl Inode for SocketInode {
    fn kind(&self) -> FileType {
        FileType::Socket
    }

    fn metadata(&self) -> Result<Metadata, Errno> {
        Ok(vfs::unplaced_metadata(self, self.made))
    }

    fn ownership(&self) -> Ownership {
        Ownership { owner: self.owner, group: self.group, permissions: 0o777 }
    }

    fn number(&self) -> u64 {
        self.number
    }

    fn set_attributes(&self, _changes: &Changes) -> Result<(), Errno> {
        Ok(())
    }

    fn stat_fs(&self) -> Result<StatFs, Errno> {
        Ok(vfs::unplaced_stat_fs(fs_magic::SOCKFS_MAGIC as u32))
    }
}

/// Two connected sockets. What is on its way is charged to `account`; `flags` may hold `O_NONBLOCK`.
pub fn pair(account: &Arc<Account>, kind: SocketKind, maker: Peer, flags: u32) -> (Arc<File>, Arc<File>) {
    let (one, other) = (Channel::new(account), Channel::new(account));
    let file = |incoming: &Arc<Channel>, outgoing: &Arc<Channel>| {
        let socket = Socket { kind, incoming: incoming.clone(), outgoing: outgoing.clone(), peer: maker };
        let inode =
            SocketInode { number: vfs::next_number(), owner: maker.uid, group: maker.gid, made: Timestamp::now() };
        let path = vfs::anonymous_path(Arc::new(inode), b"socket:");
        File::new(path, Arc::new(socket), open::O_RDWR | flags & open::O_NONBLOCK)
    };
    (file(&one, &other), file(&other, &one))
}
