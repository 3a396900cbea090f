//! Wire structures: the exact x86-64 layout of what calls read and write in user memory.
//!
//! Every structure is plain data without padding: gaps are named fields, so that all bytes are defined and copying one
//! out leaks nothing. Conversion is `zerocopy`'s, safe at both ends: [`FromBytes::read_from_bytes`] and
//! [`IntoBytes::as_bytes`]. `Default` is all zeroes. A field whose name starts with `pad` or `reserved` has no meaning.

pub use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Defines structures and checks their size, in bytes, at compile time.
macro_rules! wire {
    ($($(#[$meta:meta])* $name:ident[$size:literal] { $($(#[$field_meta:meta])* $field:ident: $ty:ty,)* })*) => {
        $(
            $(#[$meta])*
            #[repr(C)]
            #[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
            pub struct $name { $($(#[$field_meta])* pub $field: $ty,)* }

            impl Default for $name {
                fn default() -> Self {
                    FromZeros::new_zeroed()
                }
            }

            const _: () = assert!(size_of::<$name>() == $size);
        )*
    };
}

mod event;
mod file;
mod frame;
mod process;
mod signals;
mod socket;
mod terminal;
mod time;

pub use event::*;
pub use file::*;
pub use frame::*;
pub use process::*;
pub use signals::*;
pub use socket::*;
pub use terminal::*;
pub use time::*;

#[cfg(test)]
mod tests;
