//! Plans how to place the kernel: an ELF64 executable for x86-64, moved as a whole to another physical base.
//!
//! The file comes from a disk anyone may have written, so every field is checked before it is used. Layout: System V ABI,
//! "ELF-64 Object File Format" 1.5, figures 2 and 6.

use core::fmt;
use core::ops::Range;

/// Segments a kernel may have; ours has five.
const MAX_SEGMENTS: usize = 16;
/// The largest image taken: more is a damaged header, not a kernel.
const MAX_SPAN: u64 = 256 << 20;
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const PT_LOAD: u32 = 1;
const PF_X: u32 = 1;
const ET_EXEC: u16 = 2;
const EM_X86_64: u16 = 62;

/// Why a file is not a kernel that can be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElfError {
    /// Shorter than its headers say.
    Truncated,
    NotElf,
    /// Not a 64-bit little-endian static executable for x86-64.
    WrongKind,
    TooManySegments,
    /// Nothing to load.
    Empty,
    /// A segment's sizes or addresses contradict each other.
    BadSegment,
    /// Two segments want the same physical memory.
    Overlap,
    /// The image would take more than 256 MiB.
    TooLarge,
    /// The entry point is not in executable bytes of the file.
    BadEntry,
}

impl fmt::Display for ElfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ElfError::Truncated => "is cut short",
            ElfError::NotElf => "is not an ELF file",
            ElfError::WrongKind => "is not a 64-bit static executable for x86-64",
            ElfError::TooManySegments => "has too many segments",
            ElfError::Empty => "has nothing to load",
            ElfError::BadSegment => "has a segment with impossible sizes",
            ElfError::Overlap => "has segments that overlap",
            ElfError::TooLarge => "would take more than 256 MiB of memory",
            ElfError::BadEntry => "has an entry point outside its code",
        })
    }
}

impl core::error::Error for ElfError {}

/// One loadable segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Segment {
    /// Byte of the file, and bytes taken from it.
    offset: u64,
    file_len: u64,
    vaddr: u64,
    paddr: u64,
    /// Bytes in memory; those beyond `file_len` are zero.
    mem_len: u64,
    executable: bool,
}

/// A kernel whose segments fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    segments: [Segment; MAX_SEGMENTS],
    count: usize,
    start: u64,
    end: u64,
    entry: u64,
}

impl Image {
    /// Checks `file` and plans its placement.
    pub fn plan(file: &[u8]) -> Result<Image, ElfError> {
        let header = file.get(..HEADER).ok_or(ElfError::Truncated)?;
        if !header.starts_with(b"\x7fELF") {
            return Err(ElfError::NotElf);
        }
        let (class, order) = (header.get(4), header.get(5));
        if class != Some(&2) || order != Some(&1) || u16_at(header, 16)? != ET_EXEC || u16_at(header, 18)? != EM_X86_64
        {
            return Err(ElfError::WrongKind);
        }
        let (table, size, count) = (u64_at(header, 32)?, u16_at(header, 54)?, u16_at(header, 56)?);
        if usize::from(size) != PROGRAM_HEADER {
            return Err(ElfError::WrongKind);
        }

        let mut image = Image { segments: Default::default(), count: 0, start: u64::MAX, end: 0, entry: 0 };
        for index in 0..u64::from(count) {
            let at = table.checked_add(index * PROGRAM_HEADER as u64).ok_or(ElfError::Truncated)?;
            let entry = bytes(file, at, PROGRAM_HEADER as u64).ok_or(ElfError::Truncated)?;
            if let Some(segment) = segment(entry, file.len() as u64)? {
                image.add(segment)?;
            }
        }
        if image.count == 0 {
            return Err(ElfError::Empty);
        }
        if image.span() > MAX_SPAN {
            return Err(ElfError::TooLarge);
        }
        image.entry = image.find_entry(u64_at(header, 24)?)?;
        Ok(image)
    }

    /// The lowest physical address the file asks for. The image may be placed at any address that equals it
    /// modulo 2 MiB.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Bytes from the first to the last in memory.
    pub fn span(&self) -> u64 {
        self.end - self.start
    }

