//! The last part of the log, kept in memory that survives a warm reset, and found again by the next kernel.
//!
//! A few frames at a fixed physical address that nobody else gets hold a header and a ring of bytes. Every line of the log
//! goes there as it goes out, so that also a machine that was reset from outside, or hung, has left its last words. A
//! checksum over the ring is kept up to date with each byte: it is a sum of the bytes, each weighed by its place, so a byte
//! that replaces another changes it by their difference.
//!
//! What is found is foreign: memory that any firmware or program may have written. Nothing of it is used before magic,
//! version, sizes and both checksums agree, and then only printable text leaves this file.

use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Bytes of the region.
pub(crate) const SIZE: usize = 32 << 10;
const HEADER: usize = 64;
const RING: usize = SIZE - HEADER;

const MAGIC: [u8; 8] = *b"AIOSLAST";
const VERSION: u32 = 1;

/// Bytes looked at in one go.
const CHUNK: usize = 256;

/// How the kernel that wrote there ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Without a word: a reset from outside, a power failure that memory survived, a triple fault.
    Abrupt,
    Panic,
    /// Switched off or restarted as it was asked to.
    Orderly,
}

impl Ending {
    const ALL: [Ending; 3] = [Ending::Abrupt, Ending::Panic, Ending::Orderly];

    fn number(self) -> u32 {
        match self {
            Ending::Abrupt => 1,
            Ending::Panic => 2,
            Ending::Orderly => 3,
        }
    }

    fn from_number(number: u32) -> Option<Ending> {
        Ending::ALL.into_iter().find(|ending| ending.number() == number)
    }
}

/// What the kernel before this one left.
#[derive(Debug)]
pub struct Previous {
    pub ending: Ending,
    /// Resets by panics in a row, until that one.
    pub resets: u32,
    /// The end of its log: lines of printable ASCII.
    pub text: String,
}

/// The region's memory.
pub(crate) trait Store {
    /// Both are asked for ranges within [`SIZE`] only.
    fn read(&self, at: usize, into: &mut [u8]);
    fn write(&self, at: usize, from: &[u8]);
}

/// The writer's side. Its own numbers are the truth; those in the region are for the next kernel.
///
/// One writes at a time: who holds the log's lock, or who panics, after the others were stopped. Whoever does not keep to
/// that garbles text and loses the sum, and nothing else.
pub(crate) struct Keeper<S> {
    store: S,
    /// Bytes ever written.
    written: AtomicU64,
    sum: AtomicU64,
    ending: AtomicU32,
    resets: AtomicU32,
}

impl<S: Store> Keeper<S> {
    /// Begins anew in a region whose contents are of no interest any more.
    pub fn new(store: S) -> Keeper<S> {
        let blank = [0; CHUNK];
        for at in (0..SIZE).step_by(CHUNK) {
            store.write(at, blank.get(..(SIZE - at).min(CHUNK)).unwrap_or_default());
        }
        let keeper = Keeper {
            store,
            written: AtomicU64::new(0),
            sum: AtomicU64::new(0),
            ending: AtomicU32::new(Ending::Abrupt.number()),
            resets: AtomicU32::new(0),
        };
        keeper.write_header();
        keeper
    }

    pub fn append(&self, bytes: &[u8]) {
        for part in bytes.chunks(CHUNK) {
            self.append_part(part);
        }
        self.write_header();
    }

    fn append_part(&self, mut part: &[u8]) {
        let mut old = [0; CHUNK];
        let mut written = self.written.load(Ordering::Relaxed);
        let mut sum = self.sum.load(Ordering::Relaxed);
        while !part.is_empty() {
            let at = (written % RING as u64) as usize;
            let (now, rest) = part.split_at(part.len().min(RING - at).min(CHUNK));
            let old = &mut old[..now.len()];
            self.store.read(HEADER + at, old);
            sum = sum.wrapping_sub(weigh(at, old)).wrapping_add(weigh(at, now));
            self.store.write(HEADER + at, now);
            written += now.len() as u64;
            part = rest;
        }
        self.written.store(written, Ordering::Relaxed);
        self.sum.store(sum, Ordering::Relaxed);
    }

