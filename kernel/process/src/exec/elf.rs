//! ELF program files (System V ABI, "Object files"; its AMD64 supplement), read from bytes that anyone may have
//! written. Nothing is mapped here: the outcome says what to map, with every address and length checked.

use alloc::vec::Vec;
use core::ops::Range;

use aios_abi::Errno;
use aios_abi::linux::consts::PATH_MAX;
use kernel_hal::addr::{PAGE_SIZE, USER_END, Virt};
use kernel_hal::paging::Prot;

/// Bytes of the file header.
pub const HEADER: usize = 64;
/// Bytes of one program header.
pub const PROGRAM_HEADER: usize = 56;
/// Most bytes of program headers (Linux's `ELF_MIN_ALIGN` bound: they fit 64 KiB).
const MAX_HEADERS: usize = 65536 / PROGRAM_HEADER;

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const EM_X86_64: u16 = 62;
const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_GNU_STACK: u32 = 0x6474_e551;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const PF_R: u32 = 4;

/// The file header, as far as loading needs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Can be loaded at any address.
    pub relocatable: bool,
    pub entry: u64,
    /// Where the program headers are in the file.
    pub headers_at: u64,
    pub header_count: u16,
}

/// What one `PT_LOAD` asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    pub address: u64,
    pub offset: u64,
    pub file_size: u64,
    pub memory_size: u64,
    pub prot: Prot,
}

impl Segment {
    /// The pages it covers.
    pub fn pages(&self) -> Range<u64> {
        // Checked when it was read: the sum lies in user space, whose end is a page boundary.
        Virt(self.address).page_down().0..(self.address + self.memory_size).next_multiple_of(PAGE_SIZE as u64)
    }
}

/// What the program headers ask for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    pub header: Header,
    /// In the order of the file; at least one.
    pub segments: Vec<Segment>,
    /// Where the name of the interpreter is in the file, its terminator included.
    pub interpreter: Option<Range<u64>>,
    /// The stack is to be executable.
    pub executable_stack: bool,
    /// Of a relocatable image's load address; a power of two, at least a page.
    pub alignment: u64,
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

impl Header {
    /// Reads the first [`HEADER`] bytes of a file. `ENOEXEC` when it is no program for this machine.
    pub fn parse(bytes: &[u8]) -> Result<Header, Errno> {
        Header::decode(bytes).ok_or(Errno::ENOEXEC)
    }

    fn decode(bytes: &[u8]) -> Option<Header> {
        // 64 bit, little endian; what follows in `e_ident` is the business of user space.
        if !bytes.starts_with(b"\x7fELF\x02\x01") || u16_at(bytes, 18)? != EM_X86_64 {
            return None;
        }
        let relocatable = match u16_at(bytes, 16)? {
            ET_EXEC => false,
            ET_DYN => true,
            _ => return None,
        };
        let header_count = u16_at(bytes, 56)?;
        if usize::from(u16_at(bytes, 54)?) != PROGRAM_HEADER || !(1..=MAX_HEADERS).contains(&usize::from(header_count))
        {
            return None;
        }
        Some(Header { relocatable, entry: u64_at(bytes, 24)?, headers_at: u64_at(bytes, 32)?, header_count })
    }

    /// Bytes of all program headers.
    pub fn headers_len(&self) -> usize {
        usize::from(self.header_count) * PROGRAM_HEADER
    }
}

