//! Path arguments: read once, without the heap unless they are long.

use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::{AT_FDCWD, PATH_MAX};
use kernel_fs::Path;
use kernel_hal::addr::Virt;
use kernel_hal::usermem::{self, StringError};

use crate::Call;

/// Most paths are shorter.
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
        let mut done = 0;
        let mut whole = None;
        for chunk in self.inline.chunks_mut(CHUNK) {
            let here = at.checked_add(done as u64).ok_or(Errno::EFAULT)?;
            match usermem::copy_string(chunk, here) {
                Ok(len) => {
                    whole = Some(done + len);
                    break;
                }
                Err(StringError::Fault) => return Err(Errno::EFAULT),
                Err(StringError::TooLong) => done += chunk.len(),
            }
        }
        if let Some(len) = whole {
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
