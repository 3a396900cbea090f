//! One system call: who makes it, with which arguments, and how handlers get at what those mean.

use alloc::sync::Arc;
use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::linux::consts::{AT_FDCWD, IOV_MAX, PATH_MAX};
use aios_abi::linux::structs::{FromBytes, FromZeros, Immutable, IntoBytes, Iovec};
use kernel_fs::{Context, File, Path};
use kernel_hal::addr::{Virt, is_user_range};
use kernel_hal::user::UserContext;
use kernel_hal::usermem::{self, StringError};
use kernel_process::{Process, Thread};

/// What a call returns: the value of its result register, or the error.
pub type CallResult = Result<usize, Errno>;

/// The code behind a call.
pub type Handler = fn(&mut Call<'_>) -> CallResult;

/// Most bytes that one transfer moves (Linux's `MAX_RW_COUNT`).
pub const MAX_TRANSFER: usize = 0x7fff_f000;

pub struct Call<'a> {
    pub thread: &'a Arc<Thread>,
    pub context: &'a mut UserContext,
    /// `rdi rsi rdx r10 r8 r9`.
    pub args: [u64; 6],
}

impl Call<'_> {
    #[inline]
    pub fn process(&self) -> &Arc<Process> {
        self.thread.process()
    }

    /// An argument as it is in its register; 0 past the sixth.
    #[inline]
    pub fn arg(&self, index: usize) -> u64 {
        self.args.get(index).copied().unwrap_or(0)
    }

    /// An argument of C's type `int`: the upper half of the register does not count.
    #[inline]
    pub fn int(&self, index: usize) -> i32 {
        self.arg(index) as i32
    }

    /// An argument of C's type `unsigned int`.
    #[inline]
    pub fn uint(&self, index: usize) -> u32 {
        self.arg(index) as u32
    }

    /// An argument of C's type `long`.
    #[inline]
    pub fn long(&self, index: usize) -> i64 {
        self.arg(index) as i64
    }

    #[inline]
    pub fn ptr(&self, index: usize) -> Virt {
        Virt(self.arg(index))
    }

    /// The open file that an argument names; not one opened with `O_PATH`.
    #[inline]
    pub fn fd(&self, index: usize) -> Result<Arc<File>, Errno> {
        let file = self.thread.file(self.int(index))?;
        if file.is_path_only() { Err(Errno::EBADF) } else { Ok(file) }
    }

    /// The open file that an argument names, also one opened with `O_PATH`.
    #[inline]
    pub fn any_fd(&self, index: usize) -> Result<Arc<File>, Errno> {
        self.thread.file(self.int(index))
    }

    /// The path that an argument points to: `ENAMETOOLONG` past `PATH_MAX` with its terminator.
    pub fn path(&self, index: usize) -> Result<Vec<u8>, Errno> {
        string(self.ptr(index), PATH_MAX).map_err(|error| match error {
            StringError::Fault => Errno::EFAULT,
            StringError::TooLong => Errno::ENAMETOOLONG,
        })
    }

    /// Where a `*at` call's path starts: `None` for `AT_FDCWD`.
    pub fn dir(&self, index: usize) -> Result<Option<Path>, Errno> {
        let fd = self.int(index);
        if fd == AT_FDCWD {
            return Ok(None);
        }
        Ok(Some(self.thread.file(fd)?.path().clone()))
    }

    /// Does something in the file tree as the caller.
    pub fn in_files<T>(&self, act: impl FnOnce(&Context<'_>) -> T) -> T {
        self.thread.in_files(act)
    }

    /// Reads a structure from the caller's memory.
    pub fn read<T: FromBytes + FromZeros + IntoBytes>(&self, at: Virt) -> Result<T, Errno> {
        let mut value = T::new_zeroed();
        usermem::copy_in(value.as_mut_bytes(), at).map_err(|_| Errno::EFAULT)?;
        Ok(value)
    }

    /// Writes a structure to the caller's memory.
    pub fn write<T: IntoBytes + Immutable + ?Sized>(&self, at: Virt, value: &T) -> Result<(), Errno> {
        usermem::copy_out(at, value.as_bytes()).map_err(|_| Errno::EFAULT)
    }

    /// Reads `count` structures.
    pub fn read_array<T: FromBytes + FromZeros + IntoBytes + Clone>(
        &self,
        at: Virt,
        count: usize,
    ) -> Result<Vec<T>, Errno> {
        let mut values = Vec::new();
        values.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        for index in 0..count {
            let offset = (index as u64).checked_mul(size_of::<T>() as u64).ok_or(Errno::EFAULT)?;
            values.push(self.read(at.checked_add(offset).ok_or(Errno::EFAULT)?)?);
        }
        Ok(values)
    }

    /// The buffers of a vectored transfer: `EINVAL` for more than `IOV_MAX` or a negative length, `EFAULT` for a
    /// buffer outside user space. All together are cut at [`MAX_TRANSFER`].
    pub fn iovecs(&self, at: Virt, count: u64) -> Result<Vec<(Virt, usize)>, Errno> {
        let count = usize::try_from(count).ok().filter(|count| *count <= IOV_MAX).ok_or(Errno::EINVAL)?;
        let mut left = MAX_TRANSFER;
        let mut parts = Vec::new();
        parts.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
        for part in self.read_array::<Iovec>(at, count)? {
            let len = usize::try_from(part.len).ok().filter(|len| i64::try_from(*len).is_ok()).ok_or(Errno::EINVAL)?;
            if !is_user_range(Virt(part.base), len) {
                return Err(Errno::EFAULT);
            }
            let len = len.min(left);
            left -= len;
            parts.push((Virt(part.base), len));
        }
        Ok(parts)
    }
}

/// Reads a string of the caller without its terminator; longer ones than `limit` with it are [`StringError::TooLong`].
pub fn string(at: Virt, limit: usize) -> Result<Vec<u8>, StringError> {
    let mut buffer = [0; 256];
    match usermem::copy_string(&mut buffer, at) {
        Ok(len) => return Ok(buffer.get(..len).unwrap_or(&[]).to_vec()),
        Err(StringError::Fault) => return Err(StringError::Fault),
        Err(StringError::TooLong) => {}
    }
    let mut bytes = alloc::vec![0; limit];
    let len = usermem::copy_string(&mut bytes, at)?;
    bytes.truncate(len);
    Ok(bytes)
}
