//! Decodes Multiboot2 boot information: how GRUB hands over.
//!
//! Layout: Multiboot2 specification 2.0, §3.6 "Boot information format". Tags of unknown type are skipped.

use core::ops::Range;

use super::{
    BootError, Framebuffer, MAX_CMDLINE, MemoryRegion, PhysRead, RawBoot, fetch, method, pixel_format, pvh::e820_kind,
    u32_at, u64_at,
};

/// What the loader leaves in `eax`.
pub const MAGIC: u32 = 0x36d7_6289;
/// Bytes before the first tag, and of a tag's own head.
const HEAD: u64 = 8;
/// The largest plausible information; GRUB's is a few KiB.
const MAX_SIZE: u64 = 1 << 20;

mod tag {
    pub(super) const END: u32 = 0;
    pub(super) const CMDLINE: u32 = 1;
    pub(super) const MODULE: u32 = 3;
    pub(super) const MEMORY_MAP: u32 = 6;
    pub(super) const FRAMEBUFFER: u32 = 8;
    pub(super) const RSDP_V1: u32 = 14;
    pub(super) const RSDP_V2: u32 = 15;
}

/// Reads the information at `start` into `out`. `image` is where the kernel lies; the first module is the initramfs.
pub fn parse(memory: &impl PhysRead, start: u64, image: Range<u64>, out: &mut RawBoot) -> Result<(), BootError> {
    out.start(method::MULTIBOOT2, image);
    let total = u64::from(u32::from_le_bytes(fetch::<4>(memory, start)?));
    if !(HEAD * 2..=MAX_SIZE).contains(&total) {
        return Err(BootError::BadSize(total));
    }
    out.occupied(start, total, "Multiboot2 information")?;

    let mut offset = HEAD;
    while offset + HEAD <= total {
        let head = fetch::<8>(memory, start + offset)?;
        let (kind, size) = (u32_at(&head, 0).unwrap_or(0), u64::from(u32_at(&head, 4).unwrap_or(0)));
        if size < HEAD || size > total - offset {
            return Err(BootError::BadTag(offset));
        }
        if kind == tag::END {
            break;
        }
        Tag { memory, kind, offset, body: start + offset + HEAD, len: size - HEAD }.decode(out)?;
        offset = (offset + size).next_multiple_of(8);
    }
    out.finish()
}

/// One tag: `len` bytes at `body`, all inside the information.
struct Tag<'m, M> {
    memory: &'m M,
    kind: u32,
    offset: u64,
    body: u64,
    len: u64,
}

