//! Simulated RAM: an array of atomic words, the frames' metadata, and a hole where a PC has one.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::OnceLock;

use crate::addr::{PAGE_SIZE, Pfn};
use crate::frame::{Meta, set_early};
use crate::paging::Table;

const WORD: usize = 8;
const FRAME_WORDS: usize = PAGE_SIZE / WORD;
/// What `init` gives when nobody asked for a size.
const DEFAULT_BYTES: usize = 64 << 20;
/// Frame 0 is never RAM, and neither is the window that a PC keeps for its display and firmware.
const HOLES: [Range<usize>; 2] = [0..1, 0xa0..0x100];

struct Ram {
    words: &'static [AtomicU64],
    meta: &'static [Meta],
}

static RAM: OnceLock<Ram> = OnceLock::new();

/// Makes the machine with `bytes` of RAM, unless it exists.
pub fn init(bytes: usize) {
    RAM.get_or_init(|| {
        let frames = (bytes / PAGE_SIZE).max(HOLES[1].end + 1);
        // SAFETY: all-zero bytes are a valid value of every `AtomicU64`.
        let words = unsafe { Box::<[AtomicU64]>::new_zeroed_slice(frames * FRAME_WORDS).assume_init() };
        let meta: Vec<Meta> = (0..frames).map(|_| Meta::reserved()).collect();
        for (number, meta) in meta.iter().enumerate() {
            if !HOLES.iter().any(|hole| hole.contains(&number)) {
                meta.set_free();
            }
        }
        set_early(Pfn(HOLES[1].end)..Pfn(frames));
        Ram { words: Box::leak(words), meta: meta.leak() }
    });
}

fn ram() -> &'static Ram {
    if RAM.get().is_none() {
        init(DEFAULT_BYTES);
    }
    match RAM.get() {
        Some(ram) => ram,
        None => unreachable!("init has just made it"),
    }
}

fn words(pfn: Pfn) -> &'static [AtomicU64] {
    &ram().words[pfn.0 * FRAME_WORDS..][..FRAME_WORDS]
}

pub(crate) fn frame_count() -> usize {
    ram().meta.len()
}

pub(crate) fn meta(pfn: Pfn) -> Option<&'static Meta> {
    ram().meta.get(pfn.0)
}

pub(crate) fn table(pfn: Pfn) -> &'static Table {
    match words(pfn).try_into() {
        Ok(table) => table,
        Err(_) => unreachable!("a frame has as many words as a table"),
    }
}

pub(crate) fn zero_frame(pfn: Pfn) {
    for word in words(pfn) {
        word.store(0, Ordering::Relaxed);
    }
}

pub(crate) fn copy_frame(to: Pfn, from: Pfn) {
    for (to, from) in words(to).iter().zip(words(from)) {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

pub(crate) fn read_frame(pfn: Pfn, offset: usize, into: &mut [u8]) {
    read_words(words(pfn), offset, into);
}

pub(crate) fn write_frame(pfn: Pfn, offset: usize, from: &[u8]) {
    write_words(words(pfn), offset, from);
}

/// Reads RAM as a device does. Panics when the range is not all RAM: a real device would have corrupted something.
pub fn read_phys(phys: u64, into: &mut [u8]) {
    let (words, offset) = range(phys, into.len());
    read_words(words, offset, into);
}

/// Writes RAM as a device does. Panics when the range is not all RAM.
pub fn write_phys(phys: u64, from: &[u8]) {
    let (words, offset) = range(phys, from.len());
    write_words(words, offset, from);
}

/// Reads RAM if the range is all RAM.
pub(crate) fn read_any(phys: u64, into: &mut [u8]) -> bool {
    let limit = (frame_count() * PAGE_SIZE) as u64;
    let inside = phys.checked_add(into.len() as u64).is_some_and(|end| end <= limit);
    if inside {
        read_phys(phys, into);
    }
    inside
}

fn range(phys: u64, len: usize) -> (&'static [AtomicU64], usize) {
    let all = ram().words;
    let start = phys as usize;
    assert!(start <= all.len() * WORD && len <= all.len() * WORD - start, "{len} bytes at {phys:#x} are not RAM");
    (&all[start / WORD..(start + len).div_ceil(WORD)], start % WORD)
}

/// Values that devices and programs access in one piece.
pub(crate) trait Scalar: Copy {
    fn widen(self) -> u64;
    fn narrow(value: u64) -> Self;
}

macro_rules! scalars {
    ($($type:ty)*) => {
        $(impl Scalar for $type {
            fn widen(self) -> u64 {
                self as u64
            }
            fn narrow(value: u64) -> $type {
                value as $type
            }
        })*
    };
}

scalars!(u8 u16 u32 u64);

fn mask(width: usize) -> u64 {
    u64::MAX >> (64 - 8 * width)
}

/// The word that holds an aligned scalar, and the shift of its lowest bit.
pub(super) fn word<T: Scalar>(phys: u64) -> (&'static AtomicU64, u32) {
    assert!(phys.is_multiple_of(size_of::<T>() as u64), "misaligned access at {phys:#x}");
    let (words, offset) = range(phys, size_of::<T>());
    (&words[0], 8 * offset as u32)
}

/// One access; `phys` is a multiple of the width.
pub(crate) fn read_phys_word<T: Scalar>(phys: u64) -> T {
    let (word, shift) = word::<T>(phys);
    T::narrow(word.load(Ordering::SeqCst) >> shift)
}

/// One access; `phys` is a multiple of the width.
pub(crate) fn write_phys_word<T: Scalar>(phys: u64, value: T) {
    let (word, shift) = word::<T>(phys);
    update(word, mask(size_of::<T>()) << shift, value.widen() << shift);
}

fn read_words(words: &[AtomicU64], offset: usize, into: &mut [u8]) {
    let mut done = 0;
    while done < into.len() {
        let at = offset + done;
        let bytes = words[at / WORD].load(Ordering::Relaxed).to_le_bytes();
        let skip = at % WORD;
        let count = (WORD - skip).min(into.len() - done);
        into[done..done + count].copy_from_slice(&bytes[skip..skip + count]);
        done += count;
    }
}

fn write_words(words: &[AtomicU64], offset: usize, from: &[u8]) {
    let mut done = 0;
    while done < from.len() {
        let at = offset + done;
        let skip = at % WORD;
        let count = (WORD - skip).min(from.len() - done);
        let mut bytes = [0; WORD];
        bytes[skip..skip + count].copy_from_slice(&from[done..done + count]);
        let new = u64::from_le_bytes(bytes);
        let word = &words[at / WORD];
        if count == WORD {
            word.store(new, Ordering::Relaxed);
        } else {
            // Neighbouring bytes may be written by another thread at the same time: replace ours only.
            update(word, mask(count) << (8 * skip), new);
        }
        done += count;
    }
}

/// Replaces the bits of `mask`.
fn update(word: &AtomicU64, mask: u64, new: u64) {
    let mut old = word.load(Ordering::Relaxed);
    while let Err(now) = word.compare_exchange_weak(old, old & !mask | new & mask, Ordering::Relaxed, Ordering::Relaxed)
    {
        old = now;
    }
}
