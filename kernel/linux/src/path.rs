//! Path arguments: read once, without the heap unless they are long.

use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::{AT_FDCWD, PATH_MAX};
use kernel_fs::Path;
use kernel_hal::addr::{PAGE_SIZE, Virt};
use kernel_hal::usermem::{self, StringError};

use crate::Call;

/// Most paths are shorter: a multiple of [`CHUNK`].
const INLINE: usize = 128;
/// Read at a time, so that a short path costs a short copy.
const CHUNK: usize = 32;

/// Holds a path while a call works on it.
pub struct PathBuffer {
    inline: [u8; INLINE],
    heap: Vec<u8>,
}

impl PathBuffer {
    pub const fn new() -> PathBuffer {
        PathBuffer { inline: [0; INLINE], heap: Vec::new() }
    }

    /// The string at `at`, without its terminator. `ENAMETOOLONG` when it has none within `PATH_MAX` bytes.
    pub fn read(&mut self, at: Virt) -> Result<&[u8], Errno> {
        if let Some(len) = self.read_inline(at) {
            return Ok(self.inline.get(..len).unwrap_or_default());
        }
        self.heap.try_reserve_exact(PATH_MAX).map_err(|_| Errno::ENOMEM)?;
        self.heap.resize(PATH_MAX, 0);
        match usermem::copy_string(&mut self.heap, at) {
            Ok(len) => Ok(self.heap.get(..len).unwrap_or_default()),
            Err(StringError::Fault) => Err(Errno::EFAULT),
            Err(StringError::TooLong) => Err(Errno::ENAMETOOLONG),
        }
    }

    /// Reads a string that fits, and returns its length. `None` for whatever else may be the matter: it is too long, cannot
    /// be read, or lies where a page ends and the next one need not be there.
    #[inline]
    fn read_inline(&mut self, at: Virt) -> Option<usize> {
        let (chunks, _) = self.inline.as_chunks_mut::<CHUNK>();
        for (index, chunk) in chunks.iter_mut().enumerate() {
            let here = at.checked_add((index * CHUNK) as u64)?;
            if here.page_offset() > PAGE_SIZE - CHUNK {
                return None;
            }
            usermem::copy_in(chunk, here).ok()?;
            if let Some(end) = find_zero(chunk) {
                return Some(index * CHUNK + end);
            }
        }
        None
    }
}

/// Where the first zero is, looked for by words.
#[inline]
fn find_zero(bytes: &[u8; CHUNK]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().enumerate().find_map(|(index, word)| {
        let word = u64::from_le_bytes(*word);
        // The lowest bit that this leaves is in the first zero byte: borrows only reach higher ones.
        let zeros = word.wrapping_sub(ONES) & !word & ONES << 7;
        (zeros != 0).then(|| index * 8 + zeros.trailing_zeros() as usize / 8)
    })
}

/// Where the walk of `path` starts: at the descriptor in argument `index` (`None` for the working directory), which an
/// absolute path does not need and which is therefore not looked at. An empty path is `ENOENT` unless `empty` lets it
/// name the start itself.
pub fn start(call: &Call<'_>, index: usize, path: &[u8], empty: bool) -> Result<Option<Path>, Errno> {
    match path.first() {
        Some(b'/') => Ok(None),
        None if !empty => Err(Errno::ENOENT),
        _ => directory(call, index),
    }
}

/// The place that a descriptor argument names; `None` for `AT_FDCWD`.
pub fn directory(call: &Call<'_>, index: usize) -> Result<Option<Path>, Errno> {
    let fd = call.int(index);
    if fd == AT_FDCWD {
        return Ok(None);
    }
    Ok(Some(call.thread.file(fd)?.path().clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_zero_is_found_among_all_other_bytes() {
        for filler in [1, 0x7f, 0x80, 0x81, 0xff] {
            for end in 0..CHUNK {
                let mut bytes = [filler; CHUNK];
                bytes[end] = 0;
                assert_eq!(find_zero(&bytes), Some(end));
                bytes[CHUNK - 1] = 0;
                assert_eq!(find_zero(&bytes), Some(end));
            }
            assert_eq!(find_zero(&[filler; CHUNK]), None);
        }
    }
}
