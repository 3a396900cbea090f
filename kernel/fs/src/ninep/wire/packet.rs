//! The level of bytes.

use alloc::vec::Vec;
use core::fmt;

use super::Qid;

/// Bytes of `size[4] type[1] tag[2]`.
pub const HEADER: usize = 7;

/// A message is not what the protocol says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WireError {
    /// Shorter than its fields.
    Truncated,
    /// Its size field is not its size.
    BadSize,
    /// A count is more than the message can hold, or an item is malformed.
    BadItem,
    /// Not a reply to what was asked.
    Unexpected,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WireError::Truncated => "a 9p message ends within a field",
            WireError::BadSize => "a 9p message has another size than it says",
            WireError::BadItem => "a 9p message has an item that cannot be",
            WireError::Unexpected => "a 9p reply does not fit its request",
        })
    }
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    pub kind: u8,
    pub tag: u16,
    pub body: &'a [u8],
}

impl<'a> Packet<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Packet<'a>, WireError> {
        let mut reader = Reader::new(bytes);
        let size = reader.u32()?;
        let packet = Packet { kind: reader.u8()?, tag: reader.u16()?, body: reader.rest() };
        if size as usize == bytes.len() { Ok(packet) } else { Err(WireError::BadSize) }
    }
}

/// Takes fields from the front of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    /// Everything that was not taken yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(WireError::Truncated)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(WireError::Truncated)?;
        self.bytes = rest;
        Ok(*taken)
    }

    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_le_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn string(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }

    /// Bytes with a 32-bit length in front.
    pub fn data(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    pub fn qid(&mut self) -> Result<Qid, WireError> {
        Ok(Qid { kind: self.u8()?, version: self.u32()?, path: self.u64()? })
    }
}

/// Builds a message.
pub struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    /// Starts a message in `bytes`, whose contents go.
    pub fn new(bytes: &'a mut Vec<u8>, kind: u8, tag: u16) -> Writer<'a> {
        bytes.clear();
        bytes.extend_from_slice(&[0; 4]);
        bytes.push(kind);
        bytes.extend_from_slice(&tag.to_le_bytes());
        Writer { bytes }
    }

    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// A string; what is beyond 65535 bytes is left out.
    pub fn string(&mut self, value: &[u8]) -> &mut Self {
        let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.u16(len);
        self.bytes.extend_from_slice(value.get(..usize::from(len)).unwrap_or(value));
        self
    }

    pub fn qid(&mut self, qid: Qid) -> &mut Self {
        self.u8(qid.kind).u32(qid.version).u64(qid.path)
    }

    /// Writes the size, counting `following` bytes that the transport sends after these.
    pub fn finish(&mut self, following: usize) {
        let size = u32::try_from(self.bytes.len() + following).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.first_chunk_mut::<4>() {
            *place = size.to_le_bytes();
        }
    }
}