    /// Says how this kernel ends. The sum is made anew: a panic may have come in the middle of a line.
    pub fn end(&self, ending: Ending, resets: u32) {
        self.sum.store(sum(&self.store), Ordering::Relaxed);
        self.ending.store(ending.number(), Ordering::Relaxed);
        self.resets.store(resets, Ordering::Relaxed);
        self.write_header();
    }

    fn write_header(&self) {
        let mut header = [0; HEADER];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            header[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(&MAGIC);
        put(&VERSION.to_le_bytes());
        put(&(SIZE as u32).to_le_bytes());
        put(&self.ending.load(Ordering::Relaxed).to_le_bytes());
        put(&self.resets.load(Ordering::Relaxed).to_le_bytes());
        put(&self.written.load(Ordering::Relaxed).to_le_bytes());
        put(&self.sum.load(Ordering::Relaxed).to_le_bytes());
        let check = weigh(0, &header[..CHECKED]);
        header[CHECKED..CHECKED + 8].copy_from_slice(&check.to_le_bytes());
        self.store.write(0, &header);
    }
}

/// Bytes of the header that its own checksum is over.
const CHECKED: usize = 40;

/// A sum of bytes that lie at `at` and behind, each weighed by its place: what is swapped or shifted differs.
fn weigh(at: usize, bytes: &[u8]) -> u64 {
    bytes.iter().zip(at as u64 + 1..).fold(0, |sum: u64, (byte, place)| {
        // An odd factor, so that no two places near each other weigh the same in the low bits.
        sum.wrapping_add(u64::from(*byte).wrapping_mul(place.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1))
    })
}

fn sum(store: &impl Store) -> u64 {
    let mut part = [0; CHUNK];
    (0..RING).step_by(CHUNK).fold(0, |sum, at| {
        let part = &mut part[..(RING - at).min(CHUNK)];
        store.read(HEADER + at, part);
        sum.wrapping_add(weigh(at, part))
    })
}

/// What another kernel left in the region; `None` when it is nothing, or nothing sound.
pub(crate) fn find(store: &impl Store) -> Option<Previous> {
    let mut header = [0; HEADER];
    store.read(0, &mut header);
    let word = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(header.get(at..at + 8)?.try_into().ok()?));
    let sound = header.starts_with(&MAGIC)
        && word(8)? == VERSION
        && word(12)? as usize == SIZE
        && long(CHECKED)? == weigh(0, header.get(..CHECKED)?)
        && long(32)? == sum(store);
    if !sound {
        return None;
    }
    let written = long(24)?;
    let ending = Ending::from_number(word(16)?)?;
    let len = written.min(RING as u64) as usize;
    let mut bytes: Vec<u8> = Vec::new();
    bytes.try_reserve_exact(len).ok()?;
    bytes.resize(len, 0);
    let start = if len < RING { 0 } else { (written % RING as u64) as usize };
    let (first, second) = bytes.split_at_mut_checked(len.min(RING - start))?;
    store.read(HEADER + start, first);
    store.read(HEADER, second);
    Some(Previous { ending, resets: word(20)?, text: printable(&bytes, len == RING)? })
}

