//! Program files as the kernel reads them, from any file that someone made executable.
#![no_main]

use kernel_hal::addr::USER_END;
use kernel_process::exec::{HEADER, Header, Image};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, file)) = input.split_first() else { return };
    let mut file = file.to_vec();
    if choice & 1 != 0 && file.len() >= HEADER {
        // A good head, so that the fuzzer works on the segments: 64 bit, little endian, x86-64, headers behind it.
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[16..20].copy_from_slice(&[2 + (choice >> 1 & 1), 0, 62, 0]);
        file[32..40].copy_from_slice(&(HEADER as u64).to_le_bytes());
        file[54..56].copy_from_slice(&56u16.to_le_bytes());
        let count = ((file.len() - HEADER) / 56).clamp(1, 1170) as u16;
        file[56..58].copy_from_slice(&count.to_le_bytes());
    }
    let Ok(header) = Header::parse(&file) else { return };
    let Some(table) = usize::try_from(header.headers_at).ok().and_then(|at| file.get(at..)) else { return };
    let Ok(image) = Image::parse(header, table) else { return };
    let span = image.span();
    assert!(span.start < span.end && span.end <= USER_END);
    assert!(image.alignment.is_power_of_two());
    for segment in &image.segments {
        let pages = segment.pages();
        assert!(span.start <= pages.start && pages.end <= span.end);
        assert!(pages.start <= segment.address && segment.file_size <= segment.memory_size);
    }
    // Where the headers are is arithmetic on unchecked numbers too.
    let _ = image.headers_address();
    if let Some(name) = &image.interpreter {
        assert!(name.start < name.end);
    }
});
