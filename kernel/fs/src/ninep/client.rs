//! A 9P session: numbers for files and requests, and one method for each request.
//!
//! Several threads may have requests under way; each has its own tag and buffers. A file that is let go of is told to
//! the server with the next request ([`Fid`]): dropping one neither sleeps nor fails.

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use kernel_sync::SpinLock;

use super::wire::{
    Attributes, HEADER, NO_FID, NO_TAG, Packet, Qid, Reply, Request, SetAttributes, Statistics, attribute,
};

const VERSION: &[u8] = b"9P2000.L";
/// The bytes of a read's reply, or of a write's request, that are not data (`IOHDRSZ`).
const DATA_HEADER: usize = 24;
/// The shortest message that every request and useful reply fits in.
const LEAST_MESSAGE: usize = 4096;

/// What carries messages to a server and back.
pub trait Transport: Send + Sync {
    /// Bytes of the longest request and of the longest reply.
    fn max_message(&self) -> usize;

    /// Sends the concatenation of `parts` and puts the reply in place of what `reply` holds. May sleep; may be called
    /// by several threads at once.
    fn call(&self, parts: &[&[u8]], reply: &mut Vec<u8>) -> Result<(), Errno>;
}

/// Numbers of which each is in use at most once.
#[derive(Default)]
struct Numbers {
    next: u32,
    free: Vec<u32>,
}

impl Numbers {
    fn take(&mut self, limit: u32) -> Result<u32, Errno> {
        if let Some(number) = self.free.pop() {
            return Ok(number);
        }
        if self.next >= limit {
            return Err(Errno::ENFILE);
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    fn give(&mut self, number: u32) {
        self.free.push(number);
    }
}

/// A session with a server.
pub struct Client {
    transport: Arc<dyn Transport>,
    max_message: usize,
    fids: SpinLock<Numbers>,
    tags: SpinLock<Numbers>,
    /// Files let go of that the server has not been told about.
    forgotten: SpinLock<Vec<u32>>,
}

/// A file that the server knows.
pub struct Fid {
    client: Arc<Client>,
    number: u32,
}

impl Drop for Fid {
    fn drop(&mut self) {
        self.client.forgotten.lock().push(self.number);
    }
}

/// The outcome of opening or making a file.
pub struct Opened {
    pub fid: Fid,
    pub qid: Qid,
    /// Bytes moved in one piece at most.
    pub unit: usize,
}

impl Client {
    /// Opens a session and attaches to the whole tree. Errors: `EPROTONOSUPPORT` when the server does not speak
    /// 9P2000.L, `EIO` when it breaks the protocol, and its own.
    pub fn connect(transport: Arc<dyn Transport>) -> Result<(Fid, Qid), Errno> {
        let max = transport.max_message().min(1 << 20);
        let mut client = Client {
            transport,
            max_message: max,
            fids: SpinLock::default(),
            tags: SpinLock::default(),
            forgotten: SpinLock::default(),
        };
        let mut reply = Vec::new();
        let asked = Request::Version { max_message: max as u32, version: VERSION };
        match client.exchange(NO_TAG, &asked, &[], &mut reply)? {
            Reply::Version { max_message, version } => {
                if version != VERSION {
                    return Err(Errno::EPROTONOSUPPORT);
                }
                client.max_message = max.min(max_message as usize);
            }
            _ => return Err(Errno::EIO),
        }
        if client.max_message < LEAST_MESSAGE {
            return Err(Errno::EPROTONOSUPPORT);
        }
        let client = Arc::new(client);
        let root = client.new_fid()?;
        let attach = Request::Attach { fid: root.number, auth: NO_FID, user: b"root", tree: b"", uid: 0 };
        let qid = client.call(&attach, &[], |reply| match reply {
            Reply::Qid(qid) => Some(qid),
            _ => None,
        })?;
        Ok((root, qid))
    }

    /// Bytes of data that one read or write can carry.
    pub fn max_data(&self) -> usize {
        self.max_message - DATA_HEADER
    }

    fn new_fid(self: &Arc<Client>) -> Result<Fid, Errno> {
        let number = self.fids.lock().take(NO_FID)?;
        Ok(Fid { client: self.clone(), number })
    }

    /// Sends one request and reads the reply, without regard to what else is waiting to be sent.
    fn exchange<'a>(
        &self,
        tag: u16,
        request: &Request<'_>,
        data: &[u8],
        reply: &'a mut Vec<u8>,
    ) -> Result<Reply<'a>, Errno> {
        let mut bytes = Vec::with_capacity(64);
        request.encode(tag, &mut bytes);
        if bytes.len() + data.len() > self.max_message {
            return Err(Errno::ENAMETOOLONG);
        }
        self.transport.call(&[&bytes, data], reply)?;
        let packet = Packet::parse(reply).map_err(|_| Errno::EIO)?;
        if packet.tag != tag {
            return Err(Errno::EIO);
        }
        match Reply::parse(&packet, request.kind()).map_err(|_| Errno::EIO)? {
            Reply::Error(number) => {
                let known = u16::try_from(number).ok().and_then(Errno::from_number).filter(|error| !error.is_restart());
                Err(known.unwrap_or(Errno::EIO))
            }
            reply => Ok(reply),
        }
    }

