//! How native structures cross the boundary.
//!
//! Every field is a little-endian integer or an array of bytes at the offset that `repr(C)` gives it, and there is no
//! padding: the structure in a program's memory and its encoding are the same bytes. A structure that may grow has
//! its size as first field. The rule is that of `clone3(2)`: a shorter structure than the receiver knows is
//! filled with zeroes, of a longer one the unknown rest must be zero, so new fields mean "as before" when they are zero.

use crate::Errno;

/// A value with a fixed encoding.
pub trait Wire: Sized {
    /// Bytes of the encoding; equal to `size_of::<Self>()`.
    const SIZE: usize;

    /// Reads the value from exactly [`Self::SIZE`] bytes.
    fn decode(bytes: &[u8]) -> Option<Self>;

    /// Writes the value to exactly [`Self::SIZE`] bytes; false (and nothing written) if `out` has another length.
    #[must_use]
    fn encode(&self, out: &mut [u8]) -> bool;
}

/// A part of the caller's memory: bytes for a text, elements for an array (the field says which).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Address in the caller's address space; ignored when `len` is 0.
    pub ptr: u64,
    /// Bytes or elements.
    pub len: u64,
}

/// Bytes of a versioned structure that the receiver has to read, given the size in its first field.
///
/// `E2BIG` when the size is over a page (it would be nonsense), `EINVAL` when it is under `least`, the size of the
/// structure's first version.
pub fn checked_size(size: u32, least: usize) -> Result<usize, Errno> {
    let size = size as usize;
    if size > 4096 {
        Err(Errno::E2BIG)
    } else if size < least {
        Err(Errno::EINVAL)
    } else {
        Ok(size)
    }
}

/// Decodes a versioned structure whose sender may be older (shorter) or newer (longer) than this code.
///
/// `E2BIG` when the sender set a field that this version does not know.
pub fn decode_versioned<T: Wire>(bytes: &[u8]) -> Result<T, Errno> {
    let known = bytes.len().min(T::SIZE);
    let (head, rest) = bytes.split_at_checked(known).ok_or(Errno::EINVAL)?;
    if rest.iter().any(|&byte| byte != 0) {
        return Err(Errno::E2BIG);
    }
    let mut whole = [0u8; 4096];
    whole.get_mut(..known).ok_or(Errno::E2BIG)?.copy_from_slice(head);
    whole.get(..T::SIZE).and_then(T::decode).ok_or(Errno::EINVAL)
}

macro_rules! integers {
    ($($ty:ty)*) => {$(
        impl Wire for $ty {
            const SIZE: usize = size_of::<$ty>();

            fn decode(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(<$ty>::from_le_bytes)
            }

            fn encode(&self, out: &mut [u8]) -> bool {
                match <&mut [u8; size_of::<$ty>()]>::try_from(out) {
                    Ok(out) => {
                        *out = self.to_le_bytes();
                        true
                    }
                    Err(_) => false,
                }
            }
        }
    )*};
}

integers!(u8 u32 i32 u64);

impl<T: Wire + Copy + Default, const N: usize> Wire for [T; N] {
    const SIZE: usize = T::SIZE * N;

    fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != Self::SIZE {
            return None;
        }
        let mut values = [T::default(); N];
        for (value, chunk) in values.iter_mut().zip(bytes.chunks_exact(T::SIZE)) {
            *value = T::decode(chunk)?;
        }
        Some(values)
    }

    fn encode(&self, out: &mut [u8]) -> bool {
        out.len() == Self::SIZE
            && self.iter().zip(out.chunks_exact_mut(T::SIZE)).all(|(value, chunk)| value.encode(chunk))
    }
}

/// Implements [`Wire`] for a `repr(C)` structure from its fields in order, and checks that it has no padding.
macro_rules! wire_struct {
    ($name:ident { $($field:ident: $ty:ty),* $(,)? }) => {
        const _: () = assert!(
            size_of::<$name>() == <$name as $crate::native::wire::Wire>::SIZE,
            "a wire structure has padding or a field that its encoding does not name"
        );

        impl $crate::native::wire::Wire for $name {
            const SIZE: usize = 0 $(+ <$ty as $crate::native::wire::Wire>::SIZE)*;

            fn decode(bytes: &[u8]) -> Option<Self> {
                if bytes.len() != Self::SIZE {
                    return None;
                }
                let rest = bytes;
                $(
                    let (head, rest) = rest.split_at_checked(<$ty as $crate::native::wire::Wire>::SIZE)?;
                    let $field = <$ty as $crate::native::wire::Wire>::decode(head)?;
                )*
                let _ = rest;
                Some(Self { $($field),* })
            }

            fn encode(&self, out: &mut [u8]) -> bool {
                if out.len() != Self::SIZE {
                    return false;
                }
                let rest = out;
                $(
                    let Some((head, rest)) =
                        rest.split_at_mut_checked(<$ty as $crate::native::wire::Wire>::SIZE)
                    else {
                        return false;
                    };
                    if !$crate::native::wire::Wire::encode(&self.$field, head) {
                        return false;
                    }
                )*
                let _ = rest;
                true
            }
        }
    };
}
pub(crate) use wire_struct;

wire_struct!(Slice { ptr: u64, len: u64 });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_sender_means_zeroes() {
        let mut bytes = [0u8; 16];
        assert!(Slice { ptr: 7, len: 9 }.encode(&mut bytes));
        assert_eq!(decode_versioned::<Slice>(&bytes[..8]), Ok(Slice { ptr: 7, len: 0 }));
        assert_eq!(decode_versioned::<Slice>(&bytes), Ok(Slice { ptr: 7, len: 9 }));
    }

    #[test]
    fn a_longer_sender_may_only_send_zeroes() {
        let mut bytes = [0u8; 24];
        bytes[0] = 1;
        assert_eq!(decode_versioned::<Slice>(&bytes), Ok(Slice { ptr: 1, len: 0 }));
        bytes[23] = 1;
        assert_eq!(decode_versioned::<Slice>(&bytes), Err(Errno::E2BIG));
    }

    #[test]
    fn nonsense_sizes_are_refused() {
        assert_eq!(checked_size(8, 16), Err(Errno::EINVAL));
        assert_eq!(checked_size(u32::MAX, 16), Err(Errno::E2BIG));
        assert_eq!(checked_size(16, 16), Ok(16));
    }
}
