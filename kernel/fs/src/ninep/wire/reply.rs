//! What a server answers.

use super::{MAX_WALK, Packet, Qid, Reader, WireError, attribute, kind};
use crate::types::Timestamp;

/// A reply, read in the light of its type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// The request failed with this error number of the server's Linux.
    Error(u32),
    Version {
        max_message: u32,
        version: &'a [u8],
    },
    /// The file that was attached, made or linked to.
    Qid(Qid),
    Walk(Qids<'a>),
    /// Opened or created; `unit` is the largest transfer done in one piece, 0 when there is no limit.
    Open {
        qid: Qid,
        unit: u32,
    },
    Link(&'a [u8]),
    Attributes(Attributes),
    Directory(Entries<'a>),
    Statistics(Statistics),
    Read(&'a [u8]),
    /// Bytes written.
    Write(u32),
    Done,
}

/// The files along a walk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Qids<'a> {
    count: usize,
    reader: Reader<'a>,
}

impl Qids<'_> {
    /// How many names were walked.
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The file that the walk ended at.
    pub fn last(&self) -> Option<Qid> {
        let mut reader = self.reader;
        (0..self.count).map_while(|_| reader.qid().ok()).last()
    }
}

/// `Rgetattr`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Attributes {
    pub qid: Qid,
    pub mode: u32,
    pub owner: u32,
    pub group: u32,
    pub links: u64,
    /// In Linux's 64-bit coding.
    pub special: u64,
    pub size: u64,
    pub block_size: u64,
    pub blocks: u64,
    pub accessed: Timestamp,
    pub modified: Timestamp,
    pub changed: Timestamp,
    pub created: Option<Timestamp>,
    pub data_version: u64,
}

/// `Rstatfs`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    pub kind: u32,
    pub block_size: u32,
    pub blocks: u64,
    pub blocks_free: u64,
    pub blocks_available: u64,
    pub files: u64,
    pub files_free: u64,
    pub id: u64,
    pub name_max: u32,
}

/// One name of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    pub qid: Qid,
    /// Where the listing goes on after this entry.
    pub offset: u64,
    /// As `d_type`.
    pub kind: u8,
    pub name: &'a [u8],
}

/// The names of one `Rreaddir`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entries<'a>(Reader<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = read_entry(&mut self.0);
        if entry.is_err() {
            self.0 = Reader::new(&[]);
        }
        Some(entry)
    }
}

fn read_entry<'a>(reader: &mut Reader<'a>) -> Result<Entry<'a>, WireError> {
    let entry = Entry { qid: reader.qid()?, offset: reader.u64()?, kind: reader.u8()?, name: reader.string()? };
    if entry.name.is_empty() || entry.name.iter().any(|byte| matches!(byte, 0 | b'/')) {
        return Err(WireError::BadItem);
    }
    Ok(entry)
}

impl<'a> Reply<'a> {
    /// Reads the reply to a request of type `asked`, see [`Request::kind`](super::Request::kind).
    pub fn parse(packet: &Packet<'a>, asked: u8) -> Result<Reply<'a>, WireError> {
        let mut body = Reader::new(packet.body);
        if packet.kind == kind::LERROR + 1 {
            return Ok(Reply::Error(body.u32()?));
        }
        if packet.kind != asked.wrapping_add(1) {
            return Err(WireError::Unexpected);
        }
        Ok(match asked {
            kind::VERSION => Reply::Version { max_message: body.u32()?, version: body.string()? },
            kind::ATTACH | kind::SYMLINK | kind::MKNOD | kind::MKDIR => Reply::Qid(body.qid()?),
            kind::WALK => Reply::Walk(qids(&mut body)?),
            kind::LOPEN | kind::LCREATE => Reply::Open { qid: body.qid()?, unit: body.u32()? },
            kind::READLINK => Reply::Link(body.string()?),
            kind::GETATTR => Reply::Attributes(attributes(&mut body)?),
            kind::READDIR => Reply::Directory(Entries(Reader::new(body.data()?))),
            kind::STATFS => Reply::Statistics(statistics(&mut body)?),
            kind::READ => Reply::Read(body.data()?),
            kind::WRITE => Reply::Write(body.u32()?),
            kind::SETATTR | kind::FSYNC | kind::LINK | kind::RENAMEAT | kind::UNLINKAT | kind::CLUNK => Reply::Done,
            _ => return Err(WireError::Unexpected),
        })
    }
}

fn qids<'a>(body: &mut Reader<'a>) -> Result<Qids<'a>, WireError> {
    let count = usize::from(body.u16()?);
    if count > MAX_WALK {
        return Err(WireError::BadItem);
    }
    let reader = *body;
    for _ in 0..count {
        body.qid()?;
    }
    Ok(Qids { count, reader })
}