    /// Sends one request; `read` takes what it wants from the reply, `None` when that is of the wrong sort.
    fn call<T>(
        &self,
        request: &Request<'_>,
        data: &[u8],
        read: impl FnOnce(Reply<'_>) -> Option<T>,
    ) -> Result<T, Errno> {
        self.tell_forgotten();
        self.call_now(request, data, read)
    }

    fn call_now<T>(
        &self,
        request: &Request<'_>,
        data: &[u8],
        read: impl FnOnce(Reply<'_>) -> Option<T>,
    ) -> Result<T, Errno> {
        let tag = self.tags.lock().take(u32::from(NO_TAG))?;
        let mut reply = Vec::with_capacity(HEADER);
        let outcome =
            self.exchange(tag as u16, request, data, &mut reply).and_then(|reply| read(reply).ok_or(Errno::EIO));
        self.tags.lock().give(tag);
        outcome
    }

    /// Tells the server about files let go of. A number is used again only after the server has answered.
    fn tell_forgotten(&self) {
        loop {
            let Some(number) = self.forgotten.lock().pop() else { return };
            // Whatever the answer, the server does not know the fid any more.
            let _ = self.call_now(&Request::Clunk { fid: number }, &[], |_| Some(()));
            self.fids.lock().give(number);
        }
    }

    fn done(&self, request: &Request<'_>) -> Result<(), Errno> {
        self.call(request, &[], |reply| matches!(reply, Reply::Done | Reply::Qid(_)).then_some(()))
    }
}

impl Fid {
    /// Another number for the file `name` in this directory, or for this file itself.
    pub fn walk(&self, name: Option<&[u8]>) -> Result<(Fid, Option<Qid>), Errno> {
        let new = self.client.fids.lock().take(NO_FID)?;
        let names = [name.unwrap_or_default()];
        let names = if name.is_some() { &names[..] } else { &[] };
        let request = Request::Walk { fid: self.number, new, names };
        let walked = self.client.call(&request, &[], |reply| match reply {
            Reply::Walk(qids) if qids.len() == names.len() => Some(qids.last()),
            _ => None,
        });
        match walked {
            Ok(qid) => Ok((Fid { client: self.client.clone(), number: new }, qid)),
            Err(error) => {
                // The server did not take the number.
                self.client.fids.lock().give(new);
                Err(error)
            }
        }
    }

    /// Opens the file. `flags` are Linux's.
    pub fn open(&self, flags: u32) -> Result<Opened, Errno> {
        let (fid, _) = self.walk(None)?;
        fid.opened(|number| Request::Open { fid: number, flags })
    }

    /// Makes a file in this directory and opens it.
    pub fn create(&self, name: &[u8], flags: u32, permissions: u32, group: u32) -> Result<Opened, Errno> {
        let (fid, _) = self.walk(None)?;
        fid.opened(|number| Request::Create { fid: number, name, flags, permissions, group })
    }

    fn opened<'a>(self, request: impl FnOnce(u32) -> Request<'a>) -> Result<Opened, Errno> {
        let (qid, unit) = self.client.call(&request(self.number), &[], |reply| match reply {
            Reply::Open { qid, unit } => Some((qid, unit as usize)),
            _ => None,
        })?;
        let most = self.client.max_data();
        Ok(Opened { qid, unit: if unit == 0 { most } else { unit.min(most) }, fid: self })
    }

    pub fn symlink(&self, name: &[u8], target: &[u8], group: u32) -> Result<(), Errno> {
        self.client.done(&Request::Symlink { fid: self.number, name, target, group })
    }

    pub fn make_node(&self, name: &[u8], mode: u32, device: (u32, u32), group: u32) -> Result<(), Errno> {
        let (major, minor) = device;
        self.client.done(&Request::MakeNode { directory: self.number, name, mode, major, minor, group })
    }

    pub fn make_directory(&self, name: &[u8], permissions: u32, group: u32) -> Result<(), Errno> {
        self.client.done(&Request::MakeDirectory { directory: self.number, name, permissions, group })
    }

    pub fn read_link(&self) -> Result<Vec<u8>, Errno> {
        self.client.call(&Request::ReadLink { fid: self.number }, &[], |reply| match reply {
            Reply::Link(target) => Some(target.to_vec()),
            _ => None,
        })
    }

    pub fn attributes(&self) -> Result<Attributes, Errno> {
        let mask = attribute::BASIC | attribute::CREATED | attribute::DATA_VERSION;
        self.client.call(&Request::GetAttributes { fid: self.number, mask }, &[], |reply| match reply {
            Reply::Attributes(attributes) => Some(attributes),
            _ => None,
        })
    }

    pub fn set_attributes(&self, changes: SetAttributes) -> Result<(), Errno> {
        self.client.done(&Request::SetAttributes { fid: self.number, changes })
    }

    /// Calls `each` with the names of one reply from `offset` on, until it returns false. False at the end of the
    /// directory. `each` may not make requests of the same session.
    pub fn read_directory(
        &self,
        offset: u64,
        each: &mut dyn FnMut(&super::wire::Entry<'_>) -> bool,
    ) -> Result<bool, Errno> {
        let count = self.client.max_data() as u32;
        let request = Request::ReadDirectory { fid: self.number, offset, count };
        self.client.call(&request, &[], |reply| {
            let Reply::Directory(entries) = reply else { return None };
            let mut any = false;
            for entry in entries {
                any = true;
                if !each(&entry.ok()?) {
                    break;
                }
            }
            Some(any)
        })
    }

    pub fn sync(&self, data_only: bool) -> Result<(), Errno> {
        self.client.done(&Request::Sync { fid: self.number, data_only })
    }

    /// Gives `file` one more name, in this directory.
    pub fn link(&self, name: &[u8], file: &Fid) -> Result<(), Errno> {
        self.client.done(&Request::Link { directory: self.number, fid: file.number, name })
    }

    pub fn rename(&self, name: &[u8], to: &Fid, new_name: &[u8]) -> Result<(), Errno> {
        self.client.done(&Request::Rename { from: self.number, name, to: to.number, new_name })
    }

    /// Removes a name; `flags` may hold `AT_REMOVEDIR`.
    pub fn unlink(&self, name: &[u8], flags: u32) -> Result<(), Errno> {
        self.client.done(&Request::Unlink { directory: self.number, name, flags })
    }

    pub fn statistics(&self) -> Result<Statistics, Errno> {
        self.client.call(&Request::Statistics { fid: self.number }, &[], |reply| match reply {
            Reply::Statistics(statistics) => Some(statistics),
            _ => None,
        })
    }

    /// Appends at most `count` bytes from `offset` on to `bytes`. Returns how many; 0 at the end.
    pub fn read(&self, offset: u64, count: usize, bytes: &mut Vec<u8>) -> Result<usize, Errno> {
        let count = count.min(self.client.max_data());
        let request = Request::Read { fid: self.number, offset, count: count as u32 };
        self.client.call(&request, &[], |reply| match reply {
            Reply::Read(data) if data.len() <= count => {
                bytes.extend_from_slice(data);
                Some(data.len())
            }
            _ => None,
        })
    }

    /// Writes at most one message's worth of `data`. Returns how many bytes.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<usize, Errno> {
        let data = data.get(..self.client.max_data()).unwrap_or(data);
        let request = Request::Write { fid: self.number, offset, count: data.len() as u32 };
        self.client.call(&request, data, |reply| match reply {
            Reply::Write(count) if count as usize <= data.len() => Some(count as usize),
            _ => None,
        })
    }
}
