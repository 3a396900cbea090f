//! The initramfs reader on arbitrary bytes: it ends, in entries that lie within the input or in an error.
#![no_main]

use kernel_fs::initramfs::cpio::Archive;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let inside = |part: &[u8]| part.is_empty() || input.as_ptr_range().contains(&part.as_ptr());
    let mut archive = Archive::new(input);
    let mut count = 0;
    while let Some(Ok(entry)) = archive.next() {
        assert!(!entry.name.is_empty() && inside(entry.name) && inside(entry.content));
        count += 1;
    }
    // Each entry takes a header at least.
    assert!(count <= input.len() / 110);
});
