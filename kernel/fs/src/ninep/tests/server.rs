//! A server in memory, for tests: a tmpfs spoken to through 9P2000.L.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::vec::Vec;

use alloc::sync::Arc;

use aios_abi::Errno;
use kernel_mm::io::{Sink, Source};

use crate::file::File;
use crate::ninep::Transport;
use crate::ninep::wire::{HEADER, Packet, Qid, Reader, WireError, Writer, kind};
use crate::testing;
use crate::tmpfs;
use crate::types::{Changes, DeviceNumber, DirEntry, FileType, NewInode, RenameMode, Timestamp};
use crate::vfs::{Inode, OpenRequest, anonymous_path};

pub struct Server {
    pub root: Arc<dyn Inode>,
    max_message: usize,
    fids: Mutex<BTreeMap<u32, Arc<dyn Inode>>>,
    /// Messages so far.
    pub calls: AtomicUsize,
}

enum Failure {
    Wire(WireError),
    Errno(Errno),
}

impl From<WireError> for Failure {
    fn from(error: WireError) -> Failure {
        Failure::Wire(error)
    }
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Failure {
        Failure::Errno(error)
    }
}

impl Server {
    pub fn new(max_message: usize) -> Arc<Server> {
        let root = tmpfs::root(&testing::account(), tmpfs::Options::default()).expect("root");
        Arc::new(Server { root, max_message, fids: Mutex::default(), calls: AtomicUsize::new(0) })
    }

    /// Files that clients hold.
    pub fn held(&self) -> usize {
        self.fids.lock().expect("fids").len()
    }

    fn get(&self, fid: u32) -> Result<Arc<dyn Inode>, Errno> {
        self.fids.lock().expect("fids").get(&fid).cloned().ok_or(Errno::EBADF)
    }

    fn put(&self, fid: u32, inode: Arc<dyn Inode>) {
        self.fids.lock().expect("fids").insert(fid, inode);
    }

    fn answer(&self, packet: &Packet<'_>, out: &mut Writer<'_>) -> Result<(), Failure> {
        let mut body = Reader::new(packet.body);
        let request = &mut body;
        match packet.kind {
            kind::VERSION => {
                let size = request.u32()?.min(self.max_message as u32);
                out.u32(size).string(b"9P2000.L");
            }
            kind::ATTACH => {
                self.put(request.u32()?, self.root.clone());
                out.qid(qid(&self.root));
            }
            kind::WALK => {
                let (fid, new, count) = (request.u32()?, request.u32()?, request.u16()?);
                let mut at = self.get(fid)?;
                let mut qids = Vec::new();
                for _ in 0..count {
                    at = at.lookup(request.string()?)?;
                    qids.push(qid(&at));
                }
                self.put(new, at);
                out.u16(count);
                for qid in qids {
                    out.qid(qid);
                }
            }
            kind::LOPEN => {
                let inode = self.get(request.u32()?)?;
                out.qid(qid(&inode)).u32(0);
            }
            kind::LCREATE => {
                let fid = request.u32()?;
                let name = request.string()?;
                let (_, permissions, group) = (request.u32()?, request.u32()?, request.u32()?);
                let made = self.get(fid)?.create(name, &new(FileType::Regular, permissions, group, (0, 0)))?;
                out.qid(qid(&made)).u32(0);
                self.put(fid, made);
            }
            kind::MKDIR => {
                let directory = self.get(request.u32()?)?;
                let (name, permissions, group) = (request.string()?, request.u32()?, request.u32()?);
                let made = directory.create(name, &new(FileType::Directory, permissions, group, (0, 0)))?;
                out.qid(qid(&made));
            }
            kind::MKNOD => {
                let directory = self.get(request.u32()?)?;
                let (name, mode) = (request.string()?, request.u32()?);
                let (device, group) = ((request.u32()?, request.u32()?), request.u32()?);
                let kind = FileType::from_mode(mode).ok_or(Errno::EINVAL)?;
                out.qid(qid(&directory.create(name, &new(kind, mode & 0o7777, group, device))?));
            }
            kind::SYMLINK => {
                let directory = self.get(request.u32()?)?;
                let (name, target, group) = (request.string()?, request.string()?, request.u32()?);
                let made = directory.symlink(name, target, &new(FileType::Symlink, 0o777, group, (0, 0)))?;
                out.qid(qid(&made));
            }
            kind::READLINK => {
                out.string(&self.get(request.u32()?)?.read_link()?);
            }
            kind::GETATTR => {
                let inode = self.get(request.u32()?)?;
                // As QEMU, which asks by path, answers for what was unlinked.
                if inode.metadata()?.links == 0 {
                    return Err(Errno::ENOENT.into());
                }
                attributes(&inode, out)?;
            }
            kind::SETATTR => {
                let inode = self.get(request.u32()?)?;
                set_attributes(&inode, request)?;
            }
            kind::READDIR => {
                let inode = self.get(request.u32()?)?;
                let (offset, count) = (request.u64()?, request.u32()? as usize);
                let mut listing = Vec::new();
                inode.read_dir(offset.max(2), &mut |entry: DirEntry<'_>| {
                    if listing.len() + 24 + entry.name.len() > count {
                        return false;
                    }
                    let mut one = Vec::new();
                    let qid = Qid { kind: 0, version: 0, path: entry.inode };
                    Writer::new(&mut one, 0, 0).qid(qid).u64(entry.next).u8(entry.kind.dirent()).string(entry.name);
                    listing.extend_from_slice(&one[HEADER..]);
                    true
                })?;
                data(out, &listing);
            }
            kind::READ => {
                let inode = self.get(request.u32()?)?;
                let (offset, count) = (request.u64()?, request.u32()? as usize);
                let mut bytes = std::vec![0; count.min(self.max_message - 24)];
                let count = open(&inode)?.read_at(offset, &mut Sink::kernel(&mut bytes))?;
                data(out, &bytes[..count]);
            }
            kind::WRITE => {
                let inode = self.get(request.u32()?)?;
                let (offset, bytes) = (request.u64()?, request.data()?);
                out.u32(open(&inode)?.write_at(offset, &mut Source::kernel(bytes))? as u32);
            }
            kind::FSYNC => {}
            kind::LINK => {
                let (directory, inode) = (self.get(request.u32()?)?, self.get(request.u32()?)?);
                directory.link(request.string()?, &inode)?;
            }
            kind::RENAMEAT => {
                let (from, name) = (self.get(request.u32()?)?, request.string()?);
                let (to, new_name) = (self.get(request.u32()?)?, request.string()?);
                from.rename(name, &to, new_name, RenameMode::Replace)?;
            }
            kind::UNLINKAT => {
                let (directory, name) = (self.get(request.u32()?)?, request.string()?);
                if request.u32()? == 0 { directory.unlink(name)? } else { directory.rmdir(name)? }
            }
            kind::STATFS => {
                out.u32(1).u32(4096).u64(9).u64(8).u64(7).u64(6).u64(5).u64(4).u32(255);
            }
            kind::CLUNK => {
                let fid = request.u32()?;
                self.fids.lock().expect("fids").remove(&fid).ok_or(Errno::EBADF)?;
            }
            _ => return Err(Errno::EOPNOTSUPP.into()),
        }
        Ok(())
    }
}