fn time(body: &mut Reader<'_>) -> Result<Timestamp, WireError> {
    let (seconds, nanoseconds) = (body.u64()?.cast_signed(), body.u64()?);
    if nanoseconds >= 1_000_000_000 {
        return Err(WireError::BadItem);
    }
    Ok(Timestamp { seconds, nanoseconds: nanoseconds as u32 })
}

fn attributes(body: &mut Reader<'_>) -> Result<Attributes, WireError> {
    let valid = body.u64()?;
    let mut attributes = Attributes {
        qid: body.qid()?,
        mode: body.u32()?,
        owner: body.u32()?,
        group: body.u32()?,
        links: body.u64()?,
        special: body.u64()?,
        size: body.u64()?,
        block_size: body.u64()?,
        blocks: body.u64()?,
        accessed: time(body)?,
        modified: time(body)?,
        changed: time(body)?,
        created: Some(time(body)?),
        data_version: 0,
    };
    let _generation = body.u64()?;
    attributes.data_version = body.u64()?;
    if valid & attribute::CREATED == 0 {
        attributes.created = None;
    }
    // A size that no offset can reach is not a size.
    if attributes.size > i64::MAX as u64 {
        return Err(WireError::BadItem);
    }
    Ok(attributes)
}

fn statistics(body: &mut Reader<'_>) -> Result<Statistics, WireError> {
    Ok(Statistics {
        kind: body.u32()?,
        block_size: body.u32()?,
        blocks: body.u64()?,
        blocks_free: body.u64()?,
        blocks_available: body.u64()?,
        files: body.u64()?,
        files_free: body.u64()?,
        id: body.u64()?,
        name_max: body.u32()?,
    })
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::super::Writer;
    use super::*;
    use crate::testing::Rng;

    /// A reply to `asked` with that body.
    fn packet(asked: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, asked + 1, 5);
        for byte in body {
            writer.u8(*byte);
        }
        writer.finish(0);
        bytes
    }

    #[test]
    fn sizes_and_types_are_checked() {
        let mut bytes = packet(kind::READ, &[2, 0, 0, 0, 7, 8]);
        let parsed = Packet::parse(&bytes).expect("packet");
        assert_eq!(parsed.tag, 5);
        assert_eq!(Reply::parse(&parsed, kind::READ), Ok(Reply::Read(&[7, 8])));
        assert_eq!(Reply::parse(&parsed, kind::WRITE), Err(WireError::Unexpected));
        bytes.push(0);
        assert_eq!(Packet::parse(&bytes), Err(WireError::BadSize));
        assert_eq!(Packet::parse(&[1, 2]), Err(WireError::Truncated));
        let long = packet(kind::READ, &[3, 0, 0, 0, 7, 8]);
        assert_eq!(Reply::parse(&Packet::parse(&long).expect("packet"), kind::READ), Err(WireError::Truncated));
        let many = packet(kind::WALK, &[17, 0]);
        assert_eq!(Reply::parse(&Packet::parse(&many).expect("packet"), kind::WALK), Err(WireError::BadItem));
        let error = packet(kind::LERROR, &[2, 0, 0, 0]);
        assert_eq!(Reply::parse(&Packet::parse(&error).expect("packet"), kind::WALK), Ok(Reply::Error(2)));
    }

    #[test]
    fn names_with_a_slash_are_refused() {
        for (name, good) in [(&b"ok"[..], true), (b"a/b", false), (b"", false), (b"a\0", false)] {
            let mut body = std::vec![0; 4];
            body.extend([0; 22]);
            body.extend((name.len() as u16).to_le_bytes());
            body.extend(name);
            let len = body.len() as u32 - 4;
            body[..4].copy_from_slice(&len.to_le_bytes());
            let bytes = packet(kind::READDIR, &body);
            let Ok(Reply::Directory(entries)) = Reply::parse(&Packet::parse(&bytes).expect("packet"), kind::READDIR)
            else {
                panic!("not a directory");
            };
            let entries: Result<Vec<_>, _> = entries.collect();
            assert_eq!(entries.is_ok(), good);
        }
    }

    #[test]
    fn random_bytes_are_survived() {
        let mut rng = Rng::new(5);
        for _ in 0..20_000 {
            let body: Vec<u8> = (0..rng.below(200)).map(|_| (rng.next() >> 8) as u8 & 0x1f).collect();
            let asked = rng.below(61) as u8 * 2;
            let bytes = packet(asked, &body);
            if let Ok(Reply::Directory(entries)) = Reply::parse(&Packet::parse(&bytes).expect("packet"), asked) {
                assert!(entries.count() <= body.len());
            }
        }
    }
}
