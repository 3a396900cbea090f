//! Kernel files as the loader reads them from a disk that anyone may have written.
#![no_main]

use aios_boot::elf::Image;
use libfuzzer_sys::fuzz_target;

/// Larger images are only planned, to stay fast.
const LOADED: u64 = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let Some((choice, file)) = input.split_first() else { return };
    let mut file = file.to_vec();
    if choice & 1 != 0 && file.len() >= 64 {
        // A good head, so that the fuzzer works on the segments: 64 bit, little endian, executable, x86-64.
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[16..20].copy_from_slice(&[2, 0, 62, 0]);
        file[32..40].copy_from_slice(&64u64.to_le_bytes());
        file[54..56].copy_from_slice(&56u16.to_le_bytes());
    }
    let Ok(image) = Image::plan(&file) else { return };
    assert!(image.entry() < image.span());
    assert!(image.start().checked_add(image.span()).is_some());
    if image.span() <= LOADED {
        let mut memory = vec![0xaa; image.span() as usize];
        image.load(&file, &mut memory).unwrap();
    }
});
