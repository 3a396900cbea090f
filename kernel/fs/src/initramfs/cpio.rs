//! The "newc" archive format of `cpio(5)`, as Linux takes it for an initramfs.
//!
//! Several archives may follow each other, with zeros between them. Nothing in the bytes can make this panic: what is
//! not a well-formed entry ends the reading with an [`ArchiveError`].

use core::fmt;

/// Bytes of an entry's header.
const HEADER: usize = 110;
const MAGIC: &[u8] = b"070701";
/// The same with a sum of the contents, which nobody checks.
const MAGIC_WITH_SUM: &[u8] = b"070702";
const TRAILER: &[u8] = b"TRAILER!!!";

/// Why an archive could not be read on, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArchiveError {
    /// Offset in the archive, in bytes.
    pub offset: usize,
    pub problem: Problem,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    BadMagic,
    /// A header field is not hexadecimal.
    BadNumber,
    /// The archive ends within an entry.
    Truncated,
    /// A name without its terminator, or an empty one.
    BadName,
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.problem {
            Problem::BadMagic => "no newc header",
            Problem::BadNumber => "a header field is not a hexadecimal number",
            Problem::Truncated => "the archive ends within an entry",
            Problem::BadName => "an entry has no proper name",
        };
        write!(f, "{problem} at byte {}", self.offset)
    }
}

/// One file of an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Identifies hard links: entries with the same number and more than one link are one file.
    pub inode: u32,
    /// Type and permissions as in `st_mode`.
    pub mode: u32,
    pub owner: u32,
    pub group: u32,
    pub links: u32,
    /// Seconds since 1970.
    pub modified: u32,
    /// Number of the device that a device node stands for: major, minor.
    pub special: (u32, u32),
    pub name: &'a [u8],
    /// Contents of a file, target of a symbolic link.
    pub content: &'a [u8],
}

/// The entries of an archive in order.
pub struct Archive<'a> {
    bytes: &'a [u8],
    offset: usize,
    /// Counts archives within the bytes: numbers of hard links start anew in each.
    part: u32,
    failed: bool,
}

impl<'a> Archive<'a> {
    pub fn new(bytes: &'a [u8]) -> Archive<'a> {
        Archive { bytes, offset: 0, part: 0, failed: false }
    }

    /// Which of several concatenated archives the last entry came from.
    pub fn part(&self) -> u32 {
        self.part
    }

    /// The byte after the last entry.
    pub fn offset(&self) -> usize {
        self.offset
    }

    fn error(&self, problem: Problem) -> ArchiveError {
        ArchiveError { offset: self.offset, problem }
    }

    fn slice(&self, start: usize, len: usize) -> Result<&'a [u8], ArchiveError> {
        let end = start.checked_add(len).ok_or(self.error(Problem::Truncated))?;
        self.bytes.get(start..end).ok_or(self.error(Problem::Truncated))
    }

    fn field(&self, header: &[u8], number: usize) -> Result<u32, ArchiveError> {
        let start = 6 + 8 * number;
        let digits = header.get(start..start + 8).ok_or(self.error(Problem::Truncated))?;
        digits.iter().try_fold(0u32, |value, digit| {
            let digit = (*digit as char).to_digit(16).ok_or(self.error(Problem::BadNumber))?;
            Ok(value << 4 | digit)
        })
    }

    /// The entry at the current offset, which moves behind it. `None` at the end.
    fn read(&mut self) -> Result<Option<Entry<'a>>, ArchiveError> {
        loop {
            let rest = self.bytes.get(self.offset..).unwrap_or_default();
            let Some(zeros) = rest.iter().position(|byte| *byte != 0) else { return Ok(None) };
            self.offset += zeros;
            let start = self.offset;
            let header = self.slice(start, HEADER)?;
            if !header.starts_with(MAGIC) && !header.starts_with(MAGIC_WITH_SUM) {
                return Err(self.error(Problem::BadMagic));
            }
            let size = self.field(header, 6)? as usize;
            let name_size = self.field(header, 11)? as usize;
            let name = match self.slice(start + HEADER, name_size)? {
                [name @ .., 0] if !name.is_empty() && !name.contains(&0) => name,
                _ => return Err(self.error(Problem::BadName)),
            };
            let content_start = start + (HEADER + name_size).next_multiple_of(4);
            let content = if size == 0 { &[] } else { self.slice(content_start, size)? };
            let entry = Entry {
                inode: self.field(header, 0)?,
                mode: self.field(header, 1)?,
                owner: self.field(header, 2)?,
                group: self.field(header, 3)?,
                links: self.field(header, 4)?,
                modified: self.field(header, 5)?,
                special: (self.field(header, 9)?, self.field(header, 10)?),
                name,
                content,
            };
            self.offset = content_start + size.next_multiple_of(4);
            if name == TRAILER {
                self.part = self.part.saturating_add(1);
                continue;
            }
            return Ok(Some(entry));
        }
    }
}

impl<'a> Iterator for Archive<'a> {
    type Item = Result<Entry<'a>, ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let outcome = self.read().transpose();
        self.failed = matches!(outcome, Some(Err(_)));
        outcome
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::vec::Vec;

    use super::*;

    /// An entry as an archiver writes it.
    pub(crate) fn entry(inode: u32, mode: u32, links: u32, name: &[u8], content: &[u8]) -> Vec<u8> {
        let mut out = b"070701".to_vec();
        let name_size = name.len() as u32 + 1;
        for field in [inode, mode, 3, 4, links, 77, content.len() as u32, 0, 0, 5, 6, name_size, 0] {
            out.extend_from_slice(std::format!("{field:08x}").as_bytes());
        }
        out.extend_from_slice(name);
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    #[test]
    fn entries_come_out_as_they_went_in() {
        let mut bytes = entry(1, 0o100_644, 1, b"a", b"hello");
        bytes.extend(entry(0, 0, 1, TRAILER, b""));
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes.extend(entry(1, 0o120_777, 1, b"dir/link", b"../a"));
        let mut archive = Archive::new(&bytes);
        let first = archive.next().and_then(Result::ok).expect("first");
        assert_eq!(
            (first.name, first.content, first.mode, first.special),
            (&b"a"[..], &b"hello"[..], 0o100_644, (5, 6))
        );
        assert_eq!(archive.part(), 0);
        let second = archive.next().and_then(Result::ok).expect("second");
        assert_eq!((second.name, second.content, archive.part()), (&b"dir/link"[..], &b"../a"[..], 1));
        assert!(archive.next().is_none());
    }

    #[test]
    fn every_cut_is_an_error_and_every_flip_is_survived() {
        let bytes = entry(1, 0o100_644, 1, b"name", b"some content");
        for len in 1..bytes.len() {
            let outcome: Result<Vec<_>, _> = Archive::new(&bytes[..len]).collect();
            assert!(outcome.is_err(), "cut at {len}");
        }
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut broken = bytes.clone();
                broken[place] ^= 1 << bit;
                let _ = Archive::new(&broken).count();
            }
        }
        let huge = entry(1, 0o100_644, 1, b"name", b"x")
            .into_iter()
            .enumerate()
            .map(|(at, byte)| if (54..62).contains(&at) || (94..102).contains(&at) { b'f' } else { byte });
        assert!(Archive::new(&huge.collect::<Vec<_>>()).any(|entry| entry.is_err()));
    }
}