    /// Distance of the entry point from the image's first byte.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// Fills `memory`, which is [`Image::span`] bytes long, from the file that was planned.
    pub fn load(&self, file: &[u8], memory: &mut [u8]) -> Result<(), ElfError> {
        memory.fill(0);
        for segment in self.segments() {
            let source = bytes(file, segment.offset, segment.file_len).ok_or(ElfError::Truncated)?;
            let at = usize::try_from(segment.paddr - self.start).map_err(|_| ElfError::TooLarge)?;
            let place = memory.get_mut(at..).and_then(|rest| rest.get_mut(..source.len()));
            place.ok_or(ElfError::TooLarge)?.copy_from_slice(source);
        }
        Ok(())
    }

    fn segments(&self) -> &[Segment] {
        self.segments.get(..self.count).unwrap_or(&[])
    }

    fn add(&mut self, new: Segment) -> Result<(), ElfError> {
        let overlaps = |old: &Segment| new.memory().start < old.memory().end && old.memory().start < new.memory().end;
        if self.segments().iter().any(overlaps) {
            return Err(ElfError::Overlap);
        }
        *self.segments.get_mut(self.count).ok_or(ElfError::TooManySegments)? = new;
        self.count += 1;
        self.start = self.start.min(new.memory().start);
        self.end = self.end.max(new.memory().end);
        Ok(())
    }

    fn find_entry(&self, vaddr: u64) -> Result<u64, ElfError> {
        let holds = |s: &&Segment| s.executable && vaddr.checked_sub(s.vaddr).is_some_and(|at| at < s.file_len);
        let segment = self.segments().iter().find(holds).ok_or(ElfError::BadEntry)?;
        Ok(segment.paddr - self.start + (vaddr - segment.vaddr))
    }
}

impl Segment {
    /// Physical memory; its end was checked not to wrap.
    fn memory(&self) -> Range<u64> {
        self.paddr..self.paddr + self.mem_len
    }
}

/// Decodes a program header; nothing when there is nothing to load.
fn segment(header: &[u8], file_len: u64) -> Result<Option<Segment>, ElfError> {
    if u32_at(header, 0)? != PT_LOAD || u64_at(header, 40)? == 0 {
        return Ok(None);
    }
    let segment = Segment {
        executable: u32_at(header, 4)? & PF_X != 0,
        offset: u64_at(header, 8)?,
        vaddr: u64_at(header, 16)?,
        paddr: u64_at(header, 24)?,
        file_len: u64_at(header, 32)?,
        mem_len: u64_at(header, 40)?,
    };
    let in_file = segment.offset.checked_add(segment.file_len).is_some_and(|end| end <= file_len);
    if !in_file {
        return Err(ElfError::Truncated);
    }
    let wraps = segment.paddr.checked_add(segment.mem_len).is_none();
    if segment.file_len > segment.mem_len || wraps {
        return Err(ElfError::BadSegment);
    }
    Ok(Some(segment))
}