impl<M: PhysRead> Tag<'_, M> {
    fn decode(&self, out: &mut RawBoot) -> Result<(), BootError> {
        match self.kind {
            tag::CMDLINE => self.cmdline(out),
            tag::MODULE => self.module(out),
            tag::MEMORY_MAP => self.memory_map(out),
            tag::FRAMEBUFFER => self.framebuffer(out),
            // The newer root pointer wins, whichever comes first.
            tag::RSDP_V1 if out.info.rsdp == 0 => self.rsdp(out),
            tag::RSDP_V2 => self.rsdp(out),
            _ => Ok(()),
        }
    }

    /// The first `N` bytes of the body.
    fn head<const N: usize>(&self) -> Result<[u8; N], BootError> {
        if self.len < N as u64 {
            return Err(BootError::BadTag(self.offset));
        }
        fetch::<N>(self.memory, self.body)
    }

    /// §3.6.3: a NUL-terminated string that fills the tag.
    fn cmdline(&self, out: &mut RawBoot) -> Result<(), BootError> {
        let len = self.len.saturating_sub(1);
        if len > MAX_CMDLINE {
            return Err(BootError::CmdlineTooLong);
        }
        (out.info.cmdline, out.info.cmdline_len) = (self.body, len);
        Ok(())
    }

    /// §3.6.6: `mod_start`, `mod_end`, then a string.
    fn module(&self, out: &mut RawBoot) -> Result<(), BootError> {
        let head = self.head::<8>()?;
        let (start, end) = (u32_at(&head, 0).unwrap_or(0), u32_at(&head, 4).unwrap_or(0));
        let len = end.checked_sub(start).ok_or(BootError::BadRange("boot module"))?;
        out.occupied(start.into(), len.into(), "boot module")?;
        if out.info.initramfs_len == 0 {
            (out.info.initramfs, out.info.initramfs_len) = (start.into(), len.into());
        }
        Ok(())
    }

    /// §3.6.8: entry size and version, then entries of at least 20 used bytes.
    fn memory_map(&self, out: &mut RawBoot) -> Result<(), BootError> {
        let entry_size = u64::from(u32_at(&self.head::<8>()?, 0).unwrap_or(0));
        if entry_size < 20 {
            return Err(BootError::BadTag(self.offset));
        }
        for index in 0..(self.len - 8) / entry_size {
            let entry = fetch::<20>(self.memory, self.body + 8 + index * entry_size)?;
            let (start, len) = (u64_at(&entry, 0).unwrap_or(0), u64_at(&entry, 8).unwrap_or(0));
            out.found(MemoryRegion::new(start, len, e820_kind(u32_at(&entry, 16).unwrap_or(0))))?;
        }
        Ok(())
    }

    /// §3.6.12. Text modes and pixel layouts other than four bytes of 8-bit channels are no framebuffer to us.
    fn framebuffer(&self, out: &mut RawBoot) -> Result<(), BootError> {
        const DIRECT_RGB: u8 = 1;
        let head = self.head::<24>()?;
        let [.., bpp, kind, _, _] = head;
        if kind != DIRECT_RGB || bpp != 32 {
            return Ok(());
        }
        let [.., red, red_size, green, green_size, blue, blue_size] = self.head::<30>()?;
        let format = match (red, green, blue) {
            (0, 8, 16) => pixel_format::RGBX,
            (16, 8, 0) => pixel_format::BGRX,
            _ => return Ok(()),
        };
        if (red_size, green_size, blue_size) != (8, 8, 8) {
            return Ok(());
        }
        let word = |at| u32_at(&head, at).unwrap_or(0);
        let addr = u64_at(&head, 0).unwrap_or(0);
        let framebuffer = Framebuffer { addr, stride: word(8), width: word(12), height: word(16), format };
        if framebuffer.check().is_ok() {
            out.info.framebuffer = framebuffer;
        }
        Ok(())
    }

    /// §3.6.14 and §3.6.15: the tag holds a copy of the root pointer, which stays where it is.
    fn rsdp(&self, out: &mut RawBoot) -> Result<(), BootError> {
        if self.head::<8>()? == *b"RSD PTR " {
            out.info.rsdp = self.body;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::memory_kind;
    use super::super::testing::{Memory, bytes};
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    const INFO: u64 = 0x1_0000;
    const IMAGE: Range<u64> = 0x20_0000..0x48_0000;

    fn tag(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut tag = bytes(&[&kind.to_le_bytes(), &(8 + body.len() as u32).to_le_bytes(), body]);
        tag.resize(tag.len().next_multiple_of(8), 0);
        tag
    }

    fn information(tags: &[Vec<u8>]) -> Vec<u8> {
        let body = tags.concat();
        bytes(&[&(8 + body.len() as u32).to_le_bytes(), &[0; 4], &body])
    }

    fn usual() -> Vec<Vec<u8>> {
        let entry = |start: u64, len: u64, kind: u32| {
            bytes(&[&start.to_le_bytes(), &len.to_le_bytes(), &kind.to_le_bytes(), &[0; 4]])
        };
        let map = bytes(&[
            &24u32.to_le_bytes(),
            &[0; 4],
            &entry(0, 0x9_fc00, 1),
            &entry(0xf_0000, 0x1_0000, 2),
            &entry(0x10_0000, 0x7ee_0000, 1),
            &entry(0x7fe_0000, 0x2_0000, 3),
        ]);
        let screen = bytes(&[
            &0xfd00_0000u64.to_le_bytes(),
            &4096u32.to_le_bytes(),
            &1024u32.to_le_bytes(),
            &768u32.to_le_bytes(),
            &[32, 1, 0, 0, 16, 8, 8, 8, 0, 8],
        ]);
        std::vec![
            tag(tag::CMDLINE, b"aios.run quiet\0"),
            tag(tag::MODULE, &bytes(&[&0x300_0000u32.to_le_bytes(), &0x301_2345u32.to_le_bytes(), b"initramfs\0"])),
            tag(tag::MEMORY_MAP, &map),
            tag(tag::FRAMEBUFFER, &screen),
            tag(tag::RSDP_V1, b"RSD PTR 012345678901"),
            tag(tag::RSDP_V2, b"RSD PTR 0123456789012345678901234567"),
            tag(99, b"unknown"),
            tag(tag::END, b""),
        ]
    }

    fn decode(tags: &[Vec<u8>]) -> (Result<(), BootError>, RawBoot, Memory) {
        let mut memory = Memory::default();
        memory.put(INFO, &information(tags));
        let mut out = RawBoot::new();
        (parse(&memory, INFO, IMAGE, &mut out), out, memory)
    }

    #[test]
    fn what_grub_hands_over_is_understood() {
        let (result, out, memory) = decode(&usual());
        assert_eq!(result, Ok(()));
        assert_eq!(out.info.read_cmdline(&memory, &mut [0; 64]), Ok("aios.run quiet"));
        assert_eq!((out.info.initramfs, out.info.initramfs_len), (0x300_0000, 0x1_2345));
        let screen =
            Framebuffer { addr: 0xfd00_0000, width: 1024, height: 768, stride: 4096, format: pixel_format::BGRX };
        assert_eq!(out.info.framebuffer, screen);
        let mut signature = [0; 10];
        assert!(memory.read(out.info.rsdp, &mut signature));
        assert_eq!(&signature, b"RSD PTR 01");
        let kind_at = |addr| out.regions().iter().find(|r| r.start <= addr && addr < r.end()).map(|r| r.kind);
        for held in [INFO, 0x20_0000, 0x300_0000, 0x301_2000, out.info.rsdp] {
            assert_eq!(kind_at(held), Some(memory_kind::KERNEL), "{held:#x}");
        }
        assert_eq!(kind_at(0x7fe_0000), Some(memory_kind::ACPI_RECLAIMABLE));
        assert_eq!(kind_at(0x10_0000), Some(memory_kind::USABLE));
    }

    #[test]
    fn information_dumped_from_grub_2_06_is_understood() {
        let memory = Memory::dumped(include_str!("fixtures/grub-multiboot2.hex"));
        let mut out = RawBoot::new();
        parse(&memory, 0x10_00f8, IMAGE, &mut out).unwrap();
        assert_eq!(out.info.read_cmdline(&memory, &mut [0; 64]), Ok("aios.run quiet"));
        assert_eq!((out.info.initramfs, out.info.initramfs_len), (0x10_1000, 100_000));
        assert_eq!((out.info.framebuffer.width, out.info.framebuffer.height), (1024, 768));
        let mut signature = [0; 8];
        assert!(memory.read(out.info.rsdp, &mut signature) && signature == *b"RSD PTR ");
        assert!(out.regions().iter().any(|r| r.kind == memory_kind::USABLE && r.len > 100 << 20));
    }

    #[test]
    fn a_text_screen_is_no_framebuffer() {
        let mut tags = usual();
        let text = bytes(&[
            &0xb_8000u64.to_le_bytes(),
            &160u32.to_le_bytes(),
            &80u32.to_le_bytes(),
            &[25, 0, 0, 0, 16, 2, 0, 0],
        ]);
        tags[3] = tag(tag::FRAMEBUFFER, &text);
        let (result, out, _) = decode(&tags);
        assert_eq!((result, out.info.framebuffer), (Ok(()), Framebuffer::default()));
    }

    #[test]
    fn a_module_that_ends_before_it_starts_is_refused() {
        let mut tags = usual();
        tags[1] = tag(tag::MODULE, &bytes(&[&0x300_0000u32.to_le_bytes(), &0x200_0000u32.to_le_bytes(), b"\0"]));
        assert_eq!(decode(&tags).0, Err(BootError::BadRange("boot module")));
    }

    #[test]
    fn a_tag_larger_than_the_information_is_refused() {
        let mut tags = usual();
        tags[0][4] = 0xff;
        tags[0][5] = 0xff;
        assert_eq!(decode(&tags).0, Err(BootError::BadTag(8)));
        assert_eq!(decode(&[]).0, Err(BootError::BadSize(8)));
    }

    proptest! {
        #[test]
        fn damage_never_panics(changes in proptest::collection::vec((0u64..0x180, any::<u8>()), 1..6)) {
            let mut memory = Memory::default();
            memory.put(INFO, &information(&usual()));
            for (at, value) in changes {
                memory.poke(INFO + at, value);
            }
            let mut out = RawBoot::new();
            if parse(&memory, INFO, IMAGE, &mut out).is_ok() {
                let usable = |r: &&MemoryRegion| r.kind == memory_kind::USABLE;
                prop_assert!(out.regions().iter().filter(usable).all(|r| r.end() <= INFO || r.start > INFO));
            }
        }
    }
}