impl Transport for Server {
    fn max_message(&self) -> usize {
        self.max_message
    }

    fn call(&self, parts: &[&[u8]], reply: &mut Vec<u8>) -> Result<(), Errno> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let bytes = parts.concat();
        assert!(bytes.len() <= self.max_message, "a request of {} bytes", bytes.len());
        let packet = Packet::parse(&bytes).expect("request");
        let mut writer = Writer::new(reply, packet.kind + 1, packet.tag);
        let outcome = self.answer(&packet, &mut writer);
        writer.finish(0);
        match outcome {
            Ok(()) => {}
            Err(Failure::Wire(error)) => panic!("request {packet:?}: {error}"),
            Err(Failure::Errno(error)) => {
                let mut writer = Writer::new(reply, kind::LERROR + 1, packet.tag);
                writer.u32(u32::from(error.number()));
                writer.finish(0);
            }
        }
        Ok(())
    }
}

fn data(out: &mut Writer<'_>, bytes: &[u8]) {
    out.u32(bytes.len() as u32);
    for byte in bytes {
        out.u8(*byte);
    }
}

fn qid(inode: &Arc<dyn Inode>) -> Qid {
    Qid { kind: if inode.kind() == FileType::Directory { 0x80 } else { 0 }, version: 0, path: inode.number() }
}

fn new(kind: FileType, permissions: u32, group: u32, device: (u32, u32)) -> NewInode {
    let special = DeviceNumber::new(device.0, device.1);
    NewInode { kind, permissions: permissions as u16 & 0o7777, owner: 0, group, special }
}

pub fn open(inode: &Arc<dyn Inode>) -> Result<Arc<File>, Errno> {
    let request = OpenRequest { read: true, write: true, ..OpenRequest::default() };
    let ops = inode.clone().open(&request)?;
    Ok(File::new(anonymous_path(inode.clone(), b"served"), ops, aios_abi::linux::consts::open::O_RDWR))
}

fn attributes(inode: &Arc<dyn Inode>, out: &mut Writer<'_>) -> Result<(), Failure> {
    let meta = inode.metadata()?;
    out.u64(0x3fff).qid(qid(inode)).u32(meta.mode()).u32(meta.owner).u32(meta.group).u64(u64::from(meta.links));
    out.u64(meta.special.encode()).u64(meta.size).u64(u64::from(meta.block_size)).u64(meta.blocks);
    for time in [meta.accessed, meta.modified, meta.changed, meta.created.unwrap_or_default()] {
        out.u64(time.seconds as u64).u64(u64::from(time.nanoseconds));
    }
    out.u64(0).u64(0);
    Ok(())
}

fn set_attributes(inode: &Arc<dyn Inode>, request: &mut Reader<'_>) -> Result<(), Failure> {
    let valid = request.u32()?;
    let (permissions, owner, group, size) = (request.u32()?, request.u32()?, request.u32()?, request.u64()?);
    let mut time = || -> Result<Timestamp, Failure> {
        Ok(Timestamp { seconds: request.u64()? as i64, nanoseconds: request.u64()? as u32 })
    };
    let (accessed, modified) = (time()?, time()?);
    let has = |bit: u32| valid & bit != 0;
    if has(8) {
        inode.set_size(size)?;
    }
    inode.set_attributes(&Changes {
        permissions: has(1).then_some(permissions as u16),
        owner: has(2).then_some(owner),
        group: has(4).then_some(group),
        accessed: has(0x80).then_some(accessed),
        modified: has(0x100).then_some(modified),
    })?;
    Ok(())
}