impl Image {
    /// Reads the program headers that `header` announced. `ENOEXEC` for a malformed table, `EINVAL` for segments that
    /// cannot be where they want to be, `ENOMEM` when they do not fit user space.
    pub fn parse(header: Header, table: &[u8]) -> Result<Image, Errno> {
        if table.len() < header.headers_len() {
            return Err(Errno::ENOEXEC);
        }
        let mut image = Image {
            header,
            segments: Vec::new(),
            interpreter: None,
            executable_stack: false,
            alignment: PAGE_SIZE as u64,
        };
        for bytes in table.chunks_exact(PROGRAM_HEADER).take(usize::from(header.header_count)) {
            image.take(bytes)?;
        }
        if image.segments.is_empty() {
            return Err(Errno::ENOEXEC);
        }
        Ok(image)
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let narrow = |at| u32_at(bytes, at).ok_or(Errno::ENOEXEC);
        let wide = |at| u64_at(bytes, at).ok_or(Errno::ENOEXEC);
        let (kind, flags) = (narrow(0)?, narrow(4)?);
        let (offset, address, file_size, memory_size, alignment) =
            (wide(8)?, wide(16)?, wide(32)?, wide(40)?, wide(48)?);
        match kind {
            PT_INTERP if self.interpreter.is_none() => {
                let end = offset.checked_add(file_size).ok_or(Errno::ENOEXEC)?;
                if !(2..=PATH_MAX as u64).contains(&file_size) {
                    return Err(Errno::ENOEXEC);
                }
                self.interpreter = Some(offset..end);
            }
            PT_GNU_STACK => self.executable_stack = flags & PF_X != 0,
            PT_LOAD => {
                let prot = Prot { read: flags & PF_R != 0, write: flags & PF_W != 0, exec: flags & PF_X != 0 };
                let segment = Segment { address, offset, file_size, memory_size, prot };
                segment.check()?;
                if alignment.is_power_of_two() {
                    self.alignment = self.alignment.max(alignment);
                }
                // Nothing to map; Linux skips it too.
                if memory_size != 0 {
                    self.segments.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
                    self.segments.push(segment);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The pages from the lowest segment's to the highest's.
    pub fn span(&self) -> Range<u64> {
        let start = self.segments.iter().map(|segment| segment.pages().start).min().unwrap_or(0);
        let end = self.segments.iter().map(|segment| segment.pages().end).max().unwrap_or(0);
        start..end
    }

    /// Where the program headers are once the image is loaded, before its load address is added; 0 when no segment
    /// holds them.
    pub fn headers_address(&self) -> u64 {
        let at = self.header.headers_at;
        let holds = |segment: &&Segment| at >= segment.offset && at - segment.offset < segment.file_size;
        self.segments.iter().find(holds).map_or(0, |segment| segment.address + (at - segment.offset))
    }
}

impl Segment {
    fn check(&self) -> Result<(), Errno> {
        if self.file_size > self.memory_size
            || self.memory_size > USER_END
            || self.address > USER_END - self.memory_size
        {
            return Err(Errno::EINVAL);
        }
        let page = PAGE_SIZE as u64;
        if self.file_size != 0 && self.address % page != self.offset % page {
            return Err(Errno::EINVAL);
        }
        // Up to the end of the last page, so that page arithmetic on it cannot overflow either.
        let end = self.offset.checked_add(self.file_size).and_then(|end| end.checked_add(page));
        if end.is_none_or(|end| i64::try_from(end).is_err()) { Err(Errno::EINVAL) } else { Ok(()) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    pub(crate) fn header_bytes(kind: u16, entry: u64, count: u16) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        bytes[16..18].copy_from_slice(&kind.to_le_bytes());
        bytes[18..20].copy_from_slice(&EM_X86_64.to_le_bytes());
        bytes[24..32].copy_from_slice(&entry.to_le_bytes());
        bytes[32..40].copy_from_slice(&(HEADER as u64).to_le_bytes());
        bytes[54..56].copy_from_slice(&(PROGRAM_HEADER as u16).to_le_bytes());
        bytes[56..58].copy_from_slice(&count.to_le_bytes());
        bytes
    }

    /// kind, flags, offset, address, file size, memory size, alignment
    pub(crate) fn program_header(kind: u32, flags: u32, fields: [u64; 5]) -> Vec<u8> {
        let [offset, address, file_size, memory_size, alignment] = fields;
        let mut bytes = Vec::new();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        for field in [offset, address, address, file_size, memory_size, alignment] {
            bytes.extend(field.to_le_bytes());
        }
        bytes
    }

    fn image(kind: u16, headers: &[Vec<u8>]) -> Result<Image, Errno> {
        let header = Header::parse(&header_bytes(kind, 0x401000, headers.len() as u16))?;
        Image::parse(header, &headers.concat())
    }

    #[test]
    fn a_usual_program_is_understood() {
        let headers = [
            program_header(6, PF_R, [64, 0x400040, 168, 168, 8]),
            program_header(PT_INTERP, PF_R, [0x200, 0x400200, 28, 28, 1]),
            program_header(PT_LOAD, PF_R | PF_X, [0, 0x400000, 0x1234, 0x1234, 0x1000]),
            program_header(PT_LOAD, PF_R | PF_W, [0x1ff0, 0x402ff0, 0x20, 0x3000, 0x20_0000]),
            program_header(PT_GNU_STACK, PF_R | PF_W, [0; 5]),
        ];
        let image = image(ET_EXEC, &headers).expect("well formed");
        assert_eq!(image.segments.len(), 2);
        assert_eq!(image.segments[1].pages(), 0x402000..0x406000);
        assert_eq!(image.span(), 0x400000..0x406000);
        assert_eq!(image.interpreter, Some(0x200..0x21c));
        assert_eq!((image.executable_stack, image.alignment), (false, 0x20_0000));
        assert_eq!(image.headers_address(), 0x400040);
        assert!(!image.header.relocatable);
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let good = header_bytes(ET_DYN, 0, 1);
        assert!(Header::parse(&good).is_ok());
        assert_eq!(Header::parse(&good[..HEADER - 7]), Err(Errno::ENOEXEC));
        assert_eq!(Header::parse(b""), Err(Errno::ENOEXEC));
        // Class, byte order, type, machine, header size, header count.
        for (at, value) in [(4, 1), (5, 2), (16, 1), (18, 3), (54, 55), (56, 0)] {
            let mut bad = good.clone();
            bad[at] = value;
            assert_eq!(Header::parse(&bad), Err(Errno::ENOEXEC), "byte {at}");
        }
        assert_eq!(image(ET_EXEC, &[program_header(PT_GNU_STACK, 0, [0; 5])]), Err(Errno::ENOEXEC));
    }

    #[test]
    fn segments_that_cannot_be_are_refused() {
        let load = |fields| image(ET_EXEC, &[program_header(PT_LOAD, PF_R, fields)]).map(|_| ());
        assert_eq!(load([0, 0x400000, 1, 1, 0]), Ok(()));
        assert_eq!(load([0, 0x400000, 2, 1, 0]), Err(Errno::EINVAL));
        assert_eq!(load([1, 0x400000, 1, 1, 0]), Err(Errno::EINVAL));
        assert_eq!(load([0, USER_END, 0, 1, 0]), Err(Errno::EINVAL));
        assert_eq!(load([0, 0, 0, u64::MAX, 0]), Err(Errno::EINVAL));
        assert_eq!(load([u64::MAX - 0xfff, 0x400000, 1, 1, 0]), Err(Errno::EINVAL));
        let interp = |fields| image(ET_DYN, &[program_header(PT_INTERP, PF_R, fields)]).map(|_| ());
        assert_eq!(interp([0, 0, 1, 1, 1]), Err(Errno::ENOEXEC));
        assert_eq!(interp([0, 0, 5000, 5000, 1]), Err(Errno::ENOEXEC));
        assert_eq!(interp([u64::MAX, 0, 5, 5, 1]), Err(Errno::ENOEXEC));
    }

    #[test]
    fn any_bytes_give_a_checked_image_or_an_error() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let interesting =
            [0, 1, 0xfff, 0x1000, 0x400000, USER_END - 1, USER_END, i64::MAX as u64, u64::MAX - 0xfff, u64::MAX];
        for _ in 0..20_000 {
            let mut pick = || if next() % 3 == 0 { next() } else { interesting[(next() % 10) as usize] };
            let fields = [pick(), pick(), pick(), pick(), pick()];
            let kind = if next() % 5 == 0 { PT_INTERP } else { PT_LOAD };
            let Ok(image) = image(ET_DYN, &[program_header(kind, next() as u32, fields)]) else { continue };
            let span = image.span();
            assert!(span.start < span.end && span.end <= USER_END, "{span:x?}");
            assert!(image.headers_address() <= USER_END);
            assert!(image.alignment.is_power_of_two());
        }
    }
}
