//! Listing directories: `getdents64(2)` and the older `getdents(2)`.

use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::structs::{Dirent64, IntoBytes};
use aios_abi::linux::table::nr;
use kernel_fs::FileType;
use kernel_fs::types::DirEntry;
use kernel_hal::usermem;

use crate::call::CallResult;
use crate::{Call, Handler};

pub(crate) const CALLS: &[(u32, Handler)] = &[(nr::GETDENTS64, getdents64), (nr::GETDENTS, getdents)];

/// What one call lists at most, bytes: more costs memory, and saves a program little.
const MOST: usize = 64 * 1024;
/// Room made for a listing at first, in words.
const FIRST: usize = 512;
const WORD: usize = size_of::<u64>();

/// Lists into the buffer in arguments 1 and 2. Records are whole words: `record_len` tells the bytes of one by its name's
/// length, `append` puts it where there is room for it.
fn list(
    call: &Call<'_>,
    record_len: impl Fn(usize) -> usize,
    append: impl Fn(&mut Vec<u64>, &DirEntry<'_>, usize),
) -> CallResult {
    let file = call.fd(0)?;
    if file.kind() != FileType::Directory {
        return Err(Errno::ENOTDIR);
    }
    let room = (call.uint(2) as usize).min(MOST) / WORD;
    let mut listing: Vec<u64> = Vec::new();
    // Set when an entry was left over: a listing without entries is then not at its end.
    let mut outcome = Ok(());
    file.read_dir(&mut |entry: DirEntry<'_>| {
        let len = record_len(entry.name.len());
        let words = len / WORD;
        if words > room - listing.len() {
            outcome = Err(Errno::EINVAL);
            return false;
        }
        if words > listing.capacity() - listing.len() && listing.try_reserve(words.max(FIRST.min(room))).is_err() {
            outcome = Err(Errno::ENOMEM);
            return false;
        }
        append(&mut listing, &entry, len);
        true
    })?;
    if listing.is_empty() {
        return outcome.map(|()| 0);
    }
    let bytes = listing.as_bytes();
    usermem::copy_out(call.ptr(1), bytes).map_err(|_| Errno::EFAULT)?;
    Ok(bytes.len())
}

/// Up to eight bytes as a word in memory order, zeros after them.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    if let Some(whole) = bytes.first_chunk::<WORD>() {
        return u64::from_le_bytes(*whole);
    }
    let (mut word, mut shift, mut bytes) = (0, 0, bytes);
    if let Some((four, rest)) = bytes.split_first_chunk::<4>() {
        word = u64::from(u32::from_le_bytes(*four));
        (shift, bytes) = (32, rest);
    }
    if let Some((two, rest)) = bytes.split_first_chunk::<2>() {
        word |= u64::from(u16::from_le_bytes(*two)) << shift;
        (shift, bytes) = (shift + 16, rest);
    }
    if let [last] = bytes {
        word |= u64::from(*last) << shift;
    }
    word
}

/// Bytes of a name that share a word with the record's length and kind.
const NAME_START: usize = 5;

/// `struct linux_dirent64`, put together by words.
#[inline]
fn append64(listing: &mut Vec<u64>, entry: &DirEntry<'_>, len: usize) {
    let (start, rest) = entry.name.split_at(entry.name.len().min(NAME_START));
    listing.push(entry.inode);
    listing.push(entry.next);
    listing.push(len as u64 | u64::from(entry.kind.dirent()) << 16 | word(start) << 24);
    if start.len() == NAME_START {
        let (words, tail) = rest.as_chunks::<WORD>();
        words.iter().for_each(|whole| listing.push(u64::from_le_bytes(*whole)));
        // With the terminator, also where it is all there is.
        listing.push(word(tail));
    }
}

fn getdents64(call: &mut Call<'_>) -> CallResult {
    list(call, Dirent64::record_len, append64)
}

/// `struct linux_dirent`: two words, the record's length, the name, its NUL, and in the last byte the kind.
fn old_record_len(name: usize) -> usize {
    (8 + 8 + 2 + name + 2).next_multiple_of(WORD)
}

fn append_old(listing: &mut Vec<u64>, entry: &DirEntry<'_>, len: usize) {
    let bytes = (len as u16).to_le_bytes().into_iter().chain(entry.name.iter().copied());
    let padded = bytes.chain(core::iter::repeat(0)).take(len - 2 * WORD - 1).chain([entry.kind.dirent()]);
    listing.push(entry.inode);
    listing.push(entry.next);
    let (mut word, mut place) = (0, 0);
    for byte in padded {
        word |= u64::from(byte) << (8 * place);
        place += 1;
        if place == WORD {
            listing.push(word);
            (word, place) = (0, 0);
        }
    }
}

fn getdents(call: &mut Call<'_>) -> CallResult {
    list(call, old_record_len, append_old)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(append: impl Fn(&mut Vec<u64>, &DirEntry<'_>, usize), entry: &DirEntry<'_>, len: usize) -> Vec<u8> {
        let mut words = Vec::new();
        append(&mut words, entry, len);
        words.as_bytes().to_vec()
    }

    #[test]
    fn records_are_those_of_their_structures() {
        let name = [b'x'; 255];
        for len in 1..=name.len() {
            let entry = DirEntry { name: &name[..len], inode: 0x0102_0304, kind: FileType::Fifo, next: 9 };
            let mut expected = alloc::vec![0xff; Dirent64::record_len(len)];
            Dirent64::write(&mut expected, entry.inode, 9, entry.kind.dirent(), entry.name);
            assert_eq!(bytes_of(append64, &entry, expected.len()), expected);

            let size = old_record_len(len);
            let old = bytes_of(append_old, &entry, size);
            assert_eq!((old.len(), usize::from(u16::from_ne_bytes([old[16], old[17]]))), (size, size));
            assert_eq!(&old[18..18 + len], entry.name);
            assert_eq!((old[18 + len], old[size - 1]), (0, FileType::Fifo.dirent()));
        }
    }

    #[test]
    fn a_word_holds_its_bytes_in_order() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        for len in 0..=bytes.len() {
            let mut expected = [0; 8];
            expected[..len].copy_from_slice(&bytes[..len]);
            assert_eq!(word(&bytes[..len]).to_le_bytes(), expected);
        }
    }
}
