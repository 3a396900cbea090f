//! What native calls read from and write to the caller's memory.

use alloc::vec::Vec;

use aios_abi::Errno;
use aios_abi::native::agent::set_field_text;
use aios_abi::native::wire::{Slice, Wire, checked_size, decode_versioned};
use kernel_hal::addr::Virt;
use kernel_hal::usermem;

/// Copies `len` bytes in.
pub(crate) fn bytes(at: u64, len: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(len, 0);
    usermem::copy_in(&mut bytes, Virt(at)).map_err(|_| Errno::EFAULT)?;
    Ok(bytes)
}

/// The bytes of a slice; `E2BIG` for more than `most`.
pub(crate) fn slice(slice: Slice, most: usize) -> Result<Vec<u8>, Errno> {
    let len = usize::try_from(slice.len).ok().filter(|len| *len <= most).ok_or(Errno::E2BIG)?;
    bytes(slice.ptr, len)
}

/// The elements of a slice; `E2BIG` for more than `most`.
pub(crate) fn array<T: Wire>(slice: Slice, most: usize) -> Result<Vec<T>, Errno> {
    let count = usize::try_from(slice.len).ok().filter(|count| *count <= most).ok_or(Errno::E2BIG)?;
    let mut elements = Vec::new();
    elements.try_reserve_exact(count).map_err(|_| Errno::ENOMEM)?;
    for index in 0..count {
        let at = slice.ptr.checked_add((index * size_of::<T>()) as u64).ok_or(Errno::EFAULT)?;
        elements.push(T::decode(&bytes(at, size_of::<T>())?).ok_or(Errno::EINVAL)?);
    }
    Ok(elements)
}

/// A structure that begins with its size, as the caller knows it.
pub(crate) fn versioned<T: Wire>(at: u64, least: usize) -> Result<T, Errno> {
    let mut size = [0; 4];
    usermem::copy_in(&mut size, Virt(at)).map_err(|_| Errno::EFAULT)?;
    let size = checked_size(u32::from_ne_bytes(size), least)?;
    decode_versioned(&bytes(at, size)?)
}

/// Writes as much of a structure as the caller's size, which stands first in its memory, has room for. `EINVAL` when that
/// is less than `least`.
pub(crate) fn put_versioned<T: Wire>(at: u64, value: &T, least: usize) -> Result<(), Errno> {
    let mut size = [0; 4];
    usermem::copy_in(&mut size, Virt(at)).map_err(|_| Errno::EFAULT)?;
    let room = checked_size(u32::from_ne_bytes(size), least)?;
    let mut encoded = alloc::vec![0; size_of::<T>()];
    if !value.encode(&mut encoded) {
        return Err(Errno::EINVAL);
    }
    let part = encoded.get(..room.min(encoded.len())).unwrap_or(&encoded);
    usermem::copy_out(Virt(at), part).map_err(|_| Errno::EFAULT)
}

/// Most bytes of a text that is told.
const MAX_TEXT: usize = 4096;

/// Writes a text for people into the caller's buffer: cut to its length, a zero byte at its end. The caller has an error
/// already, so a buffer that cannot be written is left alone.
pub(crate) fn tell(buffer: Slice, text: &str) {
    let room = usize::try_from(buffer.len).unwrap_or(usize::MAX).min(MAX_TEXT).min(text.len() + 1);
    let mut told = alloc::vec![0; room];
    set_field_text(&mut told, text);
    let _unwritable = usermem::copy_out(Virt(buffer.ptr), &told);
}
