//! 9p replies of arbitrary bytes: reading them ends in a value or an error, and lists no more than the bytes hold.
//!
//! The first byte chooses what was asked; with its top bit set the size and type of the reply are made right, so that
//! the fuzzer works on the rest.
#![no_main]

use kernel_fs::ninep::wire::{Packet, Reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let asked = (choice & 0x7f) & !1;
    let mut bytes = bytes.to_vec();
    if choice & 0x80 != 0 && bytes.len() >= 7 {
        let size = bytes.len() as u32;
        bytes[..4].copy_from_slice(&size.to_le_bytes());
        bytes[4] = asked + 1;
    }
    let Ok(packet) = Packet::parse(&bytes) else { return };
    match Reply::parse(&packet, asked) {
        Ok(Reply::Directory(entries)) => {
            let mut total = 0;
            for entry in entries {
                let Ok(entry) = entry else { break };
                assert!(!entry.name.is_empty() && !entry.name.contains(&b'/') && !entry.name.contains(&0));
                total += entry.name.len() + 24;
            }
            assert!(total <= bytes.len());
        }
        Ok(Reply::Walk(qids)) => assert!(qids.len() <= 16 && qids.last().is_none() == qids.is_empty()),
        Ok(Reply::Read(data)) => assert!(data.len() < bytes.len()),
        Ok(Reply::Attributes(attributes)) => assert!(attributes.modified.nanoseconds < 1_000_000_000),
        _ => {}
    }
});