fn bytes(file: &[u8], at: u64, len: u64) -> Option<&[u8]> {
    let (at, len) = (usize::try_from(at).ok()?, usize::try_from(len).ok()?);
    file.get(at..)?.get(..len)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], ElfError> {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().ok_or(ElfError::Truncated)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, ElfError> {
    field(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, ElfError> {
    field(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, ElfError> {
    field(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    const HIGH: u64 = 0xffff_ffff_8000_0000;

    /// A kernel of the given segments: (physical address, content, bytes of zeros behind it, flags).
    fn kernel(parts: &[(u64, &[u8], u64, u32)], entry: u64) -> Vec<u8> {
        let mut file = vec![0; HEADER + parts.len() * PROGRAM_HEADER];
        file[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
        let put16 = |file: &mut Vec<u8>, at: usize, value: u16| file[at..at + 2].copy_from_slice(&value.to_le_bytes());
        let put64 = |file: &mut Vec<u8>, at: usize, value: u64| file[at..at + 8].copy_from_slice(&value.to_le_bytes());
        put16(&mut file, 16, ET_EXEC);
        put16(&mut file, 18, EM_X86_64);
        put64(&mut file, 24, entry);
        put64(&mut file, 32, HEADER as u64);
        put16(&mut file, 54, PROGRAM_HEADER as u16);
        put16(&mut file, 56, parts.len() as u16);
        for (index, (paddr, content, zeros, flags)) in parts.iter().enumerate() {
            let at = HEADER + index * PROGRAM_HEADER;
            let offset = file.len() as u64;
            file[at..at + 4].copy_from_slice(&PT_LOAD.to_le_bytes());
            file[at + 4..at + 8].copy_from_slice(&flags.to_le_bytes());
            for (field, value) in
                [offset, HIGH.wrapping_add(*paddr), *paddr, content.len() as u64, content.len() as u64 + zeros]
                    .into_iter()
                    .enumerate()
            {
                put64(&mut file, at + 8 + field * 8, value);
            }
            file.extend_from_slice(content);
        }
        file
    }

    fn usual() -> Vec<u8> {
        kernel(&[(0x20_0000, b"code", 0, 5), (0x20_1000, b"data", 0x3000, 6)], HIGH + 0x20_0002)
    }

    #[test]
    fn segments_keep_their_distance_and_bss_is_zero() {
        let file = usual();
        let image = Image::plan(&file).unwrap();
        assert_eq!((image.start(), image.span(), image.entry()), (0x20_0000, 0x4004, 2));
        let mut memory = vec![0xaa; image.span() as usize];
        image.load(&file, &mut memory).unwrap();
        assert_eq!((&memory[..6], &memory[0x1000..0x1005]), (&b"code\0\0"[..], &b"data\0"[..]));
        assert!(memory[0x1004..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn each_kind_of_damage_is_named() {
        let damage = |at: usize, value: u8| {
            let mut file = usual();
            file[at] = value;
            Image::plan(&file).unwrap_err()
        };
        assert_eq!(damage(0, 0), ElfError::NotElf);
        assert_eq!(damage(4, 1), ElfError::WrongKind);
        assert_eq!(damage(16, 3), ElfError::WrongKind);
        assert_eq!(damage(39, 0xff), ElfError::Truncated);
        assert_eq!(damage(HEADER + 32 + 3, 1), ElfError::Truncated);
        assert_eq!(damage(HEADER + 40, 3), ElfError::BadSegment);
        assert_eq!(damage(HEADER + PROGRAM_HEADER + 24 + 1, 0), ElfError::Overlap);
        assert_eq!(damage(HEADER + 40 + 7, 0xff), ElfError::Overlap);
        assert_eq!(damage(24, 4), ElfError::BadEntry);
        assert_eq!(Image::plan(&usual()[..HEADER + 20]), Err(ElfError::Truncated));
        assert_eq!(Image::plan(&kernel(&[], 0)), Err(ElfError::Empty));
        let far = kernel(&[(0, b"a", 0, 5), (1 << 29, b"b", 0, 5)], HIGH);
        assert_eq!(Image::plan(&far), Err(ElfError::TooLarge));
        let many: Vec<_> = (0..20).map(|i| (i * 16, &b"x"[..], 0, 5)).collect();
        assert_eq!(Image::plan(&kernel(&many, HIGH)), Err(ElfError::TooManySegments));
    }

    #[test]
    fn code_that_is_not_executable_is_no_entry() {
        assert_eq!(Image::plan(&kernel(&[(0, b"code", 0, 4)], HIGH)), Err(ElfError::BadEntry));
    }

    proptest! {
        #[test]
        fn any_damage_is_survived(changes in proptest::collection::vec((0usize..400, any::<u8>()), 0..8), cut in 0usize..400) {
            let mut file = usual();
            for (at, value) in changes {
                if let Some(byte) = file.get_mut(at) {
                    *byte = value;
                }
            }
            file.truncate(cut.max(HEADER));
            if let Ok(image) = Image::plan(&file) {
                prop_assert!(image.span() <= MAX_SPAN && image.entry() < image.span());
                if image.span() < 1 << 20 {
                    prop_assert_eq!(image.load(&file, &mut vec![0; image.span() as usize]), Ok(()));
                }
            }
        }

        #[test]
        fn memory_holds_what_the_file_says(
            parts in proptest::collection::vec((1u64..5000, proptest::collection::vec(any::<u8>(), 1..200), 0u64..300), 1..8),
        ) {
            let mut at = 0x10_0000;
            let mut placed = Vec::new();
            for (gap, content, zeros) in &parts {
                placed.push((at, content.as_slice(), *zeros, 5));
                at += content.len() as u64 + zeros + gap;
            }
            let file = kernel(&placed, HIGH + placed[0].0);
            let image = Image::plan(&file).unwrap();
            let mut memory = vec![0xaa; image.span() as usize];
            image.load(&file, &mut memory).unwrap();
            let mut want = vec![0; image.span() as usize];
            for (at, content, ..) in placed {
                let at = (at - 0x10_0000) as usize;
                want[at..at + content.len()].copy_from_slice(content);
            }
            prop_assert_eq!(memory, want);
        }
    }
}