/// Bytes as lines of printable ASCII; of a ring that went round without its broken first line.
fn printable(bytes: &[u8], cut: bool) -> Option<String> {
    let start = if cut { bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1) } else { 0 };
    let bytes = bytes.get(start..)?;
    let mut text = String::new();
    text.try_reserve_exact(bytes.len()).ok()?;
    for byte in bytes {
        match byte {
            b'\n' | b' '..=b'~' => text.push(char::from(*byte)),
            b'\r' => {}
            _ => text.push('?'),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::format;

    struct Memory(RefCell<Vec<u8>>);

    impl Memory {
        fn new() -> Memory {
            Memory(RefCell::new((0..SIZE).map(|at| (at * 7 % 251) as u8).collect()))
        }
    }

    impl Store for &Memory {
        fn read(&self, at: usize, into: &mut [u8]) {
            into.copy_from_slice(&self.0.borrow()[at..at + into.len()]);
        }

        fn write(&self, at: usize, from: &[u8]) {
            self.0.borrow_mut()[at..at + from.len()].copy_from_slice(from);
        }
    }

    #[test]
    fn the_next_kernel_finds_what_was_written_and_how_it_ended() {
        let memory = Memory::new();
        assert!(find(&&memory).is_none());
        let keeper = Keeper::new(&memory);
        keeper.append(b"one\r\ntwo \x1b[31m\xff\n");
        let found = find(&&memory).expect("a log");
        assert_eq!((found.ending, found.resets, found.text.as_str()), (Ending::Abrupt, 0, "one\ntwo ?[31m?\n"));
        keeper.end(Ending::Panic, 2);
        keeper.append(b"panic\n");
        let found = find(&&memory).expect("a log");
        assert_eq!((found.ending, found.resets), (Ending::Panic, 2));
        assert!(found.text.ends_with("\npanic\n"));
        let _fresh = Keeper::new(&memory);
        assert_eq!(find(&&memory).expect("an empty log").text, "");
    }

    #[test]
    fn of_a_long_log_the_last_whole_lines_are_left() {
        let memory = Memory::new();
        let keeper = Keeper::new(&memory);
        let mut all = String::new();
        for number in 0..5_000 {
            let line = format!("line {number} of a log that goes round\n");
            keeper.append(line.as_bytes());
            all.push_str(&line);
        }
        let found = find(&&memory).expect("a log");
        assert!(all.ends_with(&found.text) && found.text.starts_with("line "), "{}", &found.text[..40]);
        assert!(found.text.len() > RING - 64);
    }

    #[test]
    fn one_wrong_bit_anywhere_and_nothing_is_believed() {
        let memory = Memory::new();
        let keeper = Keeper::new(&memory);
        for number in 0..2_000 {
            keeper.append(format!("line {number} of a log\n").as_bytes());
        }
        assert!(find(&&memory).is_some());
        for at in (0..CHECKED + 8).chain((HEADER..SIZE).step_by(97)) {
            for bit in [0, 3, 7] {
                memory.0.borrow_mut()[at] ^= 1 << bit;
                assert!(find(&&memory).is_none(), "byte {at}, bit {bit}");
                memory.0.borrow_mut()[at] ^= 1 << bit;
            }
        }
        assert!(find(&&memory).is_some());
    }

    /// A header that somebody made, with the right checksums, and nonsense in it.
    #[test]
    fn a_forged_header_can_lie_and_do_nothing_else() {
        let memory = Memory::new();
        let keeper = Keeper::new(&memory);
        for written in [0, 1, RING as u64 - 1, RING as u64, RING as u64 + 1, u64::MAX] {
            keeper.written.store(written, Ordering::Relaxed);
            keeper.write_header();
            let found = find(&&memory).expect("a log");
            assert!(found.text.len() as u64 <= written.min(RING as u64), "{written}");
        }
        for ending in [0, 4, u32::MAX] {
            keeper.ending.store(ending, Ordering::Relaxed);
            keeper.write_header();
            assert!(find(&&memory).is_none(), "{ending}");
        }
    }

    #[test]
    fn a_line_that_a_panic_tore_is_mended() {
        let memory = Memory::new();
        let keeper = Keeper::new(&memory);
        keeper.append(b"whole\n");
        // Bytes without their part of the sum.
        (&&memory).write(HEADER + 6, b"torn");
        assert!(find(&&memory).is_none());
        keeper.end(Ending::Panic, 0);
        assert!(find(&&memory).is_some_and(|found| found.text == "whole\n"));
    }
}
