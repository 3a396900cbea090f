//! What identifies a futex: memory of one address space by its address, shared memory by its place in its object.

use aios_abi::Errno;
use kernel_hal::addr::{Virt, is_user_range};

use crate::Process;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Key {
    /// The number of an address space, or of a memory object with the lowest bit set.
    owner: u64,
    offset: u64,
}

impl Key {
    /// `EINVAL` for a word that is not aligned, `EFAULT` for one outside user space or, unless `private`, where nothing
    /// is mapped.
    pub(super) fn of(process: &Process, address: Virt, private: bool) -> Result<Key, Errno> {
        if !address.0.is_multiple_of(size_of::<u32>() as u64) {
            return Err(Errno::EINVAL);
        }
        if !is_user_range(address, size_of::<u32>()) {
            return Err(Errno::EFAULT);
        }
        let space = process.space().ok_or(Errno::ESRCH)?;
        if !private && let Some((object, offset)) = space.shared_object(address)? {
            return Ok(Key::shared(object.id(), offset));
        }
        Ok(Key::private(space.id(), address))
    }

    pub(super) fn private(space: u64, address: Virt) -> Key {
        Key { owner: space << 1, offset: address.0 }
    }

    pub(super) fn shared(object: u64, offset: u64) -> Key {
        Key { owner: object << 1 | 1, offset }
    }

    /// A number below `1 << bits` that differs between keys as well as it can (Fibonacci hashing).
    pub(super) fn hash(self, bits: u32) -> usize {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = (self.offset ^ self.owner.rotate_left(32)).wrapping_mul(GOLDEN);
        (mixed >> (u64::BITS - bits)) as usize
    }
}
